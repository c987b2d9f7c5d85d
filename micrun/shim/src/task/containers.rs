//! The table of a shim's containers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::os::lock::lock;
use crate::task::engine::Engine;
use crate::task::labels;

/// Containers by id. `None` is an id whose Create is under way.
type Table = BTreeMap<String, Option<Arc<dyn Engine>>>;

/// The containers of this shim.
pub(crate) struct Containers {
    table: Mutex<Table>,
    /// Whether there is none.
    empty: watch::Sender<bool>,
}

impl Default for Containers {
    fn default() -> Self {
        Self { table: Mutex::default(), empty: watch::Sender::new(true) }
    }
}

impl Containers {
    /// A created container.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<dyn Engine>> {
        self.lock().get(id).cloned().flatten().ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    /// All created containers.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Engine>> {
        self.lock().values().flatten().cloned().collect()
    }

    /// Takes an id before Create does its work, so that a second Create for it fails at once.
    pub(crate) fn reserve(self: &Arc<Self>, id: &str) -> Result<Slot> {
        self.change(|table| match table.entry(id.to_owned()) {
            Entry::Occupied(_) => Err(Error::AlreadyExists(Subject::process(id, "").to_string())),
            Entry::Vacant(entry) => {
                entry.insert(None);
                Ok(Slot { containers: Arc::clone(self), id: id.to_owned() })
            }
        })
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, id: &str) {
        self.change(|table| table.remove(id));
        labels::forget(id);
    }

    /// Whether no container is here or being made.
    pub(crate) fn is_empty(&self) -> bool {
        *self.empty.borrow()
    }

    /// Waits until no container is here or being made.
    pub(crate) async fn emptied(&self) {
        self.becomes(true).await;
    }

    /// Waits until a container is here or being made.
    pub(crate) async fn filled(&self) {
        self.becomes(false).await;
    }

    async fn becomes(&self, state: bool) {
        // Cannot fail: `self` holds the sender.
        let _ = self.empty.subscribe().wait_for(|empty| *empty == state).await;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Changes the table, and tells those who wait if that was the first or the last container.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.lock();
        let result = change(&mut table);
        let now = table.is_empty();
        self.empty.send_if_modified(|empty| std::mem::replace(empty, now) != now);
        result
    }
}

/// A reserved id; it is free again when this is dropped unfilled.
pub(crate) struct Slot {
    containers: Arc<Containers>,
    id: String,
}

impl Slot {
    /// Puts the container in its place.
    pub(crate) fn fill(self, container: Arc<dyn Engine>) {
        self.containers.lock().insert(self.id.clone(), Some(container));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.containers.change(|table| {
            if matches!(table.get(&self.id), Some(None)) {
                table.remove(&self.id);
                labels::forget(&self.id);
            }
        });
    }
}
