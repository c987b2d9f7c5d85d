//! A rootfs on disk, with something outside that must never be reached.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use micrun_firmware::{Error, Firmware};
use tempfile::TempDir;

/// `<temporary>/rootfs`, beside `<temporary>/outside.elf`.
pub(crate) struct Image {
    directory: TempDir,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Image {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("rootfs")).unwrap();
        fs::write(directory.path().join("outside.elf"), super::Elf::default().bytes()).unwrap();
        Self { directory, annotations: BTreeMap::new() }
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    pub(crate) fn outside(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.rootfs().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn elf(self, path: &str, elf: &super::Elf) -> Self {
        self.file(path, elf.bytes())
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        let path = self.rootfs().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    pub(crate) fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(format!("org.openeuler.micrun.{name}"), value.into());
        self
    }

    pub(crate) fn resolve(&self) -> Result<Firmware, Error> {
        Firmware::resolve(&self.rootfs(), &self.annotations)
    }

    /// The path inside the image of the firmware that was found.
    pub(crate) fn found(&self) -> String {
        self.resolve().unwrap().file.path.to_str().unwrap().to_owned()
    }

    pub(crate) fn error(&self) -> Error {
        self.resolve().unwrap_err()
    }
}
