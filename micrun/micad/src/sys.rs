//! The one place with unsafe code: what happens between fork and exec, and descriptors given to tokio.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::io::FdFlags;
use rustix::process::{Gid, Resource, Rlimit, Uid};
use rustix::thread::UnshareFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Largest file the process may write, in bytes: its log must not fill `/run`. Not less, because boards with a
/// display keep its picture in a memory file.
const FILE_LIMIT: u64 = 16 << 20;

/// Starts `command` in the cgroups whose `cgroup.procs` are given, in a session of its own, without core dumps, without new privileges, with no descriptor
/// but its standard ones and `keep`. With `uid` (the daemon is root) it also gets that user and group, no
/// other group, and a network namespace with nothing in it.
pub(crate) fn spawn_confined(
    command: &mut Command,
    uid: Option<u32>,
    keep: Vec<RawFd>,
    cgroups: Vec<OwnedFd>,
) -> io::Result<Child> {
    // SAFETY: between fork and exec only async-signal-safe functions may run. `confine` makes system calls
    // by rustix and libc, and neither allocates nor takes a lock; `keep` and `cgroups` were allocated before.
    unsafe { command.pre_exec(move || confine(uid, &keep, &cgroups)) };
    command.spawn()
}

fn confine(uid: Option<u32>, keep: &[RawFd], cgroups: &[OwnedFd]) -> io::Result<()> {
    for procs in cgroups {
        // The writer itself. What counts is the right of whoever opened the file, on older kernels root's.
        rustix::io::write(procs, b"0")?;
    }
    rustix::process::setsid()?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)?;
    let file = Rlimit { current: Some(FILE_LIMIT), maximum: Some(FILE_LIMIT) };
    rustix::process::setrlimit(Resource::Fsize, file)?;
    if let Some(id) = uid {
        // SAFETY: the new process has one thread, and a network namespace does not concern its memory or
        // descriptors.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET)? };
        rustix::thread::set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
        rustix::thread::set_thread_res_gid(group, group, group)?;
        rustix::thread::set_thread_res_uid(user, user, user)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    // Whatever the daemon itself inherited without close-on-exec must not leak.
    // SAFETY: close_range(2) with CLOSE_RANGE_CLOEXEC only sets a flag on descriptors.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    for &number in keep {
        // SAFETY: the caller holds these descriptors open until spawn has returned.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    }
    Ok(())
}

/// The descriptor `number` that this process was started with.
pub(crate) fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: the caller is a process that was started with this descriptor for its own, and takes it once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Has the kernel look at what has arrived for a terminal before it was opened.
pub(crate) fn deliver_pending_input(tty: &impl AsFd) -> rustix::io::Result<()> {
    /// Number of the ordinary line discipline (linux/tty.h).
    const N_TTY: libc::c_int = 0;
    /// `TIOCSETD`: its type is not the same on all architectures.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    const SET_DISCIPLINE: rustix::ioctl::Opcode = libc::TIOCSETD as rustix::ioctl::Opcode;
    // Setting the discipline that is set changes nothing, but restarts the input (`tty_set_ldisc`).
    // SAFETY: the ioctl reads one int (ioctl_tty(2)).
    unsafe {
        let setter = rustix::ioctl::Setter::<SET_DISCIPLINE, libc::c_int>::new(N_TTY);
        rustix::ioctl::ioctl(tty, setter)
    }
}

/// Watches `fd` for being readable.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same open descriptor, and `AsyncFd` keeps it open.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? })
}
