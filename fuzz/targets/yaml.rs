//! A file that describes images, as `pack` reads it.
#![no_main]

#[path = "../../micrun-image-builder/src/pack/input/arch.rs"]
mod arch;
#[path = "../../micrun-image-builder/src/error.rs"]
mod error;
#[path = "../../micrun-image-builder/src/image_path.rs"]
mod image_path;
#[path = "../../micrun-image-builder/src/platform.rs"]
mod platform;

/// What the file knows of layers.
#[path = "."]
mod layer {
    #[path = "../../micrun-image-builder/src/layer/compression.rs"]
    mod compression;

    pub(crate) use compression::Compression;

    pub(crate) const FILE_MODE: u32 = 0o644;
}

/// What the file uses of provenance.
#[path = "."]
mod provenance {
    #[path = "../../micrun-image-builder/src/provenance/options.rs"]
    mod options;

    pub(crate) use options::{Package, Switch};
}

/// What the file uses of packing.
#[path = "."]
mod pack {
    pub(crate) use crate::arch::Arch;

    #[path = "../../micrun-image-builder/src/pack/mode.rs"]
    mod mode;

    pub(crate) use mode::Mode;
}

#[path = "."]
mod yaml {
    use std::path::Path;

    #[path = "../../micrun-image-builder/src/yaml/file.rs"]
    mod file;
    #[path = "../../micrun-image-builder/src/yaml/value.rs"]
    mod value;

    /// How many images a file describes.
    pub(crate) fn images(path: &Path) -> Result<usize, crate::error::Error> {
        file::File::read(path)?.chosen(path, &[]).map(|images| images.len())
    }
}

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use error::Error;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static DIR: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a temporary directory"));
static FILE: LazyLock<PathBuf> = LazyLock::new(|| DIR.path().join("micrun.yaml"));

fuzz_target!(|bytes: &[u8]| {
    fs::write(&*FILE, bytes).expect("it can be written");
    match yaml::images(&FILE) {
        Ok(images) => assert!(images > 0, "a file without images is refused"),
        Err(Error::File { place, reason }) => {
            assert!(
                place.starts_with(&FILE.display().to_string()) && !reason.is_empty(),
                "{place}: {reason}"
            );
        }
        // It is no text.
        Err(other) => assert_eq!(other.exit_status(), 1, "{other}"),
    }
});
