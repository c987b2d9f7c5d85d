//! What append tells about an image that it has written.

use std::fmt;
use std::path::Path;

use micrun_firmware::record::{Change, LayerRecord};
use serde::Serialize;

use super::firmware::Made;
use super::write::Written;
use crate::names::ImageName;
use crate::sink;

#[derive(Serialize)]
pub(super) struct Report {
    name: String,
    digest: String,
    output: String,
    /// Null if nothing changes.
    layer: Option<LayerLine>,
    files: Vec<FileLine>,
}

#[derive(Serialize)]
struct LayerLine {
    digest: String,
    size: u64,
    diff_id: String,
    unpacked: u64,
}

#[derive(Serialize)]
struct FileLine {
    path: String,
    op: &'static str,
    /// How many bytes of memory change, for a firmware.
    changes: Option<u64>,
    /// What a delta gives: a digest.
    gives: Option<String>,
}

impl Report {
    pub(super) fn new(
        name: &ImageName,
        output: &Path,
        record: &LayerRecord,
        made: Option<&Made>,
        written: &Written,
    ) -> Self {
        let line = |(path, change): (&str, &Change)| FileLine {
            path: path.to_owned(),
            op: match change {
                Change::Add(_) => "add",
                Change::Replace { .. } => "replace",
                Change::Delete { .. } => "delete",
            },
            changes: change
                .after()
                .and_then(|it| it.changes.as_ref())
                .map(|it| it.iter().map(|range| range.size).sum()),
            gives: made
                .filter(|it| it.is_delta && it.place == path.trim_start_matches('/'))
                .map(|it| it.content.sha256.to_string()),
        };
        Self {
            name: name.full().to_owned(),
            digest: written.digest.clone(),
            output: output.display().to_string(),
            layer: written.layer.as_ref().map(|layer| LayerLine {
                digest: layer.blob.name(),
                size: layer.blob.size,
                diff_id: layer.diff.name(),
                unpacked: layer.diff.size,
            }),
            files: record.files().map(line).collect(),
        }
    }

    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn to_json(&self, notes: &[String]) -> String {
        let document = serde_json::json!({ "image": self, "notes": notes });
        format!("{document:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrote {} to {}", self.name, sink::shown(Path::new(&self.output)))?;
        match &self.layer {
            Some(layer) => {
                let plural = if self.files.len() == 1 { "" } else { "s" };
                write!(f, ": a layer of {} bytes that changes {} file{plural}", layer.size, self.files.len())
            }
            None => write!(f, ": no further layer"),
        }
    }
}
