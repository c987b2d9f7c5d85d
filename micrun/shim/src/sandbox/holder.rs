//! Starts the holder of a pod's namespaces, and ends it.
//!
//! A thread enters or makes the namespaces and starts the holder, which inherits them; then the thread ends. No process
//! stands in between, and nobody has to be reaped. A container of an OCI runtime would do the same with an image or a
//! static program, neither of which the Sandbox API brings along.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

use super::config::{Config, Mode};
use super::users::Order;
use super::{hold, sysctl};
use crate::error::{Error, Result};
use crate::os::children::{self, Child};

/// What `ps` shows.
pub(super) const NAME: &str = "micrun-pause";
/// Longest that it may take to hold.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running holder.
#[derive(Debug)]
pub(super) struct Holder {
    /// Its process.
    pub child: Child,
    /// It holds as long as this is open; the kernel closes it with the shim.
    pub stdin: OwnedFd,
}

impl Holder {
    /// Starts one in the network namespace at `network`, or in the machine's when there is none.
    pub(super) async fn start(config: &Config, network: Option<PathBuf>, id: &str) -> Result<Self> {
        let (stdin, child_stdin, words, stdout) = pipes().map_err(Error::io("make", "a pipe"))?;
        let hold = children::hold();
        let (tell, told) = oneshot::channel();
        let (config, id) = (config.clone(), id.to_owned());
        let named = id.clone();
        let spawn = move || {
            let streams = (Stdio::from(child_stdin), Stdio::from(stdout));
            // Nobody listens when the request was given up; the holder then ends with its stdin.
            let _ = tell.send(start_inside(&config, network.as_deref(), &id, streams));
        };
        std::thread::Builder::new().spawn(spawn).map_err(Error::io("start", "a thread"))?;
        let pid = told.await.map_err(|_| Error::io("start", NAME)(io::ErrorKind::Other.into()))??;
        let child = Child::adopt(pid).map_err(Error::io("take over", NAME))?;
        drop(hold);
        let holder = Self { child, stdin };
        let word = heard(words).await;
        if word.as_deref().is_ok_and(|word| word == hold::READY) {
            return Ok(holder);
        }
        let Self { child, stdin } = holder;
        drop(stdin);
        let _ = child.wait().await;
        let reason = word.unwrap_or_else(|error| error.to_string());
        Err(Error::Holder { id: named, reason })
    }
}

/// The holder's stdin from both ends, and its stdout from both ends.
fn pipes() -> io::Result<(OwnedFd, OwnedFd, Receiver, OwnedFd)> {
    let (child_stdin, stdin) = io::pipe()?;
    let (words, stdout) = io::pipe()?;
    Ok((stdin.into(), child_stdin.into(), Receiver::from_owned_fd(words.into())?, stdout.into()))
}

async fn heard(mut words: Receiver) -> io::Result<String> {
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, words.read_to_string(&mut text)).await??;
    Ok(text)
}

/// Moves the calling thread into the pod's namespaces and starts the holder in them; gives its process id.
fn start_inside(
    config: &Config,
    network: Option<&Path>,
    id: &str,
    (stdin, stdout): (Stdio, Stdio),
) -> Result<u32> {
    let hostname = if config.network == Mode::Node { "" } else { &config.hostname };
    if let Some(map) = &config.users {
        let order = Order::new(id, hostname, namespaces(config), network, &config.sysctls);
        return order.give(map, (stdin, stdout));
    }
    network.map_or(Ok(()), enter_network)?;
    unshare(namespaces(config)).map_err(|errno| Error::io("make", "the pod's namespaces")(errno.into()))?;
    set_hostname(hostname)?;
    sysctl::apply(&config.sysctls)?;
    spawn(id, (stdin, stdout))
}

/// Moves the caller into a network namespace.
pub(super) fn enter_network(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| Error::io("enter", path)(errno.into()))
}

/// Sets the host name of the caller's namespace, if there is one to set.
pub(super) fn set_hostname(name: &str) -> Result<()> {
    if name.is_empty() {
        return Ok(());
    }
    nix::unistd::sethostname(name).map_err(|errno| Error::io("set the host name", name)(errno.into()))
}

/// Starts the holder in the caller's namespaces; gives its process id.
pub(super) fn spawn(id: &str, (stdin, stdout): (Stdio, Stdio)) -> Result<u32> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).args(["-id", id, "hold"]).env_clear();
    let child = command.stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn();
    child.map(|child| child.id()).map_err(Error::io("start", NAME))
}

/// The new ones. As with a pause container, a pod in the machine's network has the machine's host name.
fn namespaces(config: &Config) -> CloneFlags {
    let wanted = [
        (config.network != Mode::Node, CloneFlags::CLONE_NEWUTS),
        (config.ipc != Mode::Node, CloneFlags::CLONE_NEWIPC),
        (config.pid == Mode::Pod, CloneFlags::CLONE_NEWPID),
    ];
    wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, flag)| flag).collect()
}
