//! Taking over what an earlier daemon left.

use std::path::Path;
use std::sync::Arc;

use libmica::ext::{End, ExitReason, ExitReport};
use micrun_firmware::client_conf::QemuSection;

use super::client::Client;
use super::state::{Past, SavedClient};
use super::{Daemon, socket};
use crate::config::SOCKET_SUFFIX;
use crate::error::{file, is_there};
use crate::metrics::counts;
use crate::pedestal::{ClientSpec, Guest, KILLED, Marker, Pedestal, Rings, report};
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
                log::warn!(
                    client = name.as_str();
                    "{name}: its next start gets a default machine: {}", e.sentence()
                );
                QemuSection::default()
            })
        });
        let mut past = saved.past;
        let half_patched = Marker::of(&spec).is_set()?;
        let (mut guest, exit): (Option<Box<dyn Guest>>, Option<ExitReport>) =
            match (saved.run, past.exit.take()) {
                (Some(run), None) => match take_over(&*pedestal, &spec, &run).await {
                    Ok(guest) if half_patched => {
                        let (guest, exit) = self.end_half_patched(&spec, guest, &past).await?;
                        (Some(guest), Some(exit))
                    }
                    Ok(guest) => {
                        log::info!(
                            client = name.as_str(), pedestal = pedestal.name(), pid = guest.runner().pid();
                            "{name}: taken over, {}", guest.runner()
                        );
                        (Some(guest), None)
                    }
                    Err(e) => {
                        log::warn!(client = name.as_str(); "{name}: {}", e.sentence());
                        let detail = "it ended while no mica daemon was running";
                        let exit = report(KILLED, ExitReason::Killed, detail);
                        let guest = pedestal.adopt_ended(&spec, &run).await;
                        let left = guest.as_ref().map(|guest| guest.save());
                        if let Err(e) = self.conclude(&spec, left, &past, &exit).await {
                            log::error!(client = name.as_str(); "{name}: {}", e.sentence());
                        }
                        (guest, Some(exit))
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
        if (guest.is_none() || exit.is_some()) && !is_there(&spec.message.path).unwrap_or(true) {
            if let Some(guest) = &mut guest {
                guest.release().await;
            }
            Rings::of(&self.config.get()).remove(&spec);
            return forget(&spec, dir);
        }
        let control = libmica::names::control_socket(&self.config.get().runtime_dir, &name)?;
        let listener = socket::listen(&control, &self.config.get().allowed_uids)?;
        past.exit = exit;
        let client = Client::spawn_with(spec, pedestal, Arc::clone(&self.chronicle), guest, past);
        self.insert(client, listener, None);
        Ok(())
    }

    /// Writes down an end that no daemon has seen, so that a later one reports the same.
    async fn conclude(
        &self,
        spec: &ClientSpec,
        run: Option<serde_json::Value>,
        past: &Past,
        exit: &ExitReport,
    ) -> Result<()> {
        counts::EXITS.count(exit.reason.as_str());
        let past = Past { exit: Some(exit.clone()), ..past.clone() };
        let (remember, exit) = (self.chronicle.remembering(spec), exit.clone());
        let (began_at, dir) = (past.began_at.clone(), spec.dir.clone());
        let saved = SavedClient::new(spec, run, past);
        blocking::run(move || {
            remember(End { began_at, report: exit, scene: None, console: None });
            saved.write(&dir)
        })
        .await
    }

    /// Stops firmware that an earlier daemon has not patched to its end, and writes that down. Its memory may be half of one
    /// firmware and half of another. If it cannot be stopped, the client is left alone, so that nobody lets it go on.
    async fn end_half_patched(
        &self,
        spec: &ClientSpec,
        mut guest: Box<dyn Guest>,
        past: &Past,
    ) -> Result<(Box<dyn Guest>, ExitReport)> {
        guest.stop().await?;
        let detail = "micad ended while it patched the firmware, whose memory may be changed in part, so the next \
                      micad stopped it";
        log::error!(client = spec.name(); "{}: {detail}", spec.name());
        let exit = report(1, ExitReason::Failed, detail);
        self.conclude(spec, Some(guest.save()), past, &exit).await?;
        Ok((guest, exit))
    }

    /// Removes the sockets of a daemon that was killed: the clients among them get new ones.
    fn remove_stale_sockets(&self) -> Result<()> {
        let config = self.config.get();
        let dir = &config.runtime_dir;
        for entry in std::fs::read_dir(dir).map_err(file("read", dir))?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "socket" || e == SOCKET_SUFFIX) {
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

/// Takes away what is left of a client that cannot be started any more. Its maker has removed the firmware and could not
/// remove the client, because no daemon was there: so does a shim whose container is deleted meanwhile.
fn forget(spec: &ClientSpec, dir: &Path) -> Result<()> {
    log::warn!(
        client = spec.name();
        "{}: forgotten, its firmware {} is gone", spec.name(), spec.message.path.display()
    );
    std::fs::remove_dir_all(dir).map_err(file("remove", dir))
}

fn remove_links(spec: &ClientSpec) -> Result<()> {
    std::iter::once(&spec.tty_link).chain(&spec.shell_link).try_for_each(|link| socket::remove(link))
}
