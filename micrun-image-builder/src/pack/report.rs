//! What pack tells about an image that it has written.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::image::Stored;
use crate::layer::{Compression, Layer};
use crate::names::ImageName;
use crate::platform::Host;
use crate::sink;

/// The fields have the names and meanings of those of `inspect --json`.
#[derive(Serialize)]
pub(super) struct Report {
    name: String,
    digest: String,
    output: String,
    platforms: Vec<PlatformLine>,
    layer: LayerLine,
}

#[derive(Serialize)]
struct PlatformLine {
    platform: String,
    manifest: String,
    config: String,
}

#[derive(Serialize)]
struct LayerLine {
    digest: String,
    size: u64,
    media_type: String,
    diff_id: String,
    unpacked: u64,
}

impl Report {
    pub(super) fn new(
        output: &Path,
        name: &ImageName,
        hosts: &[Host],
        stored: &Stored,
        layer: &Layer,
        compression: Compression,
    ) -> Self {
        let line = |(host, (manifest, config)): (&Host, &(String, String))| PlatformLine {
            platform: host.to_string(),
            manifest: manifest.clone(),
            config: config.clone(),
        };
        Self {
            name: name.full().to_owned(),
            digest: stored.entry.digest().to_string(),
            output: output.display().to_string(),
            platforms: hosts.iter().zip(&stored.platforms).map(line).collect(),
            layer: LayerLine {
                digest: layer.blob.name(),
                size: layer.blob.size,
                media_type: compression.media_type().to_string(),
                diff_id: layer.diff.name(),
                unpacked: layer.diff.size,
            },
        }
    }

    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// As a document, with what the user should know.
    pub(super) fn to_json(&self, notes: &[String]) -> String {
        let document = serde_json::json!({ "image": self, "notes": notes });
        format!("{document:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.platforms.iter().map(|it| it.platform.as_str()).collect();
        let output = sink::shown(Path::new(&self.output));
        write!(
            f,
            "wrote {} to {output}: for {}, layer of {} bytes ({} unpacked)",
            self.name,
            hosts.join(", "),
            self.layer.size,
            self.layer.unpacked
        )
    }
}
