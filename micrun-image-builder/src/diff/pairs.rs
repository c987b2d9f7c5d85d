//! Two lists of names and values, compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What a name stands for in the one image and in the other. `None` where there is no such name.
#[derive(Serialize)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// The names that do not stand for the same.
pub(super) fn differing(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Pair> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let pairs = keys.into_iter().map(|key| {
        let [before, after] = [before, after].map(|it| it.get(key).cloned());
        Pair { key: key.clone(), before, after }
    });
    pairs.filter(|pair| pair.before != pair.after).collect()
}
