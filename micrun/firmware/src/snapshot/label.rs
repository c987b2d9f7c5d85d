//! The label of a snapshot: the file that says what its state is, and of which machine. An image brings it, so it is
//! hostile until checked.

use std::fs::File;
use std::io::{self, Read, Seek};

use serde::{Deserialize, Serialize};

use super::{LABEL, Machine};
use crate::Sha256Digest;

/// Version of the label. 2 has the digest of the state.
const VERSION: u32 = 2;

/// Why a text is no label.
#[derive(Debug)]
pub enum Unread {
    /// A later program made it.
    Newer {
        /// Its version.
        found: u32,
        /// The version that is known here.
        known: u32,
    },
    /// The reason.
    Wrong(String),
}

/// What the file holds.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Label {
    version: u32,
    /// The machine whose state it is.
    pub machine: Machine,
    /// The digest of the firmware that this machine's own had been patched to: the state has its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched: Option<String>,
    /// The state.
    pub state: State,
}

/// What the label says of the state.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct State {
    /// In bytes.
    size: u64,
    sha256: Sha256Digest,
}

impl State {
    /// Reads what `file` holds, at most `limit` bytes, from its beginning; it is at its beginning again afterwards.
    pub fn of(file: &mut File, limit: u64) -> io::Result<Self> {
        file.rewind()?;
        let (sha256, size) = Sha256Digest::copy(&mut (&*file).take(limit), &mut io::sink())?;
        file.rewind()?;
        Ok(Self { size, sha256 })
    }
}

impl Label {
    /// The label of this machine's state.
    pub fn new(machine: Machine, patched: Option<String>, state: State) -> Self {
        Self { version: VERSION, machine, patched, state }
    }

    /// Reads a label.
    pub fn parse(text: &[u8]) -> Result<Self, Unread> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let wrong = |error: serde_json::Error| Unread::Wrong(format!("`{LABEL}` cannot be parsed: {error}"));
        match serde_json::from_slice(text).map_err(wrong)? {
            Versioned { version } if version > VERSION => {
                return Err(Unread::Newer { found: version, known: VERSION });
            }
            Versioned { version } if version < VERSION => {
                let reason = "it is of an earlier shim and does not say what its state is; make it again";
                return Err(Unread::Wrong(reason.to_owned()));
            }
            Versioned { .. } => {}
        }
        serde_json::from_slice(text).map_err(wrong)
    }

    /// In what its machine differs from the present one, for a sentence.
    pub fn differences(&self, now: &Machine) -> String {
        let saved = &self.machine;
        let pairs = [
            ("pedestal", saved.pedestal.clone(), now.pedestal.clone()),
            ("firmware", saved.firmware.clone(), now.firmware.clone()),
            ("hardware ([Qemu] of client.conf)", saved.hardware.clone(), now.hardware.clone()),
            ("memory in MiB", saved.memory_mb.to_string(), now.memory_mb.to_string()),
            ("virtual CPUs", saved.vcpus.to_string(), now.vcpus.to_string()),
        ];
        let differing = pairs.into_iter().filter(|(_, saved, now)| saved != now);
        let texts: Vec<_> =
            differing.map(|(what, saved, now)| format!("its {what} was {saved} and is {now}")).collect();
        texts.join(", ")
    }
}
