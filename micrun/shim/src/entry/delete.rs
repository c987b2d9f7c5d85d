//! `delete`: cleans up after a shim that is gone, or that containerd has lost. Anything may be missing already.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use micrun_firmware::HostConf;
use micrun_firmware::host_conf::Locations;

use crate::cgroup::{Cgroup, Layout};
use crate::entry::args::Args;
use crate::entry::living::{self, Server};
use crate::entry::logger;
use crate::entry::start::ADDRESS_FILE;
use crate::error::{Error, Result, describe};
use crate::linux;
use crate::oci::mount;
use crate::os::blocking;
use crate::rtos::end;
use crate::rtos::state_dir::{self, StateDir};
use crate::sandbox::Files;
use crate::task::exit::Exit;
use crate::task::mica::Mica;

/// How long a dying server may take to hang up.
const HANG_UP: Duration = Duration::from_millis(500);

/// Runs the action and prints a `DeleteResponse`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let bundle = match &args.bundle {
        dir if dir.as_os_str().is_empty() => std::env::current_dir().map_err(Error::io("find", "."))?,
        dir => dir.clone(),
    };
    if let Ok(log) = logger::open(&bundle) {
        logger::install(log, &args.namespace, &args.id, args.debug);
    }
    let runtime = blocking::runtime().map_err(Error::io("start", "the async runtime"))?;
    let (pid, exit) = runtime.block_on(clean(args, &bundle, &libmica::Client::default()))?;

    let mut response = DeleteResponse::new();
    response.pid = pid;
    response.exit_status = exit.status;
    response.exited_at = Some(Timestamp::from(exit.at)).into();
    let bytes = response.write_to_bytes().map_err(Error::encode("DeleteResponse"))?;
    std::io::stdout().write_all(&bytes).map_err(Error::io("write", "stdout"))
}

/// Removes the server's socket, unless other containers of the pod still have a server behind it.
fn remove_dead_socket(bundle: &Path) {
    let Ok(address) = std::fs::read_to_string(bundle.join(ADDRESS_FILE)) else { return };
    let socket = Path::new(address.trim_start_matches("unix://"));
    if !is_served(socket) {
        // It may be gone already.
        let _ = std::fs::remove_file(socket);
    }
}

/// A killed server's listening socket is the last of its descriptors that the kernel closes: it may still take
/// a connection, but it hangs up on it at once, which a living server never does.
fn is_served(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let patient = stream.set_read_timeout(Some(HANG_UP));
    let silence = stream.read(&mut [0]).err().map(|error| error.kind());
    patient.is_err() || silence == Some(ErrorKind::WouldBlock)
}

/// Removes what the container left; gives its shim's process id, or 0, and how it ended. What cannot be removed is
/// logged: containerd would only ask again. The one refusal is for what a later shim has made.
async fn clean(args: &Args, bundle: &Path, mica: &dyn Mica) -> Result<(u32, Exit)> {
    let killed = Exit::killed();
    let conf = HostConf::load(&Locations::from_env(std::env::vars()));
    let conf = conf.inspect_err(|error| log::error!("{error}")).unwrap_or_default();
    let state_root = state_dir::root(&conf);
    match living::end(bundle, &args.id).await {
        Server::Ended(pid, exit) => return Ok((pid, exit)),
        Server::Other => {}
        Server::Gone => remove_dead_socket(bundle),
    }
    // Of a sandbox whose server is gone, whether or not the pod has another by now.
    drop(Files::of(&state_root, &args.id));
    let linux = linux::clean(&args.id, bundle).await;
    mount::unmount_all(bundle);
    if let Some(pid) = linux {
        return Ok((pid, killed));
    }
    let dir = StateDir::of(&state_root, &args.id);
    let Some(owner) = dir.owner()? else {
        // The shim has died before it could say whose it is: nothing was made of it yet.
        dir.remove().unwrap_or_else(|error| log::warn!("{}", describe(&error)));
        return Ok((0, killed));
    };
    if owner.namespace != args.namespace {
        log::info!(
            container = args.id;
            "{} belongs to namespace {}; nothing to clean", args.id, owner.namespace
        );
        return Ok((0, killed));
    }
    let ended = end_before(mica, &args.id).await;
    match mica.remove(&args.id).await {
        Ok(()) | Err(libmica::Error::ClientNotFound { .. }) => {}
        Err(error) => log::warn!(
            container = args.id;
            "the daemon did not remove {}: {}", args.id, describe(&error)
        ),
    }
    match Layout::detect().and_then(|layout| Cgroup::of(layout, &owner.cgroups_path)) {
        Ok(cgroup) => cgroup.remove().await,
        Err(error) => log::debug!("{}", describe(&error)),
    }
    if let Err(error) = dir.remove() {
        log::warn!("{}", describe(&error));
    }
    log::info!(container = args.id; "cleaned up after {}", args.id);
    Ok((owner.pid, ended.unwrap_or(killed)))
}

/// How the firmware ended, if it did so by itself after its shim: the daemon has seen it.
async fn end_before(mica: &dyn Mica, id: &str) -> Option<Exit> {
    let report = mica.stats(id).await.ok()?.exit?;
    Some(end::reported(report).exit(None))
}
