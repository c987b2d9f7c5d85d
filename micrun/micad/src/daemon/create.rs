//! Creating and removing clients.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use libmica::ext::Happening;
use libmica::{CreateMessage, names};
use tokio::net::UnixListener;

use super::client::Client;
use super::connection::{self, Endpoint};
use super::request::Action;
use super::state::{Past, SavedClient};
use super::{Daemon, Entry, permission, socket};
use crate::error::{file, private_dir};
use crate::pedestal::{ClientSpec, Rings};
use crate::{Error, Result};

impl Daemon {
    /// Creates the client that `message` describes. On an error nothing is left behind.
    pub(super) fn create(self: &Arc<Self>, mut message: CreateMessage) -> Result<()> {
        let pedestal = self.pedestals.find(&message.pedestal)?;
        if self.client(&message.name).is_some() {
            return Err(Error::AlreadyCreated(message.name));
        }
        pedestal.check(&message)?;
        let qemu = pedestal.read_conf(&message)?;
        permission::check(&self.config.get().policy, &*pedestal, &message, &qemu)?;
        // What was chosen stays, also for a later daemon.
        pedestal.name().clone_into(&mut message.pedestal);
        let name = message.name.clone();
        let mut ttys = self.free_ttys(&name);
        let spec = ClientSpec {
            slot: self.free_slot()?,
            dir: self.clients_dir().join(&name),
            tty_link: ttys.next().unwrap_or_default(),
            shell_link: if qemu.consoles.is_some_and(|n| n > 1) { ttys.next() } else { None },
            message,
            qemu,
        };
        let (dir, control) =
            (spec.dir.clone(), names::control_socket(&self.config.get().runtime_dir, &name)?);
        let prepared = private_dir(&dir)
            .and_then(|()| SavedClient::new(&spec, None, Past::default()).write(&dir))
            .and_then(|()| socket::listen(&control, &self.config.get().allowed_uids));
        match prepared {
            Ok(listener) => {
                let created =
                    Happening::Created { client: name.clone(), pedestal: pedestal.name().to_owned() };
                let client = Client::spawn(spec, pedestal, Arc::clone(&self.chronicle));
                log::info!(client = name.as_str(), pedestal = client.pedestal; "{name}: created");
                self.insert(client, listener, Some(created));
                Ok(())
            }
            Err(e) => {
                // What could not be made need not be there.
                let _ = std::fs::remove_dir_all(&dir);
                Err(e)
            }
        }
    }

    /// Takes a client in and listens for it; tells the news of it.
    pub(super) fn insert(
        self: &Arc<Self>,
        client: Arc<Client>,
        listener: UnixListener,
        news: Option<Happening>,
    ) {
        let name = client.spec.name().to_owned();
        // Whoever hears the news and asks for the client finds it, after this lock. Nobody can have started it before.
        let mut clients = self.clients();
        if let Some(news) = news {
            self.chronicle.events.tell(news);
        }
        let endpoint = Endpoint::Control(Arc::clone(&client));
        let listener = tokio::spawn(connection::accept(listener, Arc::clone(self), endpoint));
        clients.insert(name, Entry { client, listener });
    }

    /// Stops and forgets a client.
    pub(super) async fn remove(self: &Arc<Self>, client: &Client) -> Result<()> {
        client.act(Action::Remove).await?;
        let spec = Arc::clone(&client.spec);
        // Not beside a creation, which may be one of the same name.
        self.creating(move |daemon| {
            if let Some(entry) = daemon.clients().remove(spec.name()) {
                entry.listener.abort();
            }
            let removed = std::fs::remove_dir_all(&spec.dir).map_err(file("remove", &spec.dir));
            Rings::of(&daemon.config.get()).remove(&spec);
            let removed = daemon.remove_socket(spec.name()).and(removed);
            daemon.chronicle.events.tell(Happening::Removed { client: spec.name().to_owned() });
            removed
        })
        .await
    }

    /// A number that no client has.
    fn free_slot(&self) -> Result<u32> {
        let taken: BTreeSet<u32> = self.clients().values().map(|entry| entry.client.spec.slot).collect();
        // A panic while it was held leaves the numbers whole.
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.take(&taken).ok_or(Error::TooManyClients)
    }

    /// Links to the client's consoles. Names that differ can be the same when sanitised: then the number
    /// differs, as upstream's status line shows.
    fn free_ttys(&self, name: &str) -> impl Iterator<Item = PathBuf> + use<> {
        let links = |entry: &Entry| {
            let spec = &entry.client.spec;
            [Some(spec.tty_link.clone()), spec.shell_link.clone()]
        };
        let taken: BTreeSet<PathBuf> = self.clients().values().flat_map(links).flatten().collect();
        let (dir, name) = (self.config.get().runtime_dir.clone(), name.to_owned());
        (0..u32::MAX).map(move |n| dir.join(names::tty_name(&name, n))).filter(move |p| !taken.contains(p))
    }
}
