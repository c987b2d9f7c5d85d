//! Carries bytes between the RTOS console and the container's streams, and nothing else: no echo, no pacing,
//! no magic words.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libmica::ClientStatus;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use crate::os::tty::Tty;
use crate::stdio::presence::Presence;
use crate::task::mica::Mica;

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
/// the copy goes on with the next one, and `client` knows.
pub(crate) async fn copy_in(tty: Arc<Tty>, mut stdin: Receiver, client: Option<Arc<Presence>>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        if let Some(client) = &client {
            stdin = match next_client(stdin, client).await {
                Ok(stdin) => stdin,
                Err(error) => return log::warn!("waiting for a client on stdin failed: {error}"),
            };
        }
        let count = match stdin.read(&mut buffer).await {
            Ok(0) if client.is_some() => continue,
            Ok(0) => return,
            Ok(count) => count,
            Err(error) => return log::warn!("reading stdin failed: {error}"),
        };
        if let Err(error) = tty.write_all(&buffer[..count]).await {
            return log::warn!("{count} bytes of input are lost: writing the console failed: {error}");
        }
    }
}

/// Waits until somebody has the FIFO open for writing.
///
/// The kernel does not tell when that happens, so it is asked now and then; and as tokio never forgets that
/// a pipe was hung up, it gets the descriptor anew.
async fn next_client(stdin: Receiver, client: &Presence) -> io::Result<Receiver> {
    let fd = stdin.into_nonblocking_fd()?;
    while hung_up(&fd)? {
        client.set(false);
        tokio::time::sleep(LOOK.1).await;
    }
    client.set(true);
    Receiver::from_owned_fd(fd)
}

/// Whether all writers have gone, and all they wrote has been read.
fn hung_up(fifo: &OwnedFd) -> io::Result<bool> {
    let mut state = [PollFd::new(fifo.as_fd(), PollFlags::POLLIN)];
    poll(&mut state, PollTimeout::ZERO)?;
    Ok(state[0].revents() == Some(PollFlags::POLLHUP))
}
