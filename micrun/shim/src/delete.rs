//! `delete`: cleans up after a shim that is gone. Anything may be missing already.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use nix::libc::SIGKILL;

use crate::args::Args;
use crate::bundle::Spec;
use crate::error::{Error, Result, describe};
use crate::mica::Mica;
use crate::start::ADDRESS_FILE;
use crate::state_dir::{ROOT, StateDir};
use crate::{exit, logger, mount};

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start", "the async runtime"))?;
    let pid = runtime.block_on(clean(args, &bundle, &libmica::Client::default()));

    let exit = exit::signalled(SIGKILL.unsigned_abs());
    let mut response = DeleteResponse::new();
    response.pid = pid;
    response.exit_status = exit.status;
    response.exited_at = Some(Timestamp::from(SystemTime::now())).into();
    let bytes =
        response.write_to_bytes().map_err(|e| Error::Invalid(format!("cannot encode the response: {e}")))?;
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

/// Removes what the container left and returns its shim's process id, or 0. What cannot be removed is logged:
/// containerd would only ask again.
async fn clean(args: &Args, bundle: &Path, mica: &dyn Mica) -> u32 {
    let spec = Spec::read(bundle).unwrap_or_default();
    mount::unmount(&spec.rootfs(bundle));
    remove_dead_socket(bundle);
    let dir = StateDir::of(Path::new(ROOT), &args.id);
    let Some(owner) = dir.owner() else { return 0 };
    if owner.namespace != args.namespace {
        log::info!("{} belongs to namespace {}; nothing to clean", args.id, owner.namespace);
        return 0;
    }
    match mica.remove(&args.id).await {
        Ok(()) | Err(libmica::Error::ClientNotFound { .. }) => {}
        Err(error) => log::warn!("the daemon did not remove {}: {}", args.id, describe(&error)),
    }
    if let Err(error) = dir.remove() {
        log::warn!("{}", describe(&error));
    }
    log::info!("cleaned up after {}", args.id);
    owner.pid
}
