//! Settings of a remoteproc that a run changes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::firmware;
use super::note::Note;
use super::sysfs::Remoteproc;

/// The settings as they were; `None` for what need not be put back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    firmware: Option<String>,
    recovery: Option<String>,
}

impl Settings {
    /// Notes the settings, and has crashes reported instead of repaired. Those that the run before could not put back are in
    /// `notes`.
    pub(super) fn take(notes: &Path, remoteproc: &Remoteproc) -> Self {
        let left = Note::read(notes, remoteproc).map(|note| note.before).unwrap_or_default();
        let firmware = remoteproc.read("firmware").ok().filter(|name| !firmware::is_ours(name));
        let recovery = remoteproc.read("recovery").ok().filter(|word| word != "disabled");
        if recovery.is_some()
            && let Err(e) = remoteproc.write("recovery", "disabled")
        {
            log::warn!(
                "{}: a crash will restart the firmware, because recovery cannot be disabled: {e}",
                remoteproc.title()
            );
        }
        Self { firmware: firmware.or(left.firmware), recovery: recovery.or(left.recovery) }
    }

    /// Puts them back. What is still crashed would recover by that: they stay in `notes` for the next run there.
    pub(super) fn restore(&self, notes: &Path, remoteproc: &Remoteproc) {
        if remoteproc.is_crashed() {
            return Note::leave(notes, remoteproc, self.clone());
        }
        for (attribute, value) in [("firmware", &self.firmware), ("recovery", &self.recovery)] {
            if let Some(value) = value
                && let Err(e) = remoteproc.write(attribute, value)
            {
                log::warn!("{}: cannot restore {attribute} to {value:?}: {e}", remoteproc.title());
            }
        }
        Note::remove(notes, remoteproc);
    }
}
