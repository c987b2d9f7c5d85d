//! Carries bytes between the RTOS console and the container's streams, and nothing else: no echo, no pacing,
//! no magic words.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libmica::ClientStatus;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use crate::mica::Mica;
use crate::stdio::Output;
use crate::tty::Tty;

/// One read of the console at most. A pty hands out 4 KiB at a time, a FIFO takes 64.
const BUFFER: usize = 64 * 1024;
/// How long output may wait for a reader after the RTOS has ended.
const LINGER: Duration = Duration::from_secs(10);
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

/// Copies the console to stdout until the RTOS has ended and everything it wrote is delivered.
///
/// Without a reader the copy waits, and so does the RTOS when its buffers are full: nothing is dropped. After
/// the end a reader that takes nothing for [`LINGER`] loses the rest, and the log says how much.
pub(crate) async fn copy_out(tty: Arc<Tty>, stdout: Option<Output>, mut ended: watch::Receiver<bool>) {
    let mut buffer = vec![0; BUFFER];
    let mut over = false;
    loop {
        let result = if over {
            tty.try_read(&mut buffer)
        } else {
            tokio::select! {
                result = tty.read(&mut buffer) => result,
                _ = ended.wait_for(|ended| *ended) => {
                    over = true;
                    continue;
                }
            }
        };
        let count = match result {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // EAGAIN: drained. EIO: the other side of the pty is gone.
            Err(error) => {
                if !over && error.raw_os_error() != Some(nix::libc::EIO) {
                    log::warn!("reading the console failed: {error}");
                }
                break;
            }
        };
        if let Some(stdout) = &stdout
            && let Err(lost) = write_all(stdout, &buffer[..count], &mut ended).await
        {
            log::error!("{lost} bytes of output and what followed are lost: nobody read stdout");
            break;
        }
    }
}

/// Writes all bytes, or says how many are left when the RTOS has ended and nobody reads.
async fn write_all(out: &Output, mut bytes: &[u8], ended: &mut watch::Receiver<bool>) -> Result<(), usize> {
    while !bytes.is_empty() {
        match out.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let over = async {
                    // An error means that the sender is gone, which is an end as well.
                    let _ = ended.wait_for(|ended| *ended).await;
                    tokio::time::sleep(LINGER).await;
                };
                tokio::select! {
                    ready = out.writable() => ready.map_err(|_| bytes.len())?,
                    () = over => return Err(bytes.len()),
                }
            }
            Err(error) => {
                log::warn!("writing stdout failed: {error}");
                return Err(bytes.len());
            }
        }
    }
    Ok(())
}

/// Copies stdin to the console until stdin ends: the client has closed it and so has `CloseIO`.
pub(crate) async fn copy_in(tty: Arc<Tty>, stdin: Receiver) {
    let mut buffer = vec![0; BUFFER];
    loop {
        if stdin.readable().await.is_err() {
            return;
        }
        match stdin.try_read(&mut buffer) {
            Ok(0) => return,
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
