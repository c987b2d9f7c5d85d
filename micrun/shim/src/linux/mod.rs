//! Linux containers: run by crun or another program with runc's command line, which starts them and leaves them to
//! the shim.
//!
//! The init process exists from Create on (it waits for Start), any other from its Start on. Each is supervised from
//! its first moment: [`Linux::supervise`] relays its streams, waits for its end and makes it known.
//! It may use `task`, `stdio`, `cgroup`, `oci` and `os`, and knows nothing of `rtos`.

mod checkpoint;
mod clean;
mod create;
mod engine;
mod exec;
mod oom;
mod process;
mod runtime;
mod streams;
mod supervise;
mod terminal;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use nix::unistd::{Gid, Uid};

use crate::cgroup::Cgroup;
use crate::stdio::Streams;
use crate::task::execs::Execs;
pub(crate) use clean::clean;
pub(crate) use create::create;
use exec::Exec;
use process::LinuxProcess;
use runtime::Runtime;
pub(crate) use runtime::program;

/// A Linux container.
#[derive(Debug)]
pub(crate) struct Linux {
    id: String,
    bundle: PathBuf,
    /// Where console sockets are made.
    sockets: PathBuf,
    sandbox: bool,
    /// Whether its processes end with the init process, because that is the first of a PID namespace.
    private_pids: bool,
    /// Who its pipes belong to.
    owner: (Uid, Gid),
    runtime: Runtime,
    /// What the runtime is told beside when it makes the container.
    flags: Vec<&'static str>,
    /// Where CRIU works.
    criu_work: PathBuf,
    /// The checkpoint that it goes on from.
    restored_from: Option<PathBuf>,
    /// The streams of one that Start will restore.
    waiting: Mutex<Option<Streams>>,
    /// Known once its process is there.
    cgroup: OnceLock<Cgroup>,
    /// While its process is there, if there is something to watch.
    oom: Mutex<Option<oom::Watch>>,
    init: Arc<LinuxProcess>,
    execs: Execs<Exec>,
}
