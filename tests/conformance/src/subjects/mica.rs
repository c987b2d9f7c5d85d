//! Our shim, with a packed firmware on the qemu pedestal.

use std::any::Any;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use micrun_host_tests::micad::Micad;
use micrun_host_tests::{firmware, isolation};
use serde_json::{Value, json};

use crate::Subject;
use crate::subject::Program;
use crate::subjects::MICA;

/// `containerd-shim-mica-v2` with micad.
pub struct Mica;

impl Subject for Mica {
    fn name(&self) -> &'static str {
        MICA
    }

    fn shim(&self) -> PathBuf {
        isolation::binary("containerd-shim-mica-v2")
    }

    fn daemons(&self) -> Box<dyn Any> {
        Box::new(Micad::start())
    }

    fn fill(&self, rootfs: &Path, program: Program) -> Value {
        match program {
            Program::Shell => unpack(&firmware::demo(), rootfs),
            Program::Hello => unpack(&firmware::hello(), rootfs),
            Program::Broken => {
                fs::create_dir_all(rootfs).expect("the rootfs can be made");
                fs::write(rootfs.join("firmware.elf"), "no ELF").expect("the rootfs can be written");
                fs::write(rootfs.join("client.conf"), "[Mica]\nClientPath=firmware.elf\n").expect("as above");
            }
        }
        json!({"ociVersion": "1.1.0", "linux": {}})
    }

    fn terminal(&self, id: &str, _: u32) -> PathBuf {
        format!("/run/mica/ttyRPMSG_{id}_0").into()
    }

    fn enter(&self) -> &'static str {
        "\r"
    }

    fn exact_codes(&self) -> bool {
        true
    }
}

/// Packs a firmware and unpacks the image's layers, as containerd would.
fn unpack(elf: &Path, rootfs: &Path) {
    let layout = isolation::state_dir().join("layout");
    if !layout.exists() {
        fs::create_dir_all(isolation::state_dir()).expect("/run is private and writable");
    }
    let (from, to) = (elf.to_str().expect("UTF-8"), layout.to_str().expect("UTF-8"));
    let options = ["--os", "freertos", "--pedestal", "qemu", "--compression", "none"];
    firmware::builder(&[&["pack", from, "--output", to], &options[..]].concat()).success();
    let index = read(&layout.join("index.json"));
    let manifest = read(&blob(&layout, &index["manifests"][0]));
    // The entry may be an index of one manifest for each platform; they have the same layers.
    let manifest = match &manifest["manifests"][0] {
        Value::Null => manifest,
        first => read(&blob(&layout, first)),
    };
    for layer in manifest["layers"].as_array().expect("a manifest has layers") {
        let layer = File::open(blob(&layout, layer)).expect("the layer is there");
        tar::Archive::new(layer).unpack(rootfs).expect("the layer can be unpacked");
    }
    fs::remove_dir_all(&layout).expect("the layout can be removed");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file is there")).expect("the file is JSON")
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
    layout.join("blobs").join(digest.replace(':', "/"))
}
