//! The daemon: sockets, clients, and what connects them.

mod access;
mod answer;
mod attach;
mod chronicle;
mod client;
mod connection;
mod create;
mod events;
mod examine;
mod history;
mod inbox;
mod inspect;
mod lock;
mod metrics;
mod permission;
mod reload;
mod request;
mod restore;
mod slots;
mod socket;
mod state;
mod table;
mod task;
mod vigil;
mod watchdog;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use libmica::Launch;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};

use chronicle::Chronicle;
use client::Client;
use connection::Endpoint;
use metrics::Scrapers;
use request::Action;
use slots::Slots;

use crate::cgroup::Hierarchies;
use crate::config::{Config, Options};
use crate::error::{private_dir, system};
use crate::live::Live;
use crate::pedestal::{Numbers, Pedestals};
use crate::{Result, blocking, conf, jail, store};

/// How long commands that are being worked on may take to finish when the daemon ends.
const DETACH_BOUND: Duration = Duration::from_secs(5);
/// How long `AutoBoot` waits before each further attempt. A machine that comes up is busy, and whatever has to be there may
/// be late: nobody is there to try again.
const BOOT_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// A running daemon.
struct Daemon {
    config: Live,
    pedestals: Pedestals,
    clients: Mutex<BTreeMap<String, Entry>>,
    /// Places for connections.
    slots: Arc<Slots>,
    /// Held by whoever makes or removes clients: they have names and numbers that no other has.
    creation: Arc<tokio::sync::Mutex<()>>,
    numbers: Mutex<Numbers>,
    /// When it began.
    began: SystemTime,
    /// Where cgroups are: they are there before any service, and stay.
    hierarchies: Hierarchies,
    chronicle: Arc<Chronicle>,
}

/// A client and the task that listens on its socket.
struct Entry {
    client: Arc<Client>,
    listener: JoinHandle<()>,
}

