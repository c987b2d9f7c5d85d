//! What firmware that has taken its QEMU over may try.

use std::mem::offset_of;

use nix::libc;

/// One system call.
pub(super) struct Attempt {
    /// What an attacker would gain.
    pub(super) what: &'static str,
    /// Its number.
    pub(super) call: i64,
    pub(super) arguments: Vec<Argument>,
    /// Whether the process is another program afterwards.
    pub(super) replaces: bool,
    /// How to do away with what it leaves outside of the process.
    pub(super) undo: Option<Undo>,
    /// What becomes of it behind Firecracker's jailer.
    pub(super) firecracker: &'static str,
}

/// An argument of a system call.
pub(super) enum Argument {
    Number(u64),
    /// The address of these bytes.
    Bytes(Vec<u8>),
    /// What the call gave that is undone.
    Result,
}

pub(super) enum Undo {
    /// The process that the call has started is killed.
    Kill,
    /// The file is removed.
    Remove(&'static str),
    /// The process makes another call.
    Call(i64, Vec<Argument>),
}

fn n(value: impl TryInto<u64>) -> Argument {
    Argument::Number(value.try_into().unwrap_or(u64::MAX))
}

fn text(text: &str) -> Argument {
    Argument::Bytes([text.as_bytes(), b"\0"].concat())
}

fn room(size: usize) -> Argument {
    Argument::Bytes(vec![0; size])
}

/// The current directory (`AT_FDCWD`).
fn here() -> Argument {
    Argument::Number(i64::from(libc::AT_FDCWD).cast_unsigned())
}

/// `sockaddr_un`
fn unix_address(path: &str) -> Vec<u8> {
    let family = u16::try_from(libc::AF_UNIX).unwrap();
    [&family.to_ne_bytes()[..], path.as_bytes(), b"\0"].concat()
}

/// Firecracker's filter allows nothing like it: the process is trapped, and ends.
const TRAPPED: &str = "killed";
const NO_FILE: &str = "no such file";
const DONE: &str = "**done**";

fn attempt(what: &'static str, call: i64, arguments: Vec<Argument>) -> Attempt {
    Attempt { what, call, arguments, replaces: false, undo: None, firecracker: TRAPPED }
}

impl Attempt {
    fn undone(self, undo: Undo) -> Self {
        Self { undo: Some(undo), ..self }
    }

