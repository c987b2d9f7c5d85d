//! Finds the console of an RTOS, and its other streams. Their bytes are relayed as they are: no echo, no pacing, no magic
//! words.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libmica::attach::{Attach, From, Mode};
use libmica::{ClientStatus, Error};
use micrun_firmware::{Delivery, StreamName};
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

/// A stream of a client's.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The client.
    pub client: String,
    /// The stream's name in a status; `None` is the console, whatever its name.
    pub name: Option<StreamName>,
    /// What happens when nobody takes it fast enough.
    pub delivery: Delivery,
}

/// Finds and opens a stream of a client that was just started.
///
/// The daemon's status names the device; firmware that announces it over rpmsg does so some time after the
/// start. `None` when there is none after [`ANNOUNCE`], or none at the RTOS's end.
pub(super) async fn open(
    mica: &Arc<dyn Mica>,
    stream: &Stream,
    ended: &watch::Receiver<bool>,
) -> Option<Tty> {
    let client = &stream.client;
    let mut pause = LOOK.0;
    let deadline = tokio::time::Instant::now() + ANNOUNCE;
    loop {
        // Read before the look: a console that is there at the end is still worth its contents.
        let over = *ended.borrow();
        match mica.status(client).await {
            Ok(status) => {
                if let Some(tty) = attach(mica, stream, &status).await {
                    return Some(tty);
                }
                for device in stream.candidates(&status) {
                    match Tty::open(&device) {
                        Ok(tty) => return Some(tty),
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        Err(error) => log::warn!("cannot open the console {}: {error}", device.display()),
                    }
                }
            }
            Err(error) => log::warn!("cannot ask for the console of {client}: {error}"),
        }
        if over {
            return None;
        }
        if tokio::time::Instant::now() + pause > deadline {
            match &stream.name {
                None => log::warn!("{client} has announced no console in {ANNOUNCE:?}; it runs without one"),
                Some(name) => log::warn!(
                    "{client} has announced no stream {name} in {ANNOUNCE:?}; its container's stderr stays without it"
                ),
            }
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK.1);
    }
}

/// Connects to the stream, if the firmware has announced it and the daemon knows how.
async fn attach(mica: &Arc<dyn Mica>, stream: &Stream, status: &ClientStatus) -> Option<Tty> {
    let device = stream.announced(status).next()?;
    match mica.attach(&stream.client, &stream.ask(From::Start)).await {
        Ok(connection) => {
            let (mica, stream) = (Arc::clone(mica), stream.clone());
            let dial =
                move |position| -> Dialled { Box::pin(dial(Arc::clone(&mica), stream.clone(), position)) };
            Some(Tty::Attached(Attached::new(connection, Box::new(dial)), device))
        }
        Err(Error::Unsupported { .. }) => None,
        Err(error) => {
            let client = &stream.client;
            log::warn!("cannot attach to the console of {client}, and read its device instead: {error}");
            None
        }
    }
}

/// Connects once more, when the process that has the console was killed; `None` if it does not come back. A daemon that is
/// away comes back, for all that is known.
async fn dial(mica: Arc<dyn Mica>, stream: Stream, position: u64) -> Option<UnixStream> {
    let client = &stream.client;
    log::warn!("the connection to the console of {client} is lost; another one goes on where it was");
    let deadline = tokio::time::Instant::now() + COME_BACK;
    loop {
        match mica.attach(client, &stream.ask(From::Position(position))).await {
            Ok(connection) => return Some(connection),
            Err(Error::DaemonNotRunning { .. }) => {}
            Err(error) if tokio::time::Instant::now() > deadline => {
                log::warn!("the console of {client} is gone: {error}");
                return None;
            }
            Err(Error::ClientNotFound { .. }) => return None,
            Err(_) => {}
        }
        tokio::time::sleep(LOOK.1).await;
    }
}

impl Stream {
    /// It from there on. If nothing may be lost, the firmware waits for whoever is a whole ring behind.
    fn ask(&self, from: From) -> Attach {
        let stream = self.name.as_ref().map_or("0", StreamName::as_str).to_owned();
        let mode = match self.delivery {
            Delivery::Lossless => Mode::Hold,
            Delivery::Lossy => Mode::Write,
        };
        Attach { stream, from, mode }
    }

    /// The devices that the daemon tells of it.
    fn announced<'a>(&'a self, status: &'a ClientStatus) -> impl Iterator<Item = PathBuf> + 'a {
        let fits = |name: &str| match &self.name {
            Some(wanted) => name == wanted.as_str(),
            None => libmica::names::is_terminal(name),
        };
        status.services.iter().filter(move |it| fits(&it.name)).filter_map(|it| it.device.clone())
    }

    /// Devices in the order of their authority: what the daemon says, then the usual names of a console.
    fn candidates(&self, status: &ClientStatus) -> Vec<PathBuf> {
        let mut devices: Vec<PathBuf> = self.announced(status).collect();
        if self.name.is_none() {
            let usual = libmica::names::tty_name(&self.client, 0);
            devices.extend([libmica::names::RUNTIME_DIR, "/dev"].map(|dir| PathBuf::from(dir).join(&usual)));
        }
        devices
    }
}