/// Serves until SIGTERM or SIGINT. Firmware that runs then goes on. At SIGHUP, what the `options` say is read again.
pub async fn run(options: Options, config: Config) -> Result<()> {
    store::receive();
    let mut term = signal(SignalKind::terminate()).map_err(system("watch for SIGTERM"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(system("watch for SIGINT"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(system("watch for SIGHUP"))?;
    let options = Arc::new(options);
    raise_descriptor_limit();
    jail::find_slice();
    // Before anything is there to be protected.
    umask(Mode::from_bits_truncate(0o077));
    access::directory(&config.runtime_dir, &config.allowed_uids)?;
    let _lock = lock::Lock::take(&config.runtime_dir, &config.pid_file)?;
    let live = Live::new(config.clone());
    let daemon = Arc::new(Daemon {
        pedestals: Pedestals::new(&live),
        clients: Mutex::default(),
        slots: Arc::new(Slots::new(nix::unistd::geteuid().as_raw())),
        creation: Arc::default(),
        numbers: Mutex::new(Numbers::new(config.qemu_uid_base)),
        began: SystemTime::now(),
        hierarchies: Hierarchies::detect(),
        chronicle: Arc::new(Chronicle::open(&live)),
        config: live,
    });
    private_dir(&daemon.clients_dir())?;
    config.console_dir.as_deref().map_or(Ok(()), private_dir)?;
    daemon.restore().await?;
    store::forget_rest();
    daemon.pedestals.open().await;
    let create_path = libmica::names::create_socket(&config.runtime_dir)?;
    let create = socket::listen(&create_path, &config.allowed_uids)?;
    let listener = tokio::spawn(connection::accept(create, Arc::clone(&daemon), Endpoint::Create));
    let scrapers = Scrapers::open(&daemon).await;
    daemon.creating(Daemon::auto_boot).await;
    log::info!("ready on {}", create_path.display());
    if let Err(e) = sd_notify::notify(&[NotifyState::Ready]) {
        log::warn!("cannot tell systemd that micad is ready: {e}");
    }
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hangup.recv() => daemon.reload(&options).await,
        }
    }
    log::info!("ending; firmware keeps running");
    // A notification that nobody takes is no reason to stay.
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    listener.abort();
    scrapers.close();
    socket::remove(&create_path)?;
    daemon.detach().await;
    daemon.chronicle.events.end().await;
    daemon.pedestals.close().await;
    Ok(())
}

/// Each client costs up to five descriptors, so the daemon takes what its unit allows it. The usual limit, 1024, is for
/// programs that use select(2).
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(e) = raised {
        log::warn!("cannot raise the limit of open files: {e}");
    }
}

impl Daemon {
    fn clients_dir(&self) -> PathBuf {
        self.config.get().runtime_dir.join("clients")
    }

    /// The clients. The lock is never held across an await; a panic while it was held leaves the map whole.
    fn clients(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, name: &str) -> Option<Arc<Client>> {
        self.clients().get(name).map(|entry| Arc::clone(&entry.client))
    }

    /// Makes or removes clients, which reads and writes files, without holding others up.
    async fn creating<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> T {
        let alone = Arc::clone(&self.creation).lock_owned().await;
        let daemon = Arc::clone(self);
        blocking::run(move || {
            let _alone = alone;
            make(&daemon)
        })
        .await
    }

    /// Creates the clients of the conf files and has those with `AutoBoot` started, all at once.
    fn auto_boot(self: &Arc<Self>) {
        let found = match conf::read_all(&self.config.get().conf_dir) {
            Ok(found) => found,
            Err(e) => return log::error!("{}", e.sentence()),
        };
        for configured in found {
            let configured = match configured {
                Ok(configured) => configured,
                Err(e) => {
                    log::error!("{}", e.sentence());
                    continue;
                }
            };
            for warning in &configured.warnings {
                log::warn!("{}: {warning}", configured.path.display());
            }
            let name = configured.message.name.clone();
            // A client that was taken over from an earlier daemon keeps what it was created with.
            let mut vigil = Vec::new();
            if self.client(&name).is_none() {
                if let Err(e) = self.create(configured.message) {
                    log::error!(client = name.as_str(); "{name}: {}", e.sentence());
                    continue;
                }
                vigil = configured.vigil;
            }
            if let Some(client) = self.client(&name) {
                tokio::spawn(begin(client, vigil, configured.auto_boot));
            }
        }
    }

    /// Ends the clients' tasks, after what they are at, and their sockets; leaves the firmware alone.
    async fn detach(&self) {
        let entries = std::mem::take(&mut *self.clients());
        let clients: Vec<Arc<Client>> = entries
            .into_values()
            .map(|entry| {
                entry.listener.abort();
                entry.client
            })
            .collect();
        let mut tasks = JoinSet::new();
        for client in clients.iter().map(Arc::clone) {
            // A task that is gone is what is wanted.
            tasks.spawn(async move { drop(client.act(Action::Detach).await) });
        }
        if tokio::time::timeout(DETACH_BOUND, tasks.join_all()).await.is_err() {
            log::warn!("a command is still running after {DETACH_BOUND:?}; ending anyway");
        }
        for client in &clients {
            if let Err(e) = self.remove_socket(client.spec.name()) {
                log::warn!("{}", e.sentence());
            }
        }
    }

    fn remove_socket(&self, name: &str) -> Result<()> {
        socket::remove(&libmica::names::control_socket(&self.config.get().runtime_dir, name)?)
    }
}

/// Has a client be watched over as its conf file says, and boots it, if that says so.
async fn begin(client: Arc<Client>, vigil: Vec<(&'static str, String)>, auto_boot: bool) {
    for (key, value) in vigil {
        if let Err(e) = client.act(Action::Set { key: key.to_owned(), value }).await {
            let name = client.spec.name();
            log::error!(client = name; "{name}: {}", e.sentence());
        }
    }
    if auto_boot {
        boot(client).await;
    }
}

async fn boot(client: Arc<Client>) {
    for wait in BOOT_AGAIN_AFTER.map(Some).into_iter().chain([None]) {
        // One that was taken over runs already; somebody may have started it meanwhile.
        if client.snapshot().state != libmica::ClientState::Offline {
            return;
        }
        let Err(e) = client.act(Action::Start(Launch::default())).await else { return };
        let name = client.spec.name();
        match wait {
            Some(wait) => {
                log::warn!(
                    client = name;
                    "{name}: AutoBoot: {}; it is tried again in {wait:?}", e.sentence()
                );
                tokio::time::sleep(wait).await;
            }
            None => {
                log::error!(client = name; "{name}: AutoBoot: {}; it is not tried again", e.sentence());
            }
        }
    }
}
