//! The further processes of a container, by id.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};

use super::subject::Subject;
use crate::error::{Error, Result};
use crate::os::lock::lock;

/// A container's execs, whatever they are to its engine.
#[derive(Debug)]
pub(crate) struct Execs<T>(Mutex<Table<T>>);

#[derive(Debug)]
struct Table<T> {
    execs: BTreeMap<String, Arc<T>>,
    /// The container's init process has ended: no exec begins any more.
    closed: bool,
}

impl<T> Default for Execs<T> {
    fn default() -> Self {
        Self(Mutex::new(Table { execs: BTreeMap::new(), closed: false }))
    }
}

impl<T> Execs<T> {
    /// Adds one that `make` makes, unless its id is taken.
    pub(crate) fn add(&self, container: &str, id: &str, make: impl FnOnce() -> T) -> Result<()> {
        match lock(&self.0).execs.entry(id.to_owned()) {
            Entry::Occupied(_) => Err(Error::AlreadyExists(Subject::process(container, id).to_string())),
            Entry::Vacant(entry) => {
                entry.insert(Arc::new(make()));
                Ok(())
            }
        }
    }

    /// One that was added.
    pub(crate) fn find(&self, container: &str, id: &str) -> Result<Arc<T>> {
        let missing = || Error::NoSuchExec { id: container.to_owned(), exec_id: id.to_owned() };
        lock(&self.0).execs.get(id).cloned().ok_or_else(missing)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        lock(&self.0).execs.values().cloned().collect()
    }

    /// Lets no other begin; gives those that are there.
    pub(crate) fn close(&self) -> Vec<Arc<T>> {
        lock(&self.0).closed = true;
        self.all()
    }

    /// Whether none begins any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    /// Forgets one.
    pub(crate) fn remove(&self, id: &str) {
        lock(&self.0).execs.remove(id);
    }
}
