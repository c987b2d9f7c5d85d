//! What is told of clients: at once to those who watch, and later to those who ask how runs ended.

use super::events::Events;
use super::history::Endings;
use crate::cores::Cores;
use crate::live::Live;

/// All of it.
pub(super) struct Chronicle {
    pub(super) events: Events,
    pub(super) endings: Endings,
    pub(super) cores: Cores,
}

impl Chronicle {
    /// That of a daemon with this configuration. Blocks.
    pub(super) fn open(config: &Live) -> Self {
        let endings = Endings::open(&config.get().runtime_dir);
        Self { events: Events::new(), endings, cores: Cores::new(config) }
    }
}
