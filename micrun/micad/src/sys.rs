//! System calls for which neither std nor nix nor rustix has a safe function: the only file with unsafe code.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sched::CloneFlags;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::Mode;
use rustix::process::{Gid, Uid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Largest file the process may write, in bytes: its log must not fill `/run`. Not less, because boards with a
/// display keep its picture in a memory file.
const FILE_LIMIT: u64 = 16 << 20;
/// The calling process's score with the kernel's out-of-memory killer (proc(5)).
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// What a confined process gets of the daemon.
#[derive(Debug)]
pub(crate) struct Confinement<'a> {
    /// Its user and group, if the daemon is root. It then also has no other group, and a network namespace with
    /// nothing in it.
    pub(crate) uid: Option<u32>,
    /// The descriptors that stay open in it, under the same numbers.
    pub(crate) keep: Vec<BorrowedFd<'a>>,
    /// The `cgroup.procs` files of the cgroups that it joins.
    pub(crate) cgroups: &'a [OwnedFd],
    /// How soon the kernel is to kill it when memory runs out: at least that much, and never later than a process
    /// without a score. `None` leaves it the daemon's own.
    pub(crate) oom_score: Option<u16>,
}

/// Starts `command` in a session of its own, without core dumps, without new privileges, and with no descriptor but its
/// standard ones and those of `confinement`.
///
/// This blocks until the process has executed its program. The kernel may take 15 ms to let it join a cgroup.
#[expect(unsafe_code, reason = "std leaves it to the caller what happens between fork and exec")]
pub(crate) fn spawn_confined(mut command: Command, confinement: &Confinement<'_>) -> io::Result<Child> {
    // SAFETY: `command`, which gets these, ends with this function, and the caller's borrows live longer than that.
    let lend = |fd: BorrowedFd<'_>| unsafe { BorrowedFd::<'static>::borrow_raw(fd.as_raw_fd()) };
    let uid = confinement.uid;
    let keep: Vec<_> = confinement.keep.iter().map(|fd| lend(*fd)).collect();
    let cgroups: Vec<_> = confinement.cgroups.iter().map(|fd| lend(fd.as_fd())).collect();
    let oom_score = confinement.oom_score.map(oom_score);
    // SAFETY: only async-signal-safe functions may run between fork and exec. `confine` makes system calls, and neither
    // allocates nor takes a lock.
    unsafe { command.pre_exec(move || confine(uid, &keep, &cgroups, oom_score.as_deref())) };
    command.spawn()
}

/// The score to write. The daemon's own may be higher, and only a privileged process may lower its score.
fn oom_score(asked: u16) -> String {
    let own = std::fs::read_to_string(OOM_SCORE).ok().and_then(|text| text.trim().parse().ok());
    own.unwrap_or(0).max(i32::from(asked)).to_string()
}

fn confine(
    uid: Option<u32>,
    keep: &[BorrowedFd<'_>],
    cgroups: &[BorrowedFd<'_>],
    oom_score: Option<&str>,
) -> io::Result<()> {
    if let Some(score) = oom_score {
        let file = open(OOM_SCORE, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        nix::unistd::write(&file, score.as_bytes())?;
    }
    for procs in cgroups {
        // `0` means the writer. What counts is the right of whoever opened the file; on older kernels, root's.
        nix::unistd::write(procs, b"0")?;
    }
    nix::unistd::setsid()?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, FILE_LIMIT, FILE_LIMIT)?;
    if let Some(id) = uid {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
        // Those of libc, which nix calls, take a lock to change the user of every thread.
        rustix::thread::set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    nix::sys::prctl::set_no_new_privs()?;
    // What the daemon itself inherited without close-on-exec must not leak.
    close_all_on_exec()?;
    for fd in keep {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

/// Marks every descriptor from 3 on as close-on-exec.
#[expect(unsafe_code, reason = "no crate wraps close_range(2)")]
fn close_all_on_exec() -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing, it only sets flags.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}

/// Has the kernel look at what arrived for a terminal before it was opened.
#[expect(unsafe_code, reason = "no crate wraps TIOCSETD")]
pub(crate) fn deliver_pending_input(tty: &impl AsFd) -> io::Result<()> {
    /// Number of the ordinary line discipline (linux/tty.h).
    static N_TTY: libc::c_int = 0;
    // Setting the discipline that is set already restarts the input and changes nothing else (`tty_set_ldisc`).
    // SAFETY: the ioctl reads one int (ioctl_tty(2)).
    let done = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSETD, &raw const N_TTY) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}

/// Most bytes of a name in rpmsg, its final zero included (linux/rpmsg.h).
pub(crate) const RPMSG_NAME_SIZE: usize = 32;
/// An address that the kernel is to choose (linux/rpmsg.h).
const RPMSG_ADDR_ANY: u32 = u32::MAX;

/// `struct rpmsg_endpoint_info` of linux/rpmsg.h.
#[repr(C)]
struct RpmsgEndpointInfo {
    name: [u8; RPMSG_NAME_SIZE],
    source: u32,
    destination: u32,
}

mod rpmsg {
    nix::ioctl_write_ptr!(create, 0xb5, 1, super::RpmsgEndpointInfo);
    nix::ioctl_none!(destroy, 0xb5, 2);
}

/// Makes a character device that sends to one address: `control` is an open `rpmsg_ctrl` device.
#[expect(unsafe_code, reason = "no crate wraps RPMSG_CREATE_EPT_IOCTL")]
pub(crate) fn create_rpmsg_device(control: &impl AsFd, name: &str, destination: u32) -> io::Result<()> {
    let mut info = RpmsgEndpointInfo { name: [0; RPMSG_NAME_SIZE], source: RPMSG_ADDR_ANY, destination };
    for (to, from) in info.name.iter_mut().take(RPMSG_NAME_SIZE - 1).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: the ioctl reads one structure, which lives until it returns.
    unsafe { rpmsg::create(control.as_fd().as_raw_fd(), &raw const info) }?;
    Ok(())
}

/// Removes a device of [`create_rpmsg_device`], which is open.
#[expect(unsafe_code, reason = "no crate wraps RPMSG_DESTROY_EPT_IOCTL")]
pub(crate) fn destroy_rpmsg_device(device: &impl AsFd) -> io::Result<()> {
    // SAFETY: the ioctl has no argument, and its effect is on this device alone.
    unsafe { rpmsg::destroy(device.as_fd().as_raw_fd()) }?;
    Ok(())
}

/// Watches `fd` for being readable.
#[expect(unsafe_code, reason = "tokio leaves it to the caller that the descriptor stays the same")]
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same open descriptor, and `AsyncFd` keeps it open.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? })
}
