//! A client's firmware where the kernel looks for it, as long as it takes to start it.
//!
//! Each start gets a file of its own, under a name that nobody else uses; the kernel has copied it when `start`
//! returns. A lock tells the files of a daemon that is at it from those that a killed one has left.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use libmica::names;
use micrun_firmware::{ElfInfo, MAX_FIRMWARE_SIZE, Sha256Digest};
use nix::fcntl::{Flock, FlockArg};

use super::sysfs::{self, System};
use crate::error::file;
use crate::pedestal::{ClientSpec, firmware_file};
use crate::{Error, Result};

const PREFIX: &str = "micad-";
const SUFFIX: &str = ".elf";
/// The kernel's parameter with one more directory to search, before all others.
const SEARCH_PATH: &str = "/sys/module/firmware_class/parameters/path";
/// Where the kernel looks anyway.
const DEFAULT_DIR: &str = "/lib/firmware";

/// Where firmware goes.
#[derive(Debug)]
pub(super) struct FirmwareDir {
    dir: PathBuf,
}

/// Firmware in the kernel's reach; dropping it takes it away.
#[derive(Debug)]
pub(super) struct Placed {
    /// What the kernel is to be told.
    pub(super) name: String,
    path: PathBuf,
    _locked: Flock<File>,
}

/// A further name of [`Placed`] firmware; dropping it takes it away.
#[derive(Debug)]
pub(super) struct Alias(PathBuf);

impl FirmwareDir {
    /// The directory: the configured one, else the kernel's own search path, else its default. A configured
    /// one becomes the kernel's search path if there is none.
    pub(super) fn find(system: &System, configured: Option<&Path>) -> Result<Self> {
        let parameter = system.path(SEARCH_PATH);
        let searched = sysfs::read(&parameter).unwrap_or_default();
        let dir = match configured {
            Some(dir) if dir == Path::new(DEFAULT_DIR) || dir == Path::new(&searched) => dir.to_owned(),
            Some(dir) if searched.is_empty() => {
                let text = dir.display().to_string();
                sysfs::write(&parameter, &text).map_err(file("write", &parameter))?;
                dir.to_owned()
            }
            Some(dir) => {
                let problem = format!(
                    "FirmwareDir is {}, but the kernel searches {searched}: use that, or change firmware_class.path",
                    dir.display()
                );
                return Err(Error::RemoteprocUnusable { problem });
            }
            None if searched.is_empty() => DEFAULT_DIR.into(),
            None => searched.into(),
        };
        Ok(Self { dir: system.path(&dir.display().to_string()) })
    }

    /// Copies the client's firmware here, whole or not at all; gives its digest, too.
    pub(super) fn place(&self, spec: &ClientSpec) -> Result<(Placed, Sha256Digest)> {
        let source = &spec.message.path;
        let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("{}{nanos}{SUFFIX}", prefix(spec));
        let path = self.dir.join(&name);
        let partial = self.dir.join(format!("{PREFIX}.{nanos}{SUFFIX}"));
        let firmware = firmware_file::open(source, super::NAME)?;
        std::fs::create_dir_all(&self.dir).map_err(file("create", &self.dir))?;
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let mut copy = created.map_err(|e| match e.kind() {
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                Error::FirmwareDir { dir: self.dir.clone(), source: e }
            }
            _ => file("create", &partial)(e),
        })?;
        // From here on the file goes with this value.
        let mut placed = Placed { name, path: partial.clone(), _locked: lock(&partial)? };
        let copied = Sha256Digest::copy(&mut std::io::Read::take(firmware, MAX_FIRMWARE_SIZE + 1), &mut copy);
        let (sha256, size) = copied.map_err(file("copy the firmware to", &partial))?;
        if size > MAX_FIRMWARE_SIZE {
            let problem = format!("it is larger than {MAX_FIRMWARE_SIZE} bytes");
            return Err(Error::Firmware { path: source.to_owned(), pedestal: super::NAME, problem });
        }
        // The kernel reads no file that is open for writing (ETXTBSY).
        drop(copy);
        std::fs::rename(&partial, &path).map_err(file("create", &path))?;
        placed.path = path;
        Ok((placed, sha256))
    }

    /// Removes what daemons that were killed have left.
    pub(super) fn sweep(&self) {
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let file_name = entry.file_name();
            let ours = file_name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
            if ours && let Err(e) = remove_stale(&entry.path()) {
                log::warn!("{}", e.sentence());
            }
        }
    }
}

impl Placed {
    /// Checks that the copy of `source` is an ELF, as the kernel does when it starts firmware.
    pub(super) fn check(&self, source: &Path) -> Result<()> {
        let opened = File::open(&self.path).map_err(file("read", &self.path))?;
        ElfInfo::from_reader(opened).map(drop).map_err(|e| Error::Firmware {
            path: source.to_owned(),
            pedestal: super::NAME,
            problem: e.to_string(),
        })
    }

    /// Has the kernel find it by a name of earlier firmware, too.
    pub(super) fn also_as(&self, name: &str) -> Result<Alias> {
        let path = self.path.with_file_name(name);
        // Of that firmware there is nothing left, or what a killed daemon has.
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(file("remove", path)(e)),
            _ => {}
        }
        std::fs::hard_link(&self.path, &path).map_err(file("create", &path))?;
        Ok(Alias(path))
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(path: &Path) {
    if let Err(e) = std::fs::remove_file(path) {
        log::warn!("{}", file("remove", path)(e).sentence());
    }
}

/// Whether the name in a remoteproc's `firmware` is one that a micad has made up.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX) && !name.contains('/')
}

/// Whether it is one of this client's.
pub(super) fn is_of(name: &str, spec: &ClientSpec) -> bool {
    name.starts_with(&prefix(spec)) && name.ends_with(SUFFIX)
}

fn prefix(spec: &ClientSpec) -> String {
    // Names that differ can be the same when sanitised; slots cannot.
    format!("{PREFIX}{}-{}-", spec.slot, names::sanitize(spec.name()))
}

fn lock(path: &Path) -> Result<Flock<File>> {
    let opened = File::open(path).map_err(file("lock", path))?;
    Flock::lock(opened, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| file("lock", path)(e.into()))
}

fn remove_stale(path: &Path) -> Result<()> {
    let opened = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(file("read", path))?,
    };
    let Ok(_locked) = Flock::lock(opened, FlockArg::LockExclusiveNonblock) else { return Ok(()) };
    log::info!("removing {}, which an earlier daemon left", path.display());
    std::fs::remove_file(path).map_err(file("remove", path))
}
