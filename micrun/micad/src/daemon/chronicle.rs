//! What is told of clients: at once to those who watch, and later to those who ask how runs ended.

use libmica::ext::{End, MAX_LAST_WORDS};

use super::events::Events;
use super::history::Endings;
use crate::blocking;
use crate::cores::Cores;
use crate::live::Live;
use crate::pedestal::{ClientSpec, Rings};

/// All of it.
pub(super) struct Chronicle {
    pub(super) events: Events,
    pub(super) endings: Endings,
    pub(super) cores: Cores,
    config: Live,
}

impl Chronicle {
    /// That of a daemon with this configuration. Blocks.
    pub(super) fn open(config: &Live) -> Self {
        let endings = Endings::open(&config.get().runtime_dir);
        Self { events: Events::new(), endings, cores: Cores::new(config), config: config.clone() }
    }

    /// How many bytes the client's console has shown in this run; `None` if nothing tells.
    pub(super) async fn console(&self, spec: &ClientSpec) -> Option<u64> {
        let (rings, spec) = (Rings::of(&self.config.get()), spec.clone());
        blocking::run(move || rings.console(&spec)).await
    }

    /// What remembers an end of this client's, with the last words of its console. It blocks.
    pub(super) fn remembering(&self, spec: &ClientSpec) -> impl FnOnce(End) + Send + 'static {
        let (endings, rings, spec) = (self.endings.clone(), Rings::of(&self.config.get()), spec.clone());
        move |end| {
            let console = rings.last_words(&spec, MAX_LAST_WORDS);
            endings.add(spec.name(), End { console, ..end });
        }
    }
}
