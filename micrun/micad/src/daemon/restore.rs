//! Taking over what an earlier daemon left.

use std::sync::Arc;

use libmica::ext::{ExitReason, ExitReport};

use super::client::Client;
use super::state::SavedClient;
use super::{Daemon, socket};
use crate::Result;
use crate::error::file;
use crate::pedestal::{Guest, report};

impl Daemon {
    /// Takes over all clients of the runtime directory. What cannot be read is logged and left alone.
    pub(super) async fn restore(self: &Arc<Self>) -> Result<()> {
        self.remove_stale_sockets()?;
        let dir = self.clients_dir();
        let entries = std::fs::read_dir(&dir).map_err(file("read", &dir))?;
        for entry in entries.flatten() {
            if let Err(e) = self.restore_client(&entry.path()).await {
                log::error!("{}: not taken over: {}", entry.path().display(), e.sentence());
            }
        }
        Ok(())
    }

    async fn restore_client(self: &Arc<Self>, dir: &std::path::Path) -> Result<()> {
        let saved = SavedClient::read(dir)?;
        let spec = saved.spec(dir);
        let name = spec.name().to_owned();
        let pedestal = self.pedestals.find(&spec.message.pedestal)?;
        let (guest, exit): (Option<Box<dyn Guest>>, Option<ExitReport>) = match &saved.run {
            None => {
                pedestal.sweep(&spec).await;
                (None, saved.exit)
            }
            Some(run) => match pedestal.adopt(&spec, run).await {
                Ok(guest) => {
                    log::info!("{name}: taken over, {}", guest.runner());
                    (Some(guest), None)
                }
                Err(e) => {
                    log::warn!("{name}: {}", e.sentence());
                    // The link leads to a pty that is gone, or to a stranger's.
                    for link in std::iter::once(&spec.tty_link).chain(&spec.shell_link) {
                        socket::remove(link)?;
                    }
                    let detail = "it ended while no mica daemon was there to see it";
                    (None, Some(report(137, ExitReason::Killed, detail)))
                }
            },
        };
        let control = libmica::names::control_socket(&self.config.runtime_dir, &name)?;
        let listener = socket::listen(&control)?;
        self.insert(Client::spawn_with(spec, pedestal, guest, exit), listener);
        Ok(())
    }

    /// Removes the sockets of a daemon that was killed: the clients among them get new ones.
    fn remove_stale_sockets(&self) -> Result<()> {
        let dir = &self.config.runtime_dir;
        for entry in std::fs::read_dir(dir).map_err(file("read", dir))?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "socket") {
                socket::remove(&path)?;
            }
        }
        Ok(())
    }
}
