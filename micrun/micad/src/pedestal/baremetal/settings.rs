//! Settings of a remoteproc that a run changes.

use serde::{Deserialize, Serialize};

use super::firmware;
use super::sysfs::Remoteproc;

/// The settings as they were; `None` for what need not be put back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Settings {
    firmware: Option<String>,
    recovery: Option<String>,
}

impl Settings {
    /// Notes the settings, and has crashes reported instead of repaired.
    pub(super) fn take(remoteproc: &Remoteproc) -> Self {
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
        Self { firmware, recovery }
    }

    /// Puts them back. The remoteproc must be offline: else it would recover.
    pub(super) fn restore(&self, remoteproc: &Remoteproc) {
        for (attribute, value) in [("firmware", &self.firmware), ("recovery", &self.recovery)] {
            if let Some(value) = value
                && let Err(e) = remoteproc.write(attribute, value)
            {
                log::warn!("{}: cannot restore {attribute} to {value:?}: {e}", remoteproc.title());
            }
        }
    }
}
