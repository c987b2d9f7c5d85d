//! Writes OCI archives that no builder would: ordinary ones to compare with, hostile ones to refuse.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// An image of uncompressed layers for this machine.
pub struct Image {
    name: String,
    layers: Vec<Builder<Vec<u8>>>,
    command: Vec<String>,
}

impl Image {
    /// An empty image with the name that `ctr` will show, and the command it runs.
    pub fn new(name: &str, command: &[&str]) -> Self {
        let command = command.iter().map(ToString::to_string).collect();
        Self { name: name.to_owned(), layers: vec![Builder::new(Vec::new())], command }
    }

    /// The image that runs Debian's static busybox.
    pub fn busybox(name: &str, command: &[&str]) -> Self {
        Self::new(name, command).file("bin/busybox", &busybox())
    }

    /// Begins another layer on top.
    #[must_use]
    pub fn layer(mut self) -> Self {
        self.layers.push(Builder::new(Vec::new()));
        self
    }

    /// Adds an executable file; `path` is relative to the root.
    #[must_use]
    pub fn file(mut self, path: &str, content: &[u8]) -> Self {
        append(self.top(), path, content);
        self
    }

    /// Adds a symbolic link, to any target.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        self.top().append_link(&mut header, path, target).expect("a link fits into the archive");
        self
    }

    fn top(&mut self) -> &mut Builder<Vec<u8>> {
        self.layers.last_mut().expect("an image has a layer")
    }

    /// Writes the archive into `dir`.
    pub fn write(self, dir: &Path) -> PathBuf {
        let mut archive = Builder::new(Vec::new());
        let layers = self.layers.into_iter().map(|layer| {
            let layer = layer.into_inner().expect("memory can be written");
            blob(&mut archive, "application/vnd.oci.image.layer.v1.tar", &layer)
        });
        let layers: Vec<_> = layers.collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| &layer["digest"]).collect();
        finish(archive, &self.name, &self.command, &layers, &json!(diff_ids), dir)
    }
}

/// Adds config, manifest and index, and writes the archive into `dir`.
fn finish(
    mut archive: Builder<Vec<u8>>,
    name: &str,
    command: &[String],
    layers: &[Value],
    diff_ids: &Value,
    dir: &Path,
) -> PathBuf {
    let config = json!({
        "architecture": architecture(), "os": "linux",
        "config": {"Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config =
        blob(&mut archive, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut manifest = blob(&mut archive, media_type, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"io.containerd.image.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    append(&mut archive, "index.json", index.to_string().as_bytes());
    append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);

    let path = dir.join("image.tar");
    let bytes = archive.into_inner().expect("memory can be written");
    fs::File::create(&path).and_then(|mut file| file.write_all(&bytes)).expect("the archive can be written");
    path
}

/// A layer made by hand.
pub struct RawLayer {
    /// What its descriptor says.
    pub media_type: String,
    /// As it is stored.
    pub blob: Vec<u8>,
    /// As it is unpacked.
    pub tar: Vec<u8>,
}

/// Writes an archive of an image with these layers into `dir`.
pub fn write_raw(name: &str, layers: &[RawLayer], dir: &Path) -> PathBuf {
    let mut archive = Builder::new(Vec::new());
    let blobs: Vec<_> =
        layers.iter().map(|layer| blob(&mut archive, &layer.media_type, &layer.blob)).collect();
    let diff_ids: Vec<_> =
        layers.iter().map(|layer| format!("sha256:{}", hex::encode(Sha256::digest(&layer.tar)))).collect();
    finish(archive, name, &["/none".to_owned()], &blobs, &json!(diff_ids), dir)
}

/// Debian's static busybox: a program for this machine.
pub fn busybox() -> Vec<u8> {
    fs::read("/bin/busybox").expect("busybox-static is installed: run `make setup`")
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content).expect("memory can be written");
}

/// Adds a blob; answers its descriptor.
fn blob(archive: &mut Builder<Vec<u8>>, media_type: &str, content: &[u8]) -> Value {
    let digest = hex::encode(Sha256::digest(content));
    append(archive, &format!("blobs/sha256/{digest}"), content);
    json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": content.len()})
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
