//! Taking over what an earlier daemon left.

use std::path::Path;
use std::sync::Arc;

use libmica::ext::{ExitReason, ExitReport};
use micrun_firmware::client_conf::QemuSection;

use super::client::Client;
use super::state::SavedClient;
use super::{Daemon, socket};
use crate::config;
use crate::error::file;
use crate::metrics::counts;
use crate::pedestal::{ClientSpec, Guest, Marker, Pedestal, report};
use crate::{Result, blocking};

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

    async fn restore_client(self: &Arc<Self>, dir: &Path) -> Result<()> {
        let saved = SavedClient::read(dir)?;
        let pedestal = self.pedestals.find(&saved.message().pedestal)?;
        let name = saved.message().name.clone();
        let spec = saved.spec(dir, || {
            pedestal.read_conf(saved.message()).unwrap_or_else(|e| {
                log::warn!("{name}: its next start gets a default machine: {}", e.sentence());
                QemuSection::default()
            })
        });
        let (mut guest, exit): (Option<Box<dyn Guest>>, Option<ExitReport>) = match (saved.run, saved.exit) {
            (Some(run), None) => match take_over(&*pedestal, &spec, &run).await {
                Ok(guest) if Marker::of(&spec).is_set() => {
                    let (guest, exit) = end_half_patched(&spec, guest).await?;
                    (Some(guest), Some(exit))
                }
                Ok(guest) => {
                    log::info!("{name}: taken over, {}", guest.runner());
                    (Some(guest), None)
                }
                Err(e) => {
                    log::warn!("{name}: {}", e.sentence());
                    let detail = "it ended while no mica daemon was running";
                    counts::EXITS.count(ExitReason::Killed.as_str());
                    (None, Some(report(137, ExitReason::Killed, detail)))
                }
            },
            (run, exit) => {
                pedestal.sweep(&spec).await;
                let guest = match run {
                    Some(run) => pedestal.adopt_ended(&spec, &run).await,
                    None => None,
                };
                (guest, exit)
            }
        };
        Marker::of(&spec).clear()?;
        if guest.is_none() {
            // They lead to ptys that are gone, or to a stranger's.
            remove_links(&spec)?;
        }
        if (guest.is_none() || exit.is_some()) && !spec.message.path.exists() {
            if let Some(guest) = &mut guest {
                guest.release().await;
            }
            return forget(&spec, dir);
        }
        let control = libmica::names::control_socket(&self.config.runtime_dir, &name)?;
        let listener = socket::listen(&control)?;
        self.insert(Client::spawn_with(spec, pedestal, guest, exit, saved.restored_patch), listener);
        Ok(())
    }

    /// Removes the sockets of a daemon that was killed: the clients among them get new ones.
    fn remove_stale_sockets(&self) -> Result<()> {
        let dir = &self.config.runtime_dir;
        for entry in std::fs::read_dir(dir).map_err(file("read", dir))?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "socket" || e == config::SOCKET_SUFFIX) {
                socket::remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Takes over what runs, and counts it.
async fn take_over(
    pedestal: &dyn Pedestal,
    spec: &ClientSpec,
    run: &serde_json::Value,
) -> Result<Box<dyn Guest>> {
    let adopted = pedestal.adopt(spec, run).await;
    counts::ADOPTIONS.count(if adopted.is_ok() { counts::TAKEN_OVER } else { counts::LOST });
    adopted
}

/// Stops firmware that an earlier daemon has not patched to its end, and writes that down. Its memory may be half of one
/// firmware and half of another. If it cannot be stopped, the client is left alone, so that nobody lets it go on.
async fn end_half_patched(
    spec: &ClientSpec,
    mut guest: Box<dyn Guest>,
) -> Result<(Box<dyn Guest>, ExitReport)> {
    guest.stop().await?;
    let detail = "micad ended while it patched the firmware, whose memory may be changed in part, so the next micad \
                  stopped it";
    log::error!("{}: {detail}", spec.name());
    let exit = report(1, ExitReason::Failed, detail);
    counts::EXITS.count(exit.reason.as_str());
    let (saved, dir) = (SavedClient::new(spec, Some(guest.save()), Some(exit.clone())), spec.dir.clone());
    blocking::run(move || saved.write(&dir)).await?;
    Ok((guest, exit))
}

/// Takes away what is left of a client that cannot be started any more. Its maker has removed the firmware and could not
/// remove the client, because no daemon was there: so does a shim whose container is deleted meanwhile.
fn forget(spec: &ClientSpec, dir: &Path) -> Result<()> {
    log::warn!("{}: forgotten, its firmware {} is gone", spec.name(), spec.message.path.display());
    std::fs::remove_dir_all(dir).map_err(file("remove", dir))
}

fn remove_links(spec: &ClientSpec) -> Result<()> {
    std::iter::once(&spec.tty_link).chain(&spec.shell_link).try_for_each(|link| socket::remove(link))
}
