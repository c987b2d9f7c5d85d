//! What lines say of a client beside its name: what whoever has created it knows of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libmica::ext::Labels;
use micrun_log::Entry;

/// Those of the clients that have any.
static KNOWN: Mutex<BTreeMap<String, Labels>> = Mutex::new(BTreeMap::new());

/// From now on lines about `client` say this.
pub(crate) fn introduce(client: &str, labels: &Labels) {
    if labels.is_empty() {
        known().remove(client);
    } else {
        known().insert(client.to_owned(), labels.clone());
    }
}

/// Says nothing more of a client that is no more.
pub(crate) fn forget(client: &str) {
    known().remove(client);
}

/// The entry with what is known of its client. What it says itself stays.
pub(super) fn complete(entry: Entry) -> Entry {
    let labels = entry.subject().and_then(|client| known().get(client).cloned());
    let missing = labels.into_iter().flat_map(Labels::into_iter).filter(|(key, _)| !entry.has(key));
    let missing: Vec<_> = missing.collect();
    missing.into_iter().fold(entry, |entry, (key, value)| entry.with(&key, &value))
}

/// A panic while it was held leaves it whole.
fn known() -> MutexGuard<'static, BTreeMap<String, Labels>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}
