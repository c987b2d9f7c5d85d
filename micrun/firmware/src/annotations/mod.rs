//! The annotations of micrun: one typed table, and what a set of annotations says by it.
//!
//! The keys, types and defaults are upstream's (its documentation and behaviour), so that a pod written
//! for upstream's shim keeps its meaning. `docs/ANNOTATIONS.md` is generated from the table.

mod doc;
mod duration;
mod table;
mod value;

use std::collections::BTreeMap;
use std::time::Duration;

pub use doc::page;
pub use table::{Annotations, Effect, Key, TABLE};
pub(crate) use value::parse_bool;
pub use value::{AutoClose, Greeting, Ready};

use crate::text::{hint, printable, quoted};
use crate::{Error, Result};

/// What every key of ours begins with. One key with it marks a container as firmware.
pub const PREFIX: &str = "org.openeuler.micrun.";

/// The annotation of an Update, without the prefix, that names firmware to patch with. No container has it.
pub const PATCH: &str = "patch";

/// Upstream's older name space, which only the deprecated `container.auto_disconnect_timeout` used.
const OLD_PREFIX: &str = "org.openeuler.micran.";

/// Keys below this (after the prefix) are free for tools: nothing ever evaluated them.
const FREE_FAMILY: &str = "compatibility.";

/// The annotation of a layer's descriptor that holds the digest of the layer's record.
pub const LAYER_RECORD: &str = "org.openeuler.micrun.layer.record";

/// The annotation that names a further micrun.conf for a container.
pub const CONFIG_PATH: &str = "org.openeuler.micrun.config_path";

/// The label in which containerd's clients keep an image's stop signal. Among annotations it shows that the client has
/// made annotations of all labels, those of the image with them: nerdctl before version 2.
pub(crate) const STOP_SIGNAL_LABEL: &str = "io.containerd.image.config.stop-signal";

/// How long a container lives after its client has left, when it is asked to close by itself and no
/// time is given. Upstream's value.
pub const AUTO_CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A duration that is not negative.
pub(crate) fn duration_of(text: &str) -> std::result::Result<Duration, String> {
    match duration::parse(text)? {
        duration::Signed::Positive(duration) => Ok(duration),
        duration::Signed::Negative => Err(format!("{} is negative", quoted(text))),
    }
}

impl Annotations {
    /// Reads the micrun annotations among a container's. Keys of others are passed over; keys of ours
    /// that are unknown or without effect become [warnings](Self::warnings).
    ///
    /// A value that cannot be read is an [`Error::Annotation`]: guessing would start another firmware
    /// than the one meant. Two values that upstream tolerates are tolerated with a warning:
    /// `auto_close = "60"` and a negative timeout.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self> {
        let mut annotations = Self::default();
        for (full, value) in map {
            if let Some(name) = full.strip_prefix(PREFIX) {
                annotations.read(full, name, value)?;
            } else if let Some(name) = full.strip_prefix(OLD_PREFIX) {
                annotations.warnings.push(format!(
                    "annotation {}: the prefix is upstream's former one and is not read; write {PREFIX}{}",
                    quoted(full),
                    printable(name)
                ));
            }
        }
        Ok(annotations)
    }

    fn read(&mut self, full: &str, name: &str, value: &str) -> Result<()> {
        let Some(key) = TABLE.iter().find(|key| key.name == name) else {
            if !name.starts_with(FREE_FAMILY) {
                self.warnings.push(format!(
                    "annotation {} is not known and has no effect{}",
                    quoted(full),
                    hint(name, TABLE.iter().map(|key| key.name))
                ));
            }
            return Ok(());
        };
        if let Effect::None(reason) = key.effect {
            self.warnings.push(format!("annotation {full} has no effect here: {reason}"));
        }
        let warning =
            self.set(name, value).map_err(|reason| Error::Annotation { key: printable(full), reason })?;
        self.warnings.extend(warning.map(|text| format!("annotation {full}: {text}")));
        Ok(())
    }

    /// What a user should be told about these annotations; a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What these annotations say about closing by itself, if anything; 0 is "never". A timeout beats the
    /// switch, as upstream documents it.
    pub(crate) fn auto_close_after(&self) -> Option<Duration> {
        let by_switch = |AutoClose(on)| if on { AUTO_CLOSE_TIMEOUT } else { Duration::ZERO };
        self.auto_close_timeout.or_else(|| self.auto_close.map(by_switch))
    }
}