    fn beside(self, firecracker: &'static str) -> Self {
        Self { firecracker, ..self }
    }
}

pub(super) fn all() -> Vec<Attempt> {
    [files(), processes(), sockets(), shared_memory(), limits(), kernel()].into_iter().flatten().collect()
}

fn files() -> Vec<Attempt> {
    let open = |path: &str, flags: i32| vec![here(), text(path), n(flags), n(0o600)];
    let create = libc::O_CREAT | libc::O_RDWR;
    let openat = libc::SYS_openat;
    let device = libc::makedev(1, 1);
    vec![
        attempt("read `/etc/passwd`", openat, open("/etc/passwd", libc::O_RDONLY)).beside(NO_FILE),
        attempt("read `/proc/self/status`", openat, open("/proc/self/status", libc::O_RDONLY))
            .beside(NO_FILE),
        attempt("read `/sys/kernel`", openat, open("/sys/kernel", libc::O_RDONLY)).beside(NO_FILE),
        attempt("open `/dev/null`", openat, open("/dev/null", libc::O_RDONLY)).beside(NO_FILE),
        attempt("write a file in `/tmp`", openat, open("/tmp/micrun-jail", create))
            .beside(NO_FILE)
            .undone(Undo::Remove("/tmp/micrun-jail")),
        attempt("write a file in `/dev/shm`", openat, open("/dev/shm/micrun-jail", create))
            .beside(NO_FILE)
            .undone(Undo::Remove("/dev/shm/micrun-jail")),
        attempt("write a file where it stands", openat, open("micrun-jail", create))
            .beside("**done** in its folder"),
        attempt("make a file without a name", openat, open(".", libc::O_TMPFILE | libc::O_RDWR))
            .beside("**done** in its folder"),
        attempt("make a folder", libc::SYS_mkdirat, vec![here(), text("micrun-jail-dir"), n(0o700)]),
        attempt("make a link", libc::SYS_symlinkat, vec![text("/"), here(), text("micrun-jail-link")]),
        attempt(
            "make a pipe with a name",
            libc::SYS_mknodat,
            vec![here(), text("micrun-jail-fifo"), n(libc::S_IFIFO | 0o600), n(0)],
        ),
        attempt(
            "make a device",
            libc::SYS_mknodat,
            vec![here(), text("micrun-jail-device"), n(libc::S_IFCHR | 0o600), n(device)],
        ),
        attempt("remove a file", libc::SYS_unlinkat, vec![here(), text("micrun-jail"), n(0)]),
        attempt("change a file's mode", libc::SYS_fchmodat, vec![here(), text("."), n(0o777)]),
        attempt("change its working directory", libc::SYS_chdir, vec![text("/")]),
        attempt("change its root", libc::SYS_chroot, vec![text("/")]),
        attempt("exchange its root", libc::SYS_pivot_root, vec![text("/"), text("/")]),
        attempt(
            "mount a file system",
            libc::SYS_mount,
            vec![text("x"), text("/tmp"), text("tmpfs"), n(0), n(0)],
        ),
        attempt("unmount a file system", libc::SYS_umount2, vec![text("/"), n(libc::MNT_DETACH)]),
        attempt("clone a mount (`open_tree`)", libc::SYS_open_tree, vec![here(), text("/"), n(1)]),
        attempt("make a file system (`fsopen`)", libc::SYS_fsopen, vec![text("tmpfs"), n(0)]),
        attempt("move a mount", libc::SYS_move_mount, vec![here(), text("/"), here(), text("/"), n(0)]),
        attempt(
            "open a file by its handle",
            libc::SYS_open_by_handle_at,
            vec![
                here(),
                Argument::Bytes([8_u32.to_ne_bytes(), 1_u32.to_ne_bytes(), [0; 4], [0; 4]].concat()),
                n(0),
            ],
        ),
        attempt("watch files (`inotify`)", libc::SYS_inotify_init1, vec![n(0)]),
        attempt("watch file systems (`fanotify`)", libc::SYS_fanotify_init, vec![n(0), n(0)]),
    ]
}

fn processes() -> Vec<Attempt> {
    let no_words = || Argument::Bytes(vec![0; 8]);
    let user_namespace = libc::CLONE_NEWUSER;
    let one_byte = |size: u64| {
        // struct iovec
        Argument::Bytes([0x1000_u64.to_ne_bytes(), size.to_ne_bytes()].concat())
    };
    let root = || vec![n(0), n(0), n(0)];
    vec![
        Attempt {
            replaces: true,
            ..attempt(
                "run a program (`execve`)",
                libc::SYS_execve,
                vec![text("/bin/true"), no_words(), no_words()],
            )
        },
        Attempt {
            replaces: true,
            ..attempt(
                "run a program (`execveat`)",
                libc::SYS_execveat,
                vec![here(), text("/bin/true"), no_words(), no_words(), n(0)],
            )
        },
        Attempt {
            undo: Some(Undo::Kill),
            ..attempt(
                "start a process (`clone`)",
                libc::SYS_clone,
                vec![n(libc::SIGCHLD), n(0), n(0), n(0), n(0)],
            )
        },
        attempt("signal process 1", libc::SYS_kill, vec![n(1), n(0)]),
        attempt("signal every process", libc::SYS_kill, vec![Argument::Number(u64::MAX), n(0)]),
        attempt("trace process 1", libc::SYS_ptrace, vec![n(16), n(1), n(0), n(0)]),
        attempt(
            "read another process's memory",
            libc::SYS_process_vm_readv,
            vec![n(1), one_byte(1), n(1), one_byte(1), n(1), n(0)],
        ),
        attempt(
            "write another process's memory",
            libc::SYS_process_vm_writev,
            vec![n(1), one_byte(1), n(1), one_byte(1), n(1), n(0)],
        ),
        attempt("hold process 1 (`pidfd_open`)", libc::SYS_pidfd_open, vec![n(1), n(0)]),
        attempt("take a descriptor of another process", libc::SYS_pidfd_getfd, vec![n(0), n(0), n(0)]),
        attempt("compare processes (`kcmp`)", libc::SYS_kcmp, vec![n(1), n(1), n(0), n(0), n(0)]),
        attempt("make a user namespace", libc::SYS_unshare, vec![n(user_namespace)]),
        attempt("join a namespace", libc::SYS_setns, vec![n(0), n(0)]),
        attempt("become root (`setuid`)", libc::SYS_setuid, vec![n(0)]),
        attempt("become root (`setresuid`)", libc::SYS_setresuid, root()),
        attempt("join groups", libc::SYS_setgroups, vec![n(0), n(0)]),
        attempt(
            "gain capabilities",
            libc::SYS_capset,
            // _LINUX_CAPABILITY_VERSION_3
            vec![
                Argument::Bytes([0x2008_0522_u32.to_ne_bytes(), [0; 4]].concat()),
                Argument::Bytes(vec![255; 24]),
            ],
        ),
        attempt(
            "become traceable (`PR_SET_DUMPABLE`)",
            libc::SYS_prctl,
            vec![n(libc::PR_SET_DUMPABLE), n(1)],
        ),
        attempt("change its personality", libc::SYS_personality, vec![n(0)]),
        attempt("raise its priority", libc::SYS_setpriority, vec![n(0), n(0), Argument::Number(u64::MAX)]),
        attempt(
            "become a real-time process",
            libc::SYS_sched_setscheduler,
            vec![n(0), n(1), Argument::Bytes(vec![1, 0, 0, 0])],
        ),
        attempt(
            "choose its CPUs",
            libc::SYS_sched_setaffinity,
            vec![n(0), n(8), Argument::Bytes(vec![255; 8])],
        ),
        attempt("leave its session", libc::SYS_setpgid, vec![n(0), n(0)]),
    ]
}

fn sockets() -> Vec<Attempt> {
    let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    let socket = |family: i32, kind: i32| vec![n(family), n(kind), n(0)];
    let address = unix_address("/run/micrun-jail");
    let size = n(address.len());
    vec![
        attempt("a socket to the internet", libc::SYS_socket, socket(libc::AF_INET, stream)),
        attempt("a raw socket", libc::SYS_socket, socket(libc::AF_PACKET, libc::SOCK_RAW)),
        attempt(
            "a socket to the kernel (`netlink`)",
            libc::SYS_socket,
            socket(libc::AF_NETLINK, libc::SOCK_RAW),
        ),
        attempt("a socket to the hypervisor (`vsock`)", libc::SYS_socket, socket(libc::AF_VSOCK, stream)),
        attempt(
            "a socket to cryptography (`AF_ALG`)",
            libc::SYS_socket,
            socket(libc::AF_ALG, libc::SOCK_SEQPACKET),
        ),
        attempt("a local socket", libc::SYS_socket, socket(libc::AF_UNIX, stream)).beside(DONE),
        attempt("connect to a local socket", libc::SYS_connect, vec![n(0), Argument::Bytes(address), size])
            .beside(NO_FILE),
        attempt("a pair of sockets", libc::SYS_socketpair, vec![n(libc::AF_UNIX), n(stream), n(0), room(8)]),
    ]
}

fn shared_memory() -> Vec<Attempt> {
    let private = || n(libc::IPC_PRIVATE);
    let mode = || n(libc::IPC_CREAT | 0o600);
    let remove = |call, arguments: &[i32]| {
        let rest = arguments.iter().map(|argument| n(*argument));
        Undo::Call(call, std::iter::once(Argument::Result).chain(rest).collect())
    };
    let name = || text("micrun-jail");
    vec![
        attempt("System V shared memory", libc::SYS_shmget, vec![private(), n(4096), mode()])
            .undone(remove(libc::SYS_shmctl, &[libc::IPC_RMID, 0])),
        attempt("System V semaphores", libc::SYS_semget, vec![private(), n(1), mode()])
            .undone(remove(libc::SYS_semctl, &[0, libc::IPC_RMID])),
        attempt("System V messages", libc::SYS_msgget, vec![private(), mode()])
            .undone(remove(libc::SYS_msgctl, &[libc::IPC_RMID, 0])),
        attempt(
            "POSIX messages",
            libc::SYS_mq_open,
            vec![name(), n(libc::O_CREAT | libc::O_RDWR), n(0o600), n(0)],
        )
        .undone(Undo::Call(libc::SYS_mq_unlink, vec![name()])),
        attempt("secret memory", libc::SYS_memfd_secret, vec![n(0)]),
    ]
}

fn limits() -> Vec<Attempt> {
    let anonymous = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let limit = [u64::MAX.to_ne_bytes(), u64::MAX.to_ne_bytes()].concat();
    vec![
        attempt(
            "16 GiB of address space",
            libc::SYS_mmap,
            vec![
                n(0),
                n(16_u64 << 30),
                n(libc::PROT_READ | libc::PROT_WRITE),
                n(anonymous),
                Argument::Number(u64::MAX),
                n(0),
            ],
        )
        .beside(DONE),
        attempt("lock memory", libc::SYS_mlockall, vec![n(libc::MCL_FUTURE)]),
        attempt("descriptor 4096", libc::SYS_fcntl, vec![n(0), n(libc::F_DUPFD), n(4096)]),
        attempt(
            "raise its limits",
            libc::SYS_prlimit64,
            vec![n(0), n(libc::RLIMIT_NOFILE), Argument::Bytes(limit), n(0)],
        ),
        attempt(
            "type into its console (`TIOCSTI`)",
            libc::SYS_ioctl,
            vec![n(1), n(libc::TIOCSTI), text("x")],
        ),
        attempt("have signals sent (`F_SETOWN`)", libc::SYS_fcntl, vec![n(0), n(libc::F_SETOWN), n(1)]),
    ]
}

fn kernel() -> Vec<Attempt> {
    // struct perf_event_attr: PERF_TYPE_SOFTWARE, its size, of user space alone.
    let mut event = vec![0; 112];
    event[0] = 1;
    event[4] = 112;
    event[40] = 0x60;
    let empty_filter = Argument::Bytes(vec![0; 16]);
    let hostname = vec![text("micrun"), n(6)];
    let mut timer = vec![0; 64];
    let notify = offset_of!(libc::sigevent, sigev_notify);
    timer[notify] = u8::try_from(libc::SIGEV_NONE).unwrap();
    vec![
        attempt("BPF", libc::SYS_bpf, vec![n(0), room(72), n(72)]),
        attempt("`io_uring`", libc::SYS_io_uring_setup, vec![n(8), room(120)]).beside(DONE),
        attempt("asynchronous I/O (`io_setup`)", libc::SYS_io_setup, vec![n(8), room(8)]),
        attempt(
            "performance counters",
            libc::SYS_perf_event_open,
            vec![Argument::Bytes(event), n(0), Argument::Number(u64::MAX), Argument::Number(u64::MAX), n(0)],
        ),
        attempt(
            "keys (`keyctl`)",
            libc::SYS_keyctl,
            vec![n(0), Argument::Number((-3_i64).cast_unsigned()), n(1)],
        ),
        attempt(
            "keys (`add_key`)",
            libc::SYS_add_key,
            vec![text("user"), text("micrun"), text("x"), n(1), Argument::Number((-1_i64).cast_unsigned())],
        ),
        attempt(
            "keys (`request_key`)",
            libc::SYS_request_key,
            vec![text("user"), text("micrun"), n(0), n(0)],
        ),
        attempt("`userfaultfd`", libc::SYS_userfaultfd, vec![n(1)]),
        attempt("a kernel module", libc::SYS_init_module, vec![room(16), n(16), text("")]),
        attempt("another kernel (`kexec`)", libc::SYS_kexec_load, vec![n(0), n(0), n(0), n(0)]),
        attempt("reboot", libc::SYS_reboot, vec![n(0), n(0), n(0), n(0)]),
        attempt("the kernel's log", libc::SYS_syslog, vec![n(3), room(64), n(64)]),
        attempt("the machine's clock", libc::SYS_clock_settime, vec![n(0), room(16)]),
        attempt("the machine's name (`uname`)", libc::SYS_uname, vec![room(400)]).beside(DONE),
        attempt("another name for the machine", libc::SYS_sethostname, hostname),
        attempt("I/O ports", libc::SYS_iopl, vec![n(3)]),
        attempt("segments (`modify_ldt`)", libc::SYS_modify_ldt, vec![n(0), room(64), n(64)]),
        attempt("swap space", libc::SYS_swapon, vec![text("/"), n(0)]),
        attempt(
            "a filter that another process decides for",
            libc::SYS_seccomp,
            vec![n(1), n(8), empty_filter],
        ),
        attempt("memory policies", libc::SYS_set_mempolicy, vec![n(0), n(0), n(0)]),
        attempt("memory keys", libc::SYS_pkey_alloc, vec![n(0), n(0)]),
        attempt("pipes' pages (`vmsplice`)", libc::SYS_vmsplice, vec![n(0), room(16), n(1), n(0)]),
        attempt("pipes' pages (`splice`)", libc::SYS_splice, vec![n(0), n(0), n(1), n(0), n(1), n(0)]),
        attempt("timers", libc::SYS_timer_create, vec![n(1), Argument::Bytes(timer), room(8)]),
        attempt("Landlock", libc::SYS_landlock_create_ruleset, vec![n(0), n(0), n(1)]),
    ]
}
