//! The table of a shim's containers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::os::lock::lock;
use crate::task::engine::Engine;

/// Containers by id. `None` is an id whose Create is under way.
#[derive(Default)]
pub(crate) struct Containers(Mutex<BTreeMap<String, Option<Arc<dyn Engine>>>>);

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
        match self.lock().entry(id.to_owned()) {
            Entry::Occupied(_) => Err(Error::AlreadyExists(Subject::process(id, "").to_string())),
            Entry::Vacant(entry) => {
                entry.insert(None);
                Ok(Slot { table: Arc::clone(self), id: id.to_owned() })
            }
        }
    }

    /// Forgets a container.
    pub(crate) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Whether no container is here or being made.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Arc<dyn Engine>>>> {
        lock(&self.0)
    }
}

/// A reserved id; it is free again when this is dropped unfilled.
pub(crate) struct Slot {
    table: Arc<Containers>,
    id: String,
}

impl Slot {
    /// Puts the container in its place.
    pub(crate) fn fill(self, container: Arc<dyn Engine>) {
        self.table.lock().insert(self.id.clone(), Some(container));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        if matches!(table.get(&self.id), Some(None)) {
            table.remove(&self.id);
        }
    }
}
