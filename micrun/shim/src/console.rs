//! Carries bytes between the RTOS console and the container's streams, and nothing else: no echo, no pacing,
//! no magic words.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libmica::ClientStatus;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use crate::auto_close::Presence;
use crate::mica::Mica;
use crate::tty::Tty;

/// One read of stdin at most, and as much as a terminal takes at once.
const BUFFER: usize = 4 * 1024;
/// How long firmware may take to announce its console (upstream's shim gives up after the same time).
const ANNOUNCE: Duration = Duration::from_secs(30);
/// First and longest pause between two looks for the console.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(250));

/// Finds and opens the console of a client that was just started.
///
/// The daemon's status names the device; firmware that announces it over rpmsg does so some time after the
/// start. `None` when there is none after [`ANNOUNCE`], or none at the RTOS's end.
pub(crate) async fn open(mica: &dyn Mica, name: &str, ended: &watch::Receiver<bool>) -> Option<Tty> {
    let mut pause = LOOK.0;
    let deadline = tokio::time::Instant::now() + ANNOUNCE;
    loop {
        // Read before the look: a console that is there at the end is still worth its contents.
        let over = *ended.borrow();
        match mica.status(name).await {
            Ok(status) => {
                for device in candidates(name, &status) {
                    match Tty::open(&device) {
                        Ok(tty) => return Some(tty),
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        Err(error) => log::warn!("cannot open the console {}: {error}", device.display()),
                    }
                }
            }
            Err(error) => log::warn!("cannot ask for the console of {name}: {error}"),
        }
        if over {
            return None;
        }
        if tokio::time::Instant::now() + pause > deadline {
            log::warn!("{name} has announced no console in {ANNOUNCE:?}; it runs without one");
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK.1);
    }
}

/// Devices in the order of their authority: what the daemon says, then the usual names.
fn candidates(name: &str, status: &ClientStatus) -> Vec<PathBuf> {
    let announced = status.services.iter().filter(|s| s.name.starts_with("rpmsg-tty"));
    let mut devices: Vec<PathBuf> = announced.filter_map(|s| s.device.clone()).collect();
    let usual = libmica::names::tty_name(name, 0);
    devices.extend([libmica::names::RUNTIME_DIR, "/dev"].map(|dir| PathBuf::from(dir).join(&usual)));
    devices
}

/// Copies stdin to the console until stdin ends: the client has closed it and so has `CloseIO`.
///
/// With `client`, nothing keeps stdin from ending while nobody is attached, and that end is only the client's:
/// the watch is told of it and of the next client, and the copy goes on.
pub(crate) async fn copy_in(tty: Arc<Tty>, stdin: Receiver, client: Option<Arc<Presence>>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        if stdin.readable().await.is_err() {
            return;
        }
        let result = stdin.try_read(&mut buffer);
        if let Some(client) = &client {
            client.set(!matches!(result, Ok(0)));
        }
        match result {
            Ok(0) if client.is_none() => return,
            // The kernel does not tell when a FIFO gets a writer.
            Ok(0) => tokio::time::sleep(LOOK.1).await,
            Ok(count) => {
                if let Err(error) = tty.write_all(&buffer[..count]).await {
                    log::warn!("{count} bytes of input are lost: writing the console failed: {error}");
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                log::warn!("reading stdin failed: {error}");
                return;
            }
        }
    }
}
