//! `start`: brings up the server of a container's pod, or finds it, and answers its address.

use std::fs::File;
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use micrun_firmware::host_conf::variables::SHIM_VERSION;
use sha2::{Digest, Sha256};

use crate::cgroup;
use crate::entry::args::Args;
use crate::entry::logger;
use crate::entry::reply::{self, Caller};
use crate::entry::server::handled_signals;
use crate::error::{Error, Result};
use crate::oci::bundle::Spec;

/// Where containerd's own shims have their sockets.
const SOCKET_DIR: &str = "/run/containerd/s";
/// Longest stdin that is read: `BootstrapParams` with its extensions are a few kilobytes.
const STDIN_LIMIT: u64 = 4 << 20;
/// Environment variable with containerd's ttrpc address.
pub(crate) const TTRPC_ADDRESS: &str = "TTRPC_ADDRESS";
/// Files that containerd and operators look for in the bundle.
pub(crate) const ADDRESS_FILE: &str = "address";
const PID_FILE: &str = "shim.pid";
/// The highest score (proc(5), `oom_score_adj`).
const MAX_OOM_SCORE: i32 = 1000;

/// The annotation that says which version to announce; [`SHIM_VERSION`] is its default.
const VERSION_ANNOTATION: &str = "org.openeuler.micrun.runtime.shim_version";

/// Runs the action; the bundle is the working directory.
pub(crate) fn run(args: &Args) -> Result<()> {
    let max_version = std::env::var("MAX_SHIM_VERSION").ok();
    let caller = Caller::recognize(&read_stdin()?, max_version.as_deref(), args)?;
    let args = &caller.complete(args);
    let bundle = std::env::current_dir().map_err(Error::io("find", "."))?;
    // A sandbox of the Sandbox API has a bundle without a specification.
    let spec = Spec::read_if_there(&bundle)?.unwrap_or_default();
    let version = asked_version(&spec)?;
    let address = address(args, &caller, &spec);
    let socket = Path::new(address.strip_prefix("unix://").unwrap_or(&address));
    if UnixStream::connect(socket).is_err() {
        let cgroup = caller.shim_cgroup()?;
        if !cgroup.is_empty() {
            // The server inherits it.
            cgroup::join(&cgroup)?;
        }
        spawn(args, &caller, &bundle, socket)?;
    }
    std::fs::write(ADDRESS_FILE, &address).map_err(Error::io("write", ADDRESS_FILE))?;
    stdout().write_all(&caller.reply(&address, version)?).map_err(Error::io("write", "stdout"))
}

/// The version that the operator wants to be announced; the annotation goes first.
fn asked_version(spec: &Spec) -> Result<Option<i32>> {
    let annotation = spec.annotations.get(VERSION_ANNOTATION).cloned();
    let value = annotation.or_else(|| std::env::var(SHIM_VERSION).ok()).filter(|value| !value.is_empty());
    value.map(|value| reply::asked_version(&value)).transpose()
}

fn read_stdin() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if !stdin().is_terminal() {
        stdin().take(STDIN_LIMIT).read_to_end(&mut bytes).map_err(Error::io("read", "stdin"))?;
    }
    Ok(bytes)
}

/// One server per pod: the group's id, not the container's, names the socket.
fn address(args: &Args, caller: &Caller, spec: &Spec) -> String {
    let group = spec.group().unwrap_or(&args.id);
    let dir = match caller {
        Caller::Bootstrap(params) if !params.socket_dir().is_empty() => params.socket_dir(),
        _ => SOCKET_DIR,
    };
    let name = hex::encode(Sha256::digest(format!("{}/{}/{group}", args.address, args.namespace)));
    format!("unix://{dir}/{name}")
}

/// Starts the server, detached, with its listening socket as stdin: a connection made from now on waits there.
fn spawn(args: &Args, caller: &Caller, bundle: &Path, socket: &Path) -> Result<()> {
    let listener = listen(socket)?;
    // By its own name, so that an operator finds it in `ps`.
    let program = std::env::current_exe().map_err(Error::io("find", "/proc/self/exe"))?;
    let mut command = Command::new(&program);
    command
        .args(["-namespace", &args.namespace, "-id", &args.id, "-address", &args.address])
        .args(["-publish-binary", &args.publish_binary])
        .args(args.debug.then_some("-debug"))
        .stdin(OwnedFd::from(listener))
        // Away from the signals of whoever ran containerd's terminal, as containerd's own shim. Not in a session of its
        // own: the scheduler weighs each session as one (sched(7), autogroup), so that a shim and its runtime would have
        // to share with what a user has set to a nice of 19 as equals.
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(logger::open(bundle).map_or_else(|_| Stdio::null(), Stdio::from));
    if let Caller::Bootstrap(params) = caller
        && !params.containerd_ttrpc_address.is_empty()
    {
        command.env(TTRPC_ADDRESS, &params.containerd_ttrpc_address);
    }
    // Which the server inherits.
    handled_signals().thread_block().map_err(|errno| Error::io("block", "signals")(errno.into()))?;
    let child = command.spawn().map_err(Error::io("start", &program))?;
    protect(child.id());
    let mut file = File::create(PID_FILE).map_err(Error::io("write", PID_FILE))?;
    write!(file, "{}", child.id()).map_err(Error::io("write", PID_FILE))
}

/// Has the kernel kill the shim's containers before the shim, and the shim before containerd, when memory runs out:
/// containerd's own shim gets the score of containerd and one more (`AdjustOOMScore`).
fn protect(shim: u32) {
    let place = |pid: u32| format!("/proc/{pid}/oom_score_adj");
    let containerd = std::fs::read_to_string(place(std::os::unix::process::parent_id()));
    if let Some(score) = containerd.ok().and_then(|text| text.trim().parse::<i32>().ok()) {
        // Without the right to it, the shim has the score of whoever has started it.
        let _ = std::fs::write(place(shim), (score + 1).min(MAX_OOM_SCORE).to_string());
    }
}

fn listen(socket: &Path) -> Result<UnixListener> {
    if let Some(dir) = socket.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(dir)
            .map_err(Error::io("create", dir))?;
    }
    // Nobody answered on it, so it is what a killed shim has left.
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(Error::io("listen on", socket))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .map_err(Error::io("restrict", socket))?;
    Ok(listener)
}
