//! The metrics of this daemon: what a scrape looks at, and where it can ask.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use libmica::ClientState;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{AbortHandle, JoinHandle};

use super::client::Client;
use super::connection::ACCEPT_PAUSE;
use super::{Daemon, socket};
use crate::blocking::SCRAPES;
use crate::error::file;
use crate::metrics::{Format, Scrape, SeenClient, http};
use crate::pedestal::{Rings, Runner};

/// Connections that a listener serves at a time. A further one takes the place of the oldest: a scraper asks and reads at
/// once, so it is the newer ones that are worth waiting for.
const MOST_CONNECTIONS: usize = 16;

/// Where metrics are asked for, beside the command.
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The tasks that listen for scrapers, and the file that goes with them.
#[derive(Default)]
pub(super) struct Scrapers {
    tasks: Vec<JoinHandle<()>>,
    socket: Option<PathBuf>,
}

impl Scrapers {
    /// Listens where the configuration says so. What cannot be listened on is told and left out: firmware matters more.
    pub(super) async fn open(daemon: &Arc<Daemon>) -> Self {
        let (mut scrapers, config) = (Self::default(), daemon.config.get());
        if let Some(name) = &config.metrics_socket {
            let path = config.runtime_dir.join(name);
            match socket::listen(&path, &config.allowed_uids) {
                Ok(listener) => {
                    log::info!("metrics on {}", path.display());
                    scrapers.serve(daemon, Listener::Unix(listener));
                    scrapers.socket = Some(path);
                }
                Err(e) => log::error!("there are no metrics on a socket: {}", e.sentence()),
            }
        }
        if let Some(address) = config.metrics_address {
            match TcpListener::bind(address).await.and_then(|it| Ok((it.local_addr()?, it))) {
                Ok((address, listener)) => {
                    log::info!("metrics on http://{address}{}", http::PATH);
                    scrapers.serve(daemon, Listener::Tcp(listener));
                }
                Err(e) => {
                    let e = file("listen on", address.to_string())(e);
                    log::error!("there are no metrics over TCP: {}", e.sentence());
                }
            }
        }
        scrapers
    }

    fn serve(&mut self, daemon: &Arc<Daemon>, listener: Listener) {
        self.tasks.push(tokio::spawn(accept(listener, Arc::clone(daemon))));
    }

    /// Listens no more.
    pub(super) fn close(self) {
        for task in self.tasks {
            task.abort();
        }
        if let Some(Err(e)) = self.socket.map(|path| socket::remove(&path)) {
            log::warn!("{}", e.sentence());
        }
    }
}

/// Serves the connections of `listener` until the task is aborted.
async fn accept(listener: Listener, daemon: Arc<Daemon>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let asked = Arc::clone(&daemon);
        let metrics = move |format| async move { asked.metrics(format).await };
        let served = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let refusal = daemon.admit(&stream).err();
                tokio::spawn(http::converse(stream, refusal, metrics))
            }),
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(stream, _)| tokio::spawn(http::converse(stream, None, metrics)))
            }
        };
        match served {
            Ok(task) => {
                open.retain(|task| !task.is_finished());
                if open.len() == MOST_CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(task.abort_handle());
            }
            Err(e) => {
                log::warn!("cannot accept a connection: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Daemon {
    /// The metrics as they are now.
    pub(super) async fn metrics(self: &Arc<Self>, format: Format) -> String {
        let daemon = Arc::clone(self);
        SCRAPES.run(move || daemon.scrape().render(format)).await
    }

    /// Looks at everything. Blocks: the kernel is asked about each process.
    fn scrape(&self) -> Scrape {
        let clients = self.all();
        let shown = clients.len().min(self.config.get().metrics_clients);
        let rings = Rings::of(&self.config.get());
        let states: Vec<_> = clients.iter().map(|client| client.state()).collect();
        let in_state = |state| states.iter().filter(|it| **it == state).count();
        Scrape {
            began: self.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            states: ClientState::ALL.map(|state| (state, in_state(state))),
            hidden: clients.len() - shown,
            clients: clients[..shown].iter().map(|client| see(client, &rings)).collect(),
            pool: self.pedestals.waiting().unwrap_or_default(),
            connections: self.slots.open(),
        }
    }
}

fn see(client: &Client, rings: &Rings) -> SeenClient {
    let snapshot = client.snapshot();
    SeenClient {
        name: client.spec.name().to_owned(),
        console: rings.counts(&client.spec),
        pedestal: client.pedestal,
        state: snapshot.state,
        usage: snapshot.runner.and_then(Runner::usage),
        measured: snapshot.runner.and_then(Runner::pid).is_some(),
    }
}
