//! The system calls that programs in a jail can make. All others fail with `ENOSYS`, as if the kernel did not have them.
//!
//! The lists were found by traces on `x86_64` and aarch64, with what the C libraries use in the same places in other
//! versions. `ENOSYS` makes them fall back: `clone3`, whose flags a filter cannot see, becomes `clone`.

use libc::c_long;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// System calls by number, each with what its arguments may be; without rules, anything.
pub(super) type Calls = Vec<(i64, Vec<SeccompRule>)>;

/// Calls that need no look at their arguments: memory, threads, clocks, waiting, and descriptors that are open.
const QEMU: &[c_long] = &[
    libc::SYS_accept4,
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    // QEMU's own filter refuses it from then on, when the program has started.
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpeername,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_listen,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    // They reach nobody else: a cell's process has a PID namespace of its own. See `abort` for one signal.
    libc::SYS_tgkill,
    libc::SYS_tkill,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Older calls, which `x86_64` alone has.
#[cfg(target_arch = "x86_64")]
const QEMU_HERE: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const QEMU_HERE: &[c_long] = &[];

/// Memory, waiting, descriptors that are open, and the end.
const RELAY: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sendto,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_tkill,
    libc::SYS_write,
];
#[cfg(target_arch = "x86_64")]
const RELAY_HERE: &[c_long] = &[libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const RELAY_HERE: &[c_long] = &[];

/// Terminal settings and modem lines, and how much can be read. Not `TIOCSTI`, which types into a terminal.
const REQUESTS: &[u64] = &[
    libc::FIONBIO,
    libc::FIONREAD,
    libc::TCFLSH,
    libc::TCGETS,
    libc::TCGETS2,
    libc::TCSBRK,
    libc::TCSBRKP,
    libc::TCSETS,
    libc::TCSETS2,
    libc::TCSETSF,
    libc::TCSETSW,
    libc::TIOCMGET,
    libc::TIOCMSET,
];

/// File statuses and descriptor flags. Not `F_SETOWN`, which has the kernel send signals.
const FILE_COMMANDS: &[libc::c_int] = &[
    libc::F_ADD_SEALS,
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_GETFL,
    libc::F_GET_SEALS,
    libc::F_SETFD,
    libc::F_SETFL,
];

/// Names of threads and memory, timers, and the way into QEMU's own filter.
const PROCESS_OPTIONS: &[libc::c_int] = &[
    libc::PR_MCE_KILL,
    libc::PR_SET_NAME,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_SET_TIMERSLACK,
    libc::PR_SET_VMA,
];

/// Whatever opens a file in another way than to read it.
const WRITING: libc::c_int =
    libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY;

/// What QEMU can ask for.
pub(super) fn qemu() -> Result<Calls, BackendError> {
    let word = |value: libc::c_int| u64::from(value.unsigned_abs());
    let words = |values: &[libc::c_int]| values.iter().map(|value| word(*value)).collect::<Vec<_>>();
    let thread = word(libc::CLONE_THREAD);
    let new_filter = u64::from(libc::SECCOMP_SET_MODE_FILTER);
    let looks =
        [libc::SECCOMP_SET_MODE_STRICT, libc::SECCOMP_GET_ACTION_AVAIL, libc::SECCOMP_GET_NOTIF_SIZES];
    let mut seccomp = one_of(0, &looks.map(u64::from))?;
    // A filter may not hand its decisions to anybody else.
    seccomp.push(SeccompRule::new(vec![
        condition(0, Eq, new_filter)?,
        condition(1, MaskedEq(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER), 0)?,
    ])?);
    let conditional = [
        (libc::SYS_clone, vec![SeccompRule::new(vec![condition(0, MaskedEq(thread), thread)?])?]),
        (libc::SYS_fcntl, one_of(1, &words(FILE_COMMANDS))?),
        (libc::SYS_ioctl, one_of(1, REQUESTS)?),
        (libc::SYS_openat, vec![SeccompRule::new(vec![condition(2, MaskedEq(word(WRITING)), 0)?])?]),
        (libc::SYS_prctl, one_of(0, &words(PROCESS_OPTIONS))?),
        // To read a limit, of itself.
        (libc::SYS_prlimit64, vec![SeccompRule::new(vec![condition(0, Eq, 0)?, whole(2, Eq, 0)?])?]),
        (libc::SYS_seccomp, seccomp),
    ];
    let plain = QEMU.iter().chain(QEMU_HERE).map(|number| (*number, Vec::new()));
    Ok(plain.chain(conditional).collect())
}

/// The same with the requests of KVM: on its device, its machines and their processors (linux/kvm.h, `KVMIO`).
pub(super) fn qemu_with_kvm() -> Result<Calls, BackendError> {
    const KIND: u64 = 0xff00;
    const KVMIO: u64 = 0xae00;
    let mut calls = qemu()?;
    let kvm = SeccompRule::new(vec![condition(1, MaskedEq(KIND), KVMIO)?])?;
    calls
        .iter_mut()
        .filter(|(number, _)| *number == libc::SYS_ioctl)
        .for_each(|(_, rules)| rules.push(kvm.clone()));
    Ok(calls)
}

/// What the relay of a console can ask for, when it has started.
pub(super) fn relay() -> Result<Calls, BackendError> {
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let conditional = [
        (libc::SYS_fcntl, one_of(1, &[libc::F_GETFL, libc::F_SETFL].map(|it| u64::from(it.unsigned_abs())))?),
        (libc::SYS_mmap, vec![SeccompRule::new(vec![condition(2, MaskedEq(executable), 0)?])?]),
    ];
    let plain = RELAY.iter().chain(RELAY_HERE).map(|number| (*number, Vec::new()));
    Ok(plain.chain(conditional).collect())
}

/// How abort(3) ends a process.
///
/// The first process of a PID namespace survives `SIGABRT`, and abort(3) then runs into an invalid instruction, which looks
/// like another fault. So this call is answered by `SIGSYS`, which nobody survives.
pub(super) fn abort() -> Result<Calls, BackendError> {
    let signal = u64::from(libc::SIGABRT.unsigned_abs());
    let calls = [(libc::SYS_tgkill, one_of(2, &[signal])?), (libc::SYS_tkill, one_of(1, &[signal])?)];
    Ok(calls.into_iter().collect())
}

/// A condition on the lower half of an argument; the kernel looks at no more of an `int`.
fn condition(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)
}

/// A condition on all of an argument.
fn whole(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, is, value)
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    values.iter().map(|value| SeccompRule::new(vec![condition(argument, Eq, *value)?])).collect()
}
