//! Finds the console of an RTOS. Its bytes are relayed as they are: no echo, no pacing, no magic words.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use libmica::ClientStatus;
use tokio::sync::watch;

use crate::os::tty::Tty;
use crate::task::mica::Mica;

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
