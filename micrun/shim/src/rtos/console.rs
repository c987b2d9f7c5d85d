//! Finds the console of an RTOS. Its bytes are relayed as they are: no echo, no pacing, no magic words.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libmica::attach::{Attach, From, Mode};
use libmica::{ClientStatus, Error};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::os::attached::{Attached, Dialled};
use crate::os::tty::Tty;
use crate::task::mica::Mica;

/// How long firmware may take to announce its console (upstream's shim gives up after the same time).
const ANNOUNCE: Duration = Duration::from_secs(30);
/// How long a console whose process was killed may take to come back.
const COME_BACK: Duration = Duration::from_secs(10);
/// First and longest pause between two looks for the console.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(250));

/// Finds and opens the console of a client that was just started.
///
/// The daemon's status names the device; firmware that announces it over rpmsg does so some time after the
/// start. `None` when there is none after [`ANNOUNCE`], or none at the RTOS's end.
pub(crate) async fn open(mica: &Arc<dyn Mica>, name: &str, ended: &watch::Receiver<bool>) -> Option<Tty> {
    let mut pause = LOOK.0;
    let deadline = tokio::time::Instant::now() + ANNOUNCE;
    loop {
        // Read before the look: a console that is there at the end is still worth its contents.
        let over = *ended.borrow();
        match mica.status(name).await {
            Ok(status) => {
                if let Some(tty) = attach(mica, name, &status).await {
                    return Some(tty);
                }
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

/// Connects to the console, if the firmware has announced one and the daemon knows how.
async fn attach(mica: &Arc<dyn Mica>, name: &str, status: &ClientStatus) -> Option<Tty> {
    let device = announced(status).next()?;
    match mica.attach(name, &ask(From::Start)).await {
        Ok(stream) => {
            let (mica, name) = (Arc::clone(mica), name.to_owned());
            let dial =
                move |position| -> Dialled { Box::pin(dial(Arc::clone(&mica), name.clone(), position)) };
            Some(Tty::Attached(Attached::new(stream, Box::new(dial)), device))
        }
        Err(Error::Unsupported { .. }) => None,
        Err(error) => {
            log::warn!("cannot attach to the console of {name}, and read its device instead: {error}");
            None
        }
    }
}

/// The console from there on. The firmware waits for whoever is a whole ring behind: no byte of it is lost.
fn ask(from: From) -> Attach {
    Attach { stream: "0".to_owned(), from, mode: Mode::Hold }
}

/// Connects once more, when the process that has the console was killed; `None` if it does not come back. A daemon that is
/// away comes back, for all that is known.
async fn dial(mica: Arc<dyn Mica>, name: String, position: u64) -> Option<UnixStream> {
    log::warn!("the connection to the console of {name} is lost; another one goes on where it was");
    let deadline = tokio::time::Instant::now() + COME_BACK;
    loop {
        match mica.attach(&name, &ask(From::Position(position))).await {
            Ok(stream) => return Some(stream),
            Err(Error::DaemonNotRunning { .. }) => {}
            Err(error) if tokio::time::Instant::now() > deadline => {
                log::warn!("the console of {name} is gone: {error}");
                return None;
            }
            Err(Error::ClientNotFound { .. }) => return None,
            Err(_) => {}
        }
        tokio::time::sleep(LOOK.1).await;
    }
}

/// The devices of the consoles that the daemon tells.
fn announced(status: &ClientStatus) -> impl Iterator<Item = PathBuf> {
    let announced = status.services.iter().filter(|s| s.name.starts_with("rpmsg-tty"));
    announced.filter_map(|s| s.device.clone())
}

/// Devices in the order of their authority: what the daemon says, then the usual names.
fn candidates(name: &str, status: &ClientStatus) -> Vec<PathBuf> {
    let mut devices: Vec<PathBuf> = announced(status).collect();
    let usual = libmica::names::tty_name(name, 0);
    devices.extend([libmica::names::RUNTIME_DIR, "/dev"].map(|dir| PathBuf::from(dir).join(&usual)));
    devices
}
