//! What is told of clients: at once to those who watch, and later to those who ask how runs ended.

use std::path::Path;

use super::events::Events;
use super::history::Endings;

/// Both.
pub(super) struct Chronicle {
    pub(super) events: Events,
    pub(super) endings: Endings,
}

impl Chronicle {
    /// That of a daemon whose directory this is. Blocks.
    pub(super) fn open(dir: &Path) -> Self {
        Self { events: Events::new(), endings: Endings::open(dir) }
    }
}
