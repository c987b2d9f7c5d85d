//! Images as tools make them that know nothing of records.

use std::path::PathBuf;

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::common::layout::{descriptor, manifest, set_manifest};
use crate::common::{Bench, blob, json};
use crate::report;

pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const CONF: &[u8] = b"[Mica]\nName = demo\nClientPath = /firmware.elf\nPedestal = qemu\n";

/// An entry of a layer.
pub(crate) enum File<'a> {
    Regular(&'a [u8], u32),
    Link(&'a str),
    /// Another name.
    Hard(&'a str),
    Fifo,
    /// `/dev/null`.
    Device,
}

/// Makes a layout of an image whose layers have these files, as a tool does that knows nothing of records.
pub(crate) fn foreign(bench: &Bench, name: &str, layers: &[&[(&str, File<'_>)]]) -> PathBuf {
    bench.pack(&["-o", name, "-t", name, "--platform", "linux/arm64"]);
    let layout = bench.path(name);
    let (_, mut document) = manifest(&layout);
    let mut config = json(blob(&layout, document["config"]["digest"].as_str().unwrap()));
    let layers: Vec<_> = layers
        .iter()
        .map(|files| {
            let mut tar = Builder::new(Vec::new());
            for (path, file) in *files {
                let mut header = Header::new_gnu();
                let none = &b""[..];
                let (kind, mode, content) = match file {
                    File::Regular(content, mode) => (EntryType::Regular, *mode, *content),
                    File::Link(_) => (EntryType::Symlink, 0o777, none),
                    File::Hard(_) => (EntryType::Link, 0o640, none),
                    File::Fifo => (EntryType::Fifo, 0o600, none),
                    File::Device => (EntryType::Char, 0o666, none),
                };
                header.set_entry_type(kind);
                header.set_mode(mode);
                header.set_size(content.len() as u64);
                match file {
                    File::Link(target) | File::Hard(target) => {
                        tar.append_link(&mut header, path, target).unwrap();
                    }
                    File::Device => {
                        header.set_uid(1000);
                        header.set_device_major(1).unwrap();
                        header.set_device_minor(3).unwrap();
                        tar.append_data(&mut header, path, content).unwrap();
                    }
                    File::Regular(..) | File::Fifo => tar.append_data(&mut header, path, content).unwrap(),
                }
            }
            descriptor(&layout, LAYER, &tar.into_inner().unwrap())
        })
        .collect();
    config["rootfs"]["diff_ids"] = layers.iter().map(|it| it["digest"].clone()).collect();
    config["history"] = Value::Null;
    document["config"] = descriptor(&layout, CONFIG, config.to_string().as_bytes());
    document["layers"] = json!(layers);
    set_manifest(&layout, &document);
    layout
}

pub(crate) const fn regular(content: &[u8]) -> File<'_> {
    File::Regular(content, 0o644)
}

/// All but records, as `inspect --files` has it.
pub(crate) fn files(bench: &Bench, image: &str) -> Vec<Value> {
    let report = report(bench, &["inspect", image, "--files"]);
    let mut files = report["images"][0]["files"].as_array().unwrap().clone();
    files.retain(|it| !it["path"].as_str().unwrap().starts_with("/.micrun"));
    files
}

/// An image whose files are of all kinds, one of them with a long name.
pub(crate) fn of_all_kinds(bench: &Bench) -> Vec<Value> {
    let long = "d/".repeat(120) + "file";
    let elf = bench.read("fw.elf");
    foreign(
        bench,
        "others",
        &[
            &[
                ("z", regular(b"the last name, and the first file")),
                ("client.conf", regular(CONF)),
                ("firmware.elf", regular(&elf)),
                ("null", File::Device),
                ("gone", File::Link("client.conf")),
                ("replaced", File::Link("client.conf")),
            ],
            &[
                ("a", File::Regular(b"#!", 0o6755)),
                ("b", File::Hard("a")),
                ("fifo", File::Fifo),
                ("link", File::Link("../to/nothing/here")),
                ("other-link", File::Hard("link")),
                (".wh.gone", regular(b"")),
                ("replaced", regular(b"now a file")),
                (&long, regular(b"deep")),
            ],
        ],
    );
    files(bench, "others")
}
