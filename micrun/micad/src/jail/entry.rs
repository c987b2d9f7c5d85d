//! The way into a jail. All of this runs between fork and exec in a copy of a process with several threads: system calls
//! alone, no allocation, no lock.

use std::io;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::CloneFlags;
use rustix::process::{Gid, Uid};
use rustix::thread::CapabilitySet;

use super::{Cell, Confinement, Filter, OomScore, directory, slice};
use crate::sys;

/// What can fail on the way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Joining cgroups.
    Cgroups,
    /// Lowering resource limits.
    Limits,
    /// A directory with its files.
    Files,
    /// Namespaces of its own.
    Namespaces,
    /// The root with nothing but what the program maps.
    Root,
    /// Giving up capabilities, groups and user.
    Rights,
    /// Closing the daemon's descriptors.
    Descriptors,
    /// The filter for system calls.
    Filter,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Cgroups,
        Self::Limits,
        Self::Files,
        Self::Namespaces,
        Self::Root,
        Self::Rights,
        Self::Descriptors,
        Self::Filter,
    ];

    /// The step that was reported by its number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == number)
    }

    /// What it is about, after "cannot".
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Self::Cgroups => "join its cgroups",
            Self::Limits => "limit its resources",
            Self::Files => "give it its files (in a tmpfs, by fsopen of Linux 5.2)",
            Self::Namespaces => {
                "give it namespaces of its own (PID, network, IPC and UTS; needs CAP_SYS_ADMIN)"
            }
            Self::Root => "give it a root of its own (needs CAP_SYS_ADMIN and CAP_SYS_CHROOT)",
            Self::Rights => "take its rights away (needs CAP_SETPCAP, CAP_SETGID and CAP_SETUID)",
            Self::Descriptors => "close the daemon's files in it",
            Self::Filter => "filter its system calls (needs CONFIG_SECCOMP_FILTER)",
        }
    }
}

fn at<E: Into<io::Error>>(step: Step) -> impl FnOnce(E) -> (Step, io::Error) {
    move |error| (step, error.into())
}

/// Locks the calling process in.
pub(crate) fn enter(confinement: &Confinement<'_>) -> Result<(), (Step, io::Error)> {
    for procs in slice::procs() {
        // It may have gone. The daemon's own place is as good, but for `systemctl kill`.
        let _ = nix::unistd::write(procs, b"0");
    }
    for procs in confinement.cgroups {
        // `0` means the writer. What counts is the right of whoever opened the file; on older kernels, root's.
        nix::unistd::write(procs, b"0").map_err(at(Step::Cgroups))?;
    }
    nix::unistd::setsid().map_err(at(Step::Limits))?;
    confinement.oom_score.as_ref().map_or(Ok(()), OomScore::apply).map_err(at(Step::Limits))?;
    // QEMU asks for huge pages for a machine's memory, for its ROMs and for translated code, and uses little of each: three
    // of 2 MiB on a PC.
    nix::sys::prctl::set_thp_disable(true).map_err(at(Step::Limits))?;
    if let Some(cell) = &confinement.cell {
        // In its cgroup, which is charged for the copy.
        let directory = directory::make(cell.files).map_err(at(Step::Files))?;
        // The PID namespace is there already.
        let others = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        nix::sched::unshare(others).map_err(at(Step::Namespaces))?;
        cell.root.enter().map_err(at(Step::Root))?;
        if let Some(directory) = directory {
            rustix::process::fchdir(directory).map_err(at(Step::Files))?;
        }
        confinement.limits.apply().map_err(at(Step::Limits))?;
        give_up_rights(cell).map_err(at(Step::Rights))?;
    } else {
        confinement.limits.apply().map_err(at(Step::Limits))?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(at(Step::Rights))?;
    // What the daemon itself inherited without close-on-exec must not leak.
    sys::close_all_on_exec().map_err(at(Step::Descriptors))?;
    for fd in &confinement.keep {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map_err(at(Step::Descriptors))?;
    }
    // Nothing from here on but what the filter allows.
    confinement.filter.map_or(Ok(()), Filter::install).map_err(at(Step::Filter))
}

fn give_up_rights(cell: &Cell<'_>) -> io::Result<()> {
    for capability in CapabilitySet::all() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // Newer than this kernel.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(e) => return Err(e.into()),
        }
    }
    // Those of libc, which nix calls, take a lock to change the user of every thread.
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = (Uid::from_raw(cell.uid), Gid::from_raw(cell.uid));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_step_is_told_by_its_number() {
        for step in Step::ALL {
            assert_eq!(Step::of(step as u8), Some(step));
        }
        assert_eq!(Step::of(u8::MAX), None);
    }
}
