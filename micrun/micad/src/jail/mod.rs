//! The jail of a process that works for firmware: what it can see, use, and ask of the kernel.
//!
//! - [`root`]: a file system of its own with the few files that the program maps, all of them read-only;
//! - [`limits`]: how much it can use, and [`oom`]: when memory runs out;
//! - [`filter`]: the system calls that it can make, from the lists in [`calls`];
//! - [`directory`]: files of its own;
//! - [`slice`]: where systemd has it;
//! - [`entry`]: the way in, between fork and exec.
//!
//! A daemon that is not root can give a process no namespaces and no user of its own. The limits and the filter hold all
//! the same.

mod calls;
mod directory;
mod entry;
mod files;
mod filter;
mod libraries;
mod limits;
mod oom;
mod root;
mod slice;

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};

pub(crate) use entry::{Step, enter};
pub(crate) use filter::Filter;
pub(crate) use limits::Limits;
pub(crate) use oom::OomScore;
pub(crate) use root::{ITSELF, Root, Roots};
pub(crate) use slice::find as find_slice;

use crate::error::{file, system};
use crate::{Error, Result, sys};

/// How a process is started: what it gets of the daemon, and what it does not.
#[derive(Debug)]
pub(crate) struct Confinement<'a> {
    /// Namespaces and a user of its own; `None` if the daemon is not root.
    pub(crate) cell: Option<Cell<'a>>,
    /// The descriptors that stay open in it, under the same numbers.
    pub(crate) keep: Vec<BorrowedFd<'a>>,
    /// The `cgroup.procs` files of the cgroups that it joins.
    pub(crate) cgroups: &'a [OwnedFd],
    /// How soon the kernel is to kill it when memory runs out; `None` leaves it the daemon's own score.
    pub(crate) oom_score: Option<OomScore>,
    /// How much it can use.
    pub(crate) limits: Limits,
    /// The system calls that it can make; `None` where there is no list for this processor.
    pub(crate) filter: Option<&'static Filter>,
}

/// Who a client's processes are, and where they find their files.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    /// Their user and group, which no other client has.
    pub(crate) uid: u32,
    /// The roots of the daemon's programs.
    pub(crate) roots: Arc<Roots>,
}

/// What separates a process from all others.
#[derive(Debug)]
pub(crate) struct Cell<'a> {
    /// Its user and group.
    pub(crate) uid: u32,
    /// Its file system.
    pub(crate) root: &'a Root,
    /// Files that it gets copies of, under these names, in its working directory. Nobody can write there.
    pub(crate) files: &'a [(&'static str, &'a File)],
}

/// Starts `program` by `command` in a jail, in a session of its own, and with no descriptor but its standard ones and those
/// of `confinement`. A process in a [`Cell`] is the first of its PID namespace.
///
/// This blocks until the process has executed its program. The kernel may take 15 ms to let it join a cgroup.
pub(crate) fn spawn(program: &Path, command: Command, confinement: &Confinement<'_>) -> Result<Child> {
    let confined = || sys::spawn_confined(command, confinement);
    let spawned = if confinement.cell.is_none() {
        confined()
    } else {
        // What a thread unshares ends with it. Its children are the daemon's, as every thread's are.
        on_a_thread("launch", || {
            unshare(CloneFlags::CLONE_NEWPID).map_err(|e| (Some(Step::Namespaces), e.into()))?;
            confined()
        })
        .map_err(system("start a thread"))?
    };
    spawned.map_err(|(step, source)| match step {
        Some(step) => Error::Jail { program: program.to_owned(), doing: step.doing(), source },
        None => file("run", program)(source),
    })
}

/// Does `work` on a thread that ends with it.
fn on_a_thread<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
