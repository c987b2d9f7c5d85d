//! The table of a shim's containers.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::os::lock::lock;
use crate::task::engine::Engine;
use crate::task::labels;

type Table = BTreeMap<String, Entry>;

/// What an id stands for.
enum Entry {
    /// A container whose Create is under way.
    Making {
        /// Whether somebody waits for its end to delete it at once.
        given_up: bool,
    },
    /// A created container.
    Made(Arc<dyn Engine>),
    /// No container, and none is to have the id.
    Taken,
}

/// The containers of this shim.
pub(crate) struct Containers {
    table: Mutex<Table>,
    /// Tells those who wait for a change of the table.
    changes: watch::Sender<()>,
}

impl Default for Containers {
    fn default() -> Self {
        Self { table: Mutex::default(), changes: watch::Sender::new(()) }
    }
}

impl Containers {
    /// A created container.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<dyn Engine>> {
        match self.lock().get(id) {
            Some(Entry::Made(container)) => Ok(Arc::clone(container)),
            _ => Err(Error::NotFound(id.to_owned())),
        }
    }

    /// All created containers.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Engine>> {
        made(&self.lock())
    }

    /// All containers, once none is being made.
    pub(crate) async fn settled(&self) -> Vec<Arc<dyn Engine>> {
        let settled = |table: &Table| {
            let making = table.values().any(|entry| matches!(entry, Entry::Making { .. }));
            (!making).then(|| made(table))
        };
        self.until(settled).await
    }

    /// A container that is to be deleted. One that is still being made is waited for: whoever asked for it has given it
    /// up, and what came to be behind a Delete would be nobody's, as containerd never asks again.
    pub(crate) fn give_up(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<impl Future<Output = Result<Arc<dyn Engine>>> + Send + use<>> {
        match self.lock().get_mut(id) {
            Some(Entry::Making { given_up }) => *given_up = true,
            Some(Entry::Made(_)) => {}
            Some(Entry::Taken) | None => return Err(Error::NotFound(id.to_owned())),
        }
        let (this, id) = (Arc::clone(self), id.to_owned());
        Ok(async move { this.made(&id).await })
    }

    /// A container, once it is made if it is being made.
    pub(crate) async fn made(&self, id: &str) -> Result<Arc<dyn Engine>> {
        let made = |table: &Table| match table.get(id) {
            Some(Entry::Making { .. }) => None,
            Some(Entry::Made(container)) => Some(Ok(Arc::clone(container))),
            Some(Entry::Taken) | None => Some(Err(Error::NotFound(id.to_owned()))),
        };
        self.until(made).await
    }

    /// Takes an id before Create does its work, so that a second Create for it fails at once.
    pub(crate) fn reserve(self: &Arc<Self>, id: &str) -> Result<Slot> {
        self.take(id, Entry::Making { given_up: false })
    }

    /// Takes an id for what is no container.
    pub(crate) fn occupy(self: &Arc<Self>, id: &str) -> Result<Slot> {
        self.take(id, Entry::Taken)
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, id: &str) {
        self.change(|table| table.remove(id));
        labels::forget(id);
    }

    /// Whether no container is here or being made.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether nothing is here that anybody wants.
    pub(crate) fn is_given_up(&self) -> bool {
        self.lock().values().all(|entry| matches!(entry, Entry::Making { given_up: true }))
    }

    /// Waits until no container is here or being made.
    pub(crate) async fn emptied(&self) {
        self.until(|table| table.is_empty().then_some(())).await;
    }

    /// Waits until a container is here or being made.
    pub(crate) async fn filled(&self) {
        self.until(|table| (!table.is_empty()).then_some(())).await;
    }

    /// Waits until there is what is looked for.
    async fn until<T>(&self, look: impl Fn(&Table) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(found) = look(&self.lock()) {
                return found;
            }
            // Cannot fail: `self` holds the sender.
            let _ = changes.changed().await;
        }
    }

    fn take(self: &Arc<Self>, id: &str, entry: Entry) -> Result<Slot> {
        self.change(|table| match table.entry(id.to_owned()) {
            btree_map::Entry::Occupied(_) => Err(Error::AlreadyExists(Subject::process(id, "").to_string())),
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(Slot { containers: Arc::clone(self), id: id.to_owned() })
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let result = change(&mut self.lock());
        self.changes.send_replace(());
        result
    }
}

fn made(table: &Table) -> Vec<Arc<dyn Engine>> {
    let made = table.values().filter_map(|entry| match entry {
        Entry::Made(container) => Some(Arc::clone(container)),
        Entry::Making { .. } | Entry::Taken => None,
    });
    made.collect()
}

/// A reserved id; it is free again when this is dropped unfilled.
pub(crate) struct Slot {
    containers: Arc<Containers>,
    id: String,
}

impl Slot {
    /// Puts the container in its place.
    pub(crate) fn fill(self, container: Arc<dyn Engine>) {
        self.containers.change(|table| table.insert(self.id.clone(), Entry::Made(container)));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.containers.change(|table| {
            if !matches!(table.get(&self.id), Some(Entry::Made(_))) {
                table.remove(&self.id);
                labels::forget(&self.id);
            }
        });
    }
}
