//! Noticing that something has changed at a remoteproc.
//!
//! The kernel's events (netlink, `NETLINK_KOBJECT_UEVENT`) tell of devices that come and go below a remoteproc,
//! and, with our driver, that firmware has ended. The remoteproc core itself announces no change of state, so a
//! remoteproc of another driver is looked at every [`SLOW`].

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use tokio::io::unix::AsyncFd;

use super::sysfs::{Remoteproc, System};
use crate::error::system;
use crate::{Result, sys};

/// How often a remoteproc is looked at whose driver does not announce the firmware's end.
const SLOW: Duration = Duration::from_millis(200);
/// The multicast group with the kernel's own events.
const KERNEL_GROUP: u32 = 1;
/// Longest event (`UEVENT_BUFFER_SIZE` is 2048), with room.
const EVENT_SIZE: usize = 8192;

/// The events of one remoteproc and of everything below it.
#[derive(Debug)]
pub(super) struct Watch {
    events: Option<AsyncFd<OwnedFd>>,
    /// Its path without `/sys`, as events name it.
    devpath: String,
    slow: bool,
}

impl Watch {
    /// Watches from now on.
    pub(super) fn new(system: &System, remoteproc: &Remoteproc) -> Self {
        let devpath = remoteproc.dir().strip_prefix(system.path("/sys")).unwrap_or(Path::new(""));
        // A simulated kernel sends none.
        let events = system.is_real().then(open).and_then(|opened| {
            opened
                .inspect_err(|e| {
                    log::warn!("{}: changes of {} will be noticed late", e.sentence(), remoteproc.id);
                })
                .ok()
        });
        let slow = events.is_none() || !remoteproc.announces_end();
        Self { events, devpath: format!("/{}", devpath.display()), slow }
    }

    /// Returns when something may have changed. May be cancelled.
    pub(super) async fn changed(&self) {
        let slow = async {
            if self.slow {
                tokio::time::sleep(SLOW).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.event() => {}
            () = slow => {}
        }
    }

    async fn event(&self) {
        let Some(socket) = &self.events else { return std::future::pending().await };
        loop {
            // An error comes only with the end of the runtime.
            let Ok(mut ready) = socket.readable().await else { return std::future::pending().await };
            let mut event = vec![0; EVENT_SIZE];
            let received = rustix::net::recv(socket.get_ref(), &mut event[..], RecvFlags::DONTWAIT);
            match received {
                Ok((_, length)) => {
                    if self.concerns(&event[..length]) {
                        return;
                    }
                }
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                // More came than the socket holds: anything may have changed.
                Err(_) => return,
            }
        }
    }

    /// An event is `ACTION@DEVPATH`, then a NUL and `KEY=VALUE`, each with a NUL.
    fn concerns(&self, event: &[u8]) -> bool {
        let head = event.split(|&b| b == 0).next().unwrap_or_default();
        let path = head.splitn(2, |&b| b == b'@').nth(1).unwrap_or_default();
        path.strip_prefix(self.devpath.as_bytes())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    }
}

fn open() -> Result<AsyncFd<OwnedFd>> {
    let doing = "listen for the kernel's events";
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))
            .map_err(system(doing))?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, KERNEL_GROUP)).map_err(system(doing))?;
    sys::watch(socket).map_err(system(doing))
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn events_of_the_remoteproc_and_below() {
        let devpath = "/devices/platform/rtos/remoteproc/remoteproc0".to_owned();
        let watch = Watch { events: None, devpath, slow: true };
        let about = |path: &str| watch.concerns(format!("change@{path}\0ACTION=change\0").as_bytes());
        assert!(about("/devices/platform/rtos/remoteproc/remoteproc0"));
        assert!(about("/devices/platform/rtos/remoteproc/remoteproc0/virtio0/tty/ttyRPMSG0"));
        assert!(!about("/devices/platform/rtos/remoteproc/remoteproc01"));
        assert!(!about("/devices/platform/rtos"));
        assert!(!watch.concerns(b""));
        assert!(!watch.concerns(b"libudev"));
    }
}
