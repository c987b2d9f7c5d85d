//! A run from its start to its end, whatever happens to containerd and to this program meanwhile.

use std::process::Stdio;
use std::time::Duration;

use micrun_containerd::api::snapshots::Mount;
use micrun_containerd::api::tasks::Status;
use micrun_containerd::{Client, Place};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::args::Args;
use crate::error::{Error, Result};
use crate::{container, image, spec, task};

const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
/// Between two looks at a containerd that does not answer.
const PAUSE: Duration = Duration::from_millis(200);
/// How long containerd may take to learn of an end that the console has shown, and the console to show one that containerd
/// has told.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the container, and gives the exit status of its firmware.
pub(crate) async fn run(args: &Args) -> Result<u8> {
    // From the first on: a stop that comes during the start is not lost.
    let mut stop = signal(SignalKind::terminate()).map_err(|source| Error::Signals { source })?;
    let place = Place::new(None, None);
    let mut client = Client::connect(&place).await?;
    let is_new = begin(&mut client, &place, args).await?;
    let mut console = console(&args.name, is_new)?;
    let ended = watch(&place, &client, &args.name, &mut stop, &mut console).await;
    // All that it has shown is in the journal before its end is.
    if timeout(PATIENCE, console.wait()).await.is_err() {
        let _ = console.kill().await;
    }
    if matches!(ended, Err(Error::Console { .. })) {
        // It may run on.
        return ended.map(|_| 1);
    }
    clean(&Client::connect(&place).await?, &args.name).await?;
    Ok(u8::try_from(ended?).unwrap_or(u8::MAX))
}

/// Ends what did not heed the stop of its unit.
pub(crate) async fn end(name: &str) -> Result<u8> {
    let client = Client::connect(&Place::new(None, None)).await?;
    if task::state(&client, name).await?.is_some() {
        task::kill(&client, name, SIGKILL).await?;
        task::wait(&client, name).await?;
    }
    clean(&client, name).await?;
    Ok(0)
}

/// The firmware runs afterwards. Whether it does from now on; else it outlived this program, which has shown all until then.
async fn begin(client: &mut Client, place: &Place, args: &Args) -> Result<bool> {
    let name = &args.name;
    match task::state(client, name).await? {
        Some(Status::Created) => task::start(client, name).await.map(|()| true),
        Some(_) => Ok(false),
        None => {
            // A power cut leaves the container without its task.
            match container::find(client, name).await? {
                Some(found) if container::is_ours(&found) => container::remove(client, &found).await?,
                Some(_) => return Err(Error::Taken { name: name.clone() }),
                None => {}
            }
            let rootfs = create(client, place, args).await?;
            let started = async {
                task::create(client, name, rootfs).await?;
                task::start(client, name).await
            };
            if let Err(error) = started.await {
                // What is left of it is not what the unit failed of.
                let _ = clean(client, name).await;
                return Err(error);
            }
            Ok(true)
        }
    }
}

/// Makes the container; gives what its file system is mounted from.
async fn create(client: &mut Client, place: &Place, args: &Args) -> Result<Vec<Mount>> {
    let name = args.image.as_deref().unwrap_or_default();
    // There is one such unit, and what it left in a power cut must not be in the way of the next.
    let lease = format!("micrun-run-{}", args.name);
    let image = image::find(client, name, &lease, &args.snapshotter).await?;
    let spec = spec::of(args, &place.namespace, &image.config);
    container::create(client, args, &image, name, spec).await
}

/// Its console, on the standard output. From micad, not from containerd, which may be started anew meanwhile.
fn console(name: &str, is_new: bool) -> Result<Child> {
    let mut command = Command::new("mica");
    command.args(["logs", "--follow"]);
    if !is_new {
        command.args(["--tail", "0"]);
    }
    command.arg(name).stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(|source| Error::Mica { source })
}

/// Waits for the end, over ends of containerd, and passes a stop on.
async fn watch(
    place: &Place,
    first: &Client,
    name: &str,
    stop: &mut Signal,
    console: &mut Child,
) -> Result<u32> {
    let end = async {
        match task::wait(first, name).await {
            Ok(status) => Ok(status),
            Err(_) => wait_anew(place, name).await,
        }
    };
    tokio::pin!(end);
    let mut is_shown = true;
    loop {
        tokio::select! {
            ended = &mut end => return ended,
            _ = stop.recv() => ask_to_end(place, name).await?,
            _ = console.wait(), if is_shown => is_shown = false,
            () = sleep(PATIENCE), if !is_shown => return Err(Error::Console { name: name.to_owned() }),
        }
    }
}

/// Asks the firmware to end, as soon as containerd is there.
async fn ask_to_end(place: &Place, name: &str) -> Result<()> {
    loop {
        let asked = match Client::connect(place).await {
            Ok(client) => task::kill(&client, name, SIGTERM).await,
            Err(error) => Err(error.into()),
        };
        match asked {
            Err(Error::Containerd(error)) if error.is_lost() => sleep(PAUSE).await,
            asked => return asked,
        }
    }
}

/// Waits for the end once containerd or the shim was lost.
async fn wait_anew(place: &Place, name: &str) -> Result<u32> {
    loop {
        sleep(PAUSE).await;
        let Ok(client) = Client::connect(place).await else { continue };
        match task::state(&client, name).await {
            Ok(Some(_)) => {
                if let Ok(status) = task::wait(&client, name).await {
                    return Ok(status);
                }
            }
            Ok(None) => return Err(Error::Gone { name: name.to_owned() }),
            Err(_) => {}
        }
    }
}

/// Nothing of the container is left.
async fn clean(client: &Client, name: &str) -> Result<()> {
    task::remove(client, name).await?;
    match container::find(client, name).await? {
        Some(found) if container::is_ours(&found) => container::remove(client, &found).await,
        _ => Ok(()),
    }
}
