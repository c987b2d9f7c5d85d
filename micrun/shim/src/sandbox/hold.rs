//! `hold`: the process that holds a pod's namespaces, in place of a pause container.
//!
//! It has them from the shim, which starts it inside of them. It gives up all the rest: an empty root directory, no
//! capability, nobody's user id. It ends when the shim does, whose end closes the pipe that is its stdin, so that no
//! killed shim leaves it behind. As the first of a PID namespace it reaps what the pod's containers orphan.

use std::io::{Read, Write, stdin, stdout};
use std::os::fd::AsFd;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, chdir, pivot_root, setgroups, setresgid, setresuid};

use crate::error::{Error, Result};

/// What it tells the shim when it holds.
pub(super) const READY: &str = "holding";
/// Nobody's user and group (Linux's overflow ids).
const NOBODY: u32 = 65534;
/// Any directory that every system has: an empty one is mounted on it, and becomes the root.
const PLACE: &str = "/proc";

/// Holds until stdin ends.
pub(crate) fn run() -> Result<()> {
    let said = confine();
    let word = said.as_ref().map_or_else(|error| crate::error::describe(error), |()| READY.to_owned());
    // The shim may be gone; then so is stdin.
    let mut out = stdout();
    let _ = out.write_all(word.as_bytes()).and_then(|()| out.flush());
    said?;
    let null = stdin().as_fd().try_clone_to_owned().map_err(Error::io("copy", "stdin"))?;
    // The pipe's end tells the shim that this was all.
    nix::unistd::dup2_stdout(&null).map_err(|errno| Error::io("close", "stdout")(errno.into()))?;
    wait()
}

fn confine() -> Result<()> {
    let _ = prctl::set_name(c"micrun-pause");
    empty_root().map_err(|errno| Error::io("make an empty root at", PLACE)(errno.into()))?;
    drop_rights().map_err(|errno| Error::io("become", "nobody")(errno.into()))
}

fn empty_root() -> nix::Result<()> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("micrun-pause"), PLACE, Some("tmpfs"), flags, Some("size=4k,nr_inodes=1,mode=555"))?;
    chdir(PLACE)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

/// Changing the user id takes all capabilities along, and makes the process undumpable: only who may trace any process
/// of the machine can look into it.
fn drop_rights() -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    prctl::set_no_new_privs()?;
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}

/// Reaps until stdin ends or somebody asks for the end.
fn wait() -> Result<()> {
    let failed = |errno: nix::Error| Error::io("wait for", "signals")(errno.into());
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        signals.add(signal);
    }
    signals.thread_block().map_err(failed)?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK).map_err(failed)?;
    loop {
        let stdin = stdin();
        let mut watched =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        // The shim writes nothing: readable means closed.
        if watched[0].any() == Some(true) && stdin.lock().read(&mut [0]).is_ok_and(|count| count == 0) {
            return Ok(());
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            if signal.ssi_signo != Signal::SIGCHLD as u32 {
                return Ok(());
            }
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {
        }
    }
}
