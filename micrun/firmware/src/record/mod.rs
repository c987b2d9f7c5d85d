//! Layer-modification records: what a layer of a firmware image adds, replaces and deletes.
//!
//! Every layer carries one as `/.micrun/records/NNNN.json`, counted up from 0000, and the digest of its
//! bytes as an annotation of its descriptor ([`crate::annotations::LAYER_RECORD`]). A record is canonical
//! JSON: keys sorted, no white space, so equal contents are equal bytes. `docs/LAYER_RECORD.md` is the
//! schema's documentation.

mod address;
mod content;
mod json;
mod pass;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use address::Address;
pub use content::{Change, Content, ElfContent, SegmentContent};

use crate::text::quoted;
use crate::{Error, Result, Sha256Digest};

/// The version of the schema that is written of a layer without [`Content::changes`]: its bytes stay what they were.
pub const SCHEMA: u32 = 1;

/// The version with changes, which is written where there are some. Both are read.
pub const SCHEMA_WITH_CHANGES: u32 = 2;

/// Where records are in an image.
pub const DIRECTORY: &str = "/.micrun/records";

/// The largest record accepted, in bytes.
pub const MAX_SIZE: u64 = 16 << 20;

/// The longest path accepted, in bytes: Linux' `PATH_MAX` less the NUL.
const MAX_PATH: usize = 4095;

/// The path in the image of the record of the layer `number`, counted from 0.
pub fn path(number: u32) -> String {
    format!("{DIRECTORY}/{number:04}.json")
}

/// What one layer changes, by path. The record itself and directories are not listed.
// The fields of everything that is serialised here stand in the order of their names: that, and serde's
// keeping to it, is what makes the JSON canonical. `parse` and a test check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    files: BTreeMap<String, Change>,
    schema: u32,
}

impl Default for LayerRecord {
    fn default() -> Self {
        Self { files: BTreeMap::new(), schema: SCHEMA }
    }
}

impl LayerRecord {
    /// Adds the change of the file at `path`, absolute inside the image.
    pub fn insert(&mut self, path: &str, change: Change) -> Result<()> {
        check_path(path)?;
        change.check().map_err(|reason| refuse(format!("{}: {reason}", quoted(path))))?;
        let has_changes = has_changes(&change);
        match self.files.insert(path.to_owned(), change) {
            None if has_changes => {
                self.schema = SCHEMA_WITH_CHANGES;
                Ok(())
            }
            Some(_) => Err(refuse(format!("{} is changed twice in one layer", quoted(path)))),
            None => Ok(()),
        }
    }

    /// The changes, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Change)> {
        self.files.iter().map(|(path, change)| (path.as_str(), change))
    }

    /// The record's bytes, as they stand in the layer.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| refuse(format!("it cannot be written: {error}")))
    }

    /// Reads a record. One that is not canonical is refused: its digest would depend on its writer.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_SIZE {
            return Err(refuse(format!("it has {} bytes, more than the {MAX_SIZE} allowed", bytes.len())));
        }
        // The version first: of another schema nothing else may be assumed.
        let Version { schema } = from_json(bytes)?;
        if ![SCHEMA, SCHEMA_WITH_CHANGES].contains(&schema) {
            return Err(refuse(format!(
                "it has schema {schema} and this program reads schemas {SCHEMA} and {SCHEMA_WITH_CHANGES}; use the \
                 version that wrote it"
            )));
        }
        let record: Self = from_json(bytes)?;
        if (schema == SCHEMA_WITH_CHANGES) != record.files.values().any(has_changes) {
            let reason = "schema 2 is that of a layer with changes of a firmware, schema 1 that of any other";
            return Err(refuse(reason.into()));
        }
        for (path, change) in record.files() {
            check_path(path)?;
            change.check().map_err(|reason| refuse(format!("{}: {reason}", quoted(path))))?;
        }
        if record.to_json()? != bytes {
            let reason = "it is not canonical JSON (sorted keys, no white space, no repeated key)";
            return Err(refuse(reason.into()));
        }
        Ok(record)
    }

    /// Reads a record whose digest is known, from the layer's descriptor.
    pub fn parse_verified(bytes: &[u8], digest: Sha256Digest) -> Result<Self> {
        let actual = Sha256Digest::of(bytes);
        if actual != digest {
            return Err(refuse(format!(
                "the layer's descriptor says {digest}, but the record has {actual}; the image was changed after it was packed"
            )));
        }
        Self::parse(bytes)
    }

    /// Whether the file that a layer has at `path` is the one that its record says.
    pub fn verify(&self, path: &str, actual: &Content) -> Result<()> {
        let difference = match self.files.get(path).map(Change::after) {
            None => Some("the layer has it, but the record does not".into()),
            Some(None) => Some("the record says that the layer deletes it, but the layer has it".into()),
            Some(Some(recorded)) => recorded.difference(actual),
        };
        match difference {
            Some(difference) => Err(refuse(format!("{}: {difference}", quoted(path)))),
            None => Ok(()),
        }
    }
}

fn has_changes(change: &Change) -> bool {
    change.after().is_some_and(|content| content.changes.is_some())
}

#[derive(Deserialize)]
struct Version {
    schema: u32,
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| refuse(format!("it cannot be read: {error}")))
}

fn refuse(reason: String) -> Error {
    Error::Record { reason }
}

/// Absolute, canonical and printable: the same file has one name, which cannot leave the image.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let clean = path.strip_prefix('/').is_some_and(|names| {
        names.split('/').all(|name| !matches!(name, "" | "." | "..")) && !path.chars().any(char::is_control)
    });
    if clean && path.len() <= MAX_PATH {
        Ok(())
    } else {
        Err(refuse(format!("{} is not a canonical absolute path", quoted(path))))
    }
}
