//! What is noted of a remoteproc that a run could not leave as it was, because the kernel did not stop its crashed firmware.
//!
//! That is a file in the daemon's runtime directory, for whichever run is next. It lasts no longer than what it is about:
//! until the machine starts anew.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::sysfs::Remoteproc;
use crate::Result;
use crate::error::file;

/// A note about one remoteproc.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// What the attribute `firmware` was. No two runs have the same there, nor has a driver that was loaded anew.
    firmware: String,
    /// The settings as they were before the run.
    pub(super) before: Settings,
    /// The kernel starts nothing there any more: a recovery has failed.
    pub(super) lost: bool,
}

impl Note {
    /// The note, if there is one about what the remoteproc is now.
    pub(super) fn read(notes: &Path, remoteproc: &Remoteproc) -> Option<Self> {
        let text = std::fs::read(path(notes, remoteproc)).ok()?;
        let note: Self = serde_json::from_slice(&text).ok()?;
        remoteproc.read("firmware").is_ok_and(|name| name == note.firmware).then_some(note)
    }

    /// Notes what the settings were before the run.
    pub(super) fn leave(notes: &Path, remoteproc: &Remoteproc, before: Settings) {
        Self::write(notes, remoteproc, before, false);
    }

    /// Notes that the kernel starts nothing there any more.
    pub(super) fn lose(notes: &Path, remoteproc: &Remoteproc) {
        let before = Self::read(notes, remoteproc).map(|note| note.before);
        Self::write(notes, remoteproc, before.unwrap_or_default(), true);
    }

    /// Takes the note away: all is as it was.
    pub(super) fn remove(notes: &Path, remoteproc: &Remoteproc) {
        let path = path(notes, remoteproc);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => log::warn!("{}", file("remove", path)(e).sentence()),
            _ => {}
        }
    }

    fn write(notes: &Path, remoteproc: &Remoteproc, before: Settings, lost: bool) {
        let written = remoteproc.read("firmware").and_then(|firmware| {
            let text = serde_json::json!(Self { firmware, before, lost }).to_string();
            replace(&path(notes, remoteproc), &text)
        });
        if let Err(e) = written {
            log::warn!("{}: recovery will stay disabled: {}", remoteproc.title(), e.sentence());
        }
    }
}

/// Its number is enough: a note about another remoteproc names other firmware.
fn path(notes: &Path, remoteproc: &Remoteproc) -> PathBuf {
    notes.join(format!("{}.json", remoteproc.id))
}

/// Writes the file, whole or not at all.
fn replace(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("json.new");
    std::fs::write(&new, text).map_err(file("write", &new))?;
    std::fs::rename(&new, path).map_err(file("replace", path))
}
