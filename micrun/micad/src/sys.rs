//! System calls for which neither std nor nix nor rustix has a safe function: the only file with unsafe code.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::jail::{self, Confinement, Step};

/// Starts `command` after what [`Confinement`] says was done in the new process. [`crate::jail::spawn`] is what to call.
#[expect(unsafe_code, reason = "std leaves it to the caller what happens between fork and exec")]
pub(crate) fn spawn_confined(
    mut command: Command,
    confinement: &Confinement<'_>,
) -> Result<Child, (Option<Step>, io::Error)> {
    let (mut told, report) = io::pipe().map_err(|e| (None, e))?;
    // SAFETY: `command`, which gets this, ends with this function, and the caller's borrow lives longer than that.
    let confinement: &'static Confinement<'static> = unsafe { std::mem::transmute(confinement) };
    let enter = move || {
        jail::enter(confinement).map_err(|(step, error)| {
            // If it cannot be told, the error is.
            let _ = nix::unistd::write(&report, &[step as u8]);
            error
        })
    };
    // SAFETY: only async-signal-safe functions may run between fork and exec. `enter` makes system calls, and neither
    // allocates nor takes a lock.
    unsafe { command.pre_exec(enter) };
    let spawned = command.spawn();
    // With it goes this process's writing end of the pipe.
    drop(command);
    spawned.map_err(|error| {
        let mut step = [u8::MAX];
        let failed = told.read_exact(&mut step).ok().and_then(|()| Step::of(step[0]));
        (failed, error)
    })
}

/// Marks every descriptor from 3 on as close-on-exec.
#[expect(unsafe_code, reason = "no crate wraps close_range(2)")]
pub(crate) fn close_all_on_exec() -> io::Result<()> {
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

/// The descriptor that this process was started with under a number that nobody else here knows.
#[expect(unsafe_code, reason = "an inherited descriptor is a number, and belongs to whoever takes it")]
pub(crate) fn inherited(number: RawFd) -> OwnedFd {
    // SAFETY: the caller got the number from whoever started this process, and takes it once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Watches `fd` for being readable.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch_for(fd, Interest::READABLE)
}

/// Watches `fd` for what is of interest.
#[expect(unsafe_code, reason = "tokio leaves it to the caller that the descriptor stays the same")]
pub(crate) fn watch_for(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same open descriptor, and `AsyncFd` keeps it open.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest)? })
}
