//! Where the rings of consoles are.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use libmica::ext::Shown;

use super::ring;
use crate::Result;
use crate::config::Config;
use crate::error::file;
use crate::pedestal::ClientSpec;

/// How much is kept of each console, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rings {
    /// Bytes of each.
    pub(super) bytes: u64,
    /// The directory for all; without one, the client's own.
    dir: Option<PathBuf>,
}

/// The files of a console.
pub(crate) struct RingFiles {
    /// Of this run.
    pub(crate) current: File,
    /// Of the one before, if there was one.
    pub(crate) previous: Option<File>,
}

impl Rings {
    /// As the configuration says.
    pub(crate) fn of(config: &Config) -> Self {
        Self { bytes: config.console_ring, dir: config.console_dir.clone() }
    }

    /// The files for a run that begins: what the last one had is that of the run before from now on. `number` is the
    /// console's. Blocks.
    pub(crate) fn begin(&self, spec: &ClientSpec, number: usize) -> Result<RingFiles> {
        let path = self.path(spec, number);
        let previous = previous(&path);
        match std::fs::rename(&path, &previous) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(file("rename", path)(e)),
            _ => {}
        }
        let new = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let current = new.map_err(file("create", &path))?;
        ring::format(&current, self.bytes).map_err(file("write", &path))?;
        Ok(RingFiles { current, previous: open(&previous)? })
    }

    /// The files of a run that goes on. Blocks.
    pub(crate) fn resume(&self, spec: &ClientSpec, number: usize) -> Result<RingFiles> {
        let path = self.path(spec, number);
        let current = OpenOptions::new().read(true).write(true).open(&path).map_err(file("open", &path))?;
        Ok(RingFiles { current, previous: open(&previous(&path))? })
    }

    /// Removes what is kept of a client that is no more. In its own directory that goes with it. Blocks.
    pub(crate) fn remove(&self, spec: &ClientSpec) {
        if self.dir.is_none() {
            return;
        }
        for path in (0..super::MOST_STREAMS).map(|number| self.path(spec, number)) {
            for path in [previous(&path), path] {
                match std::fs::remove_file(&path) {
                    Err(e) if e.kind() != ErrorKind::NotFound => {
                        log::warn!("{}", file("remove", path)(e).sentence());
                    }
                    _ => {}
                }
            }
        }
    }

    /// What the streams of a client have shown in this run. `None` before the first run. Blocks.
    pub(crate) fn counts(&self, spec: &ClientSpec) -> Option<Shown> {
        let counts = (0..super::MOST_STREAMS)
            .filter_map(|number| File::open(self.path(spec, number)).ok())
            .filter_map(|file| ring::counts(&file).ok());
        let counts = counts.map(|(bytes, lost_bytes)| Shown { bytes, lost_bytes });
        counts.reduce(|a, b| Shown { bytes: a.bytes + b.bytes, lost_bytes: a.lost_bytes + b.lost_bytes })
    }

    /// How many bytes the console of a client has shown in this run. Blocks.
    pub(crate) fn console(&self, spec: &ClientSpec) -> Option<u64> {
        let (bytes, _) = ring::counts(&File::open(self.path(spec, 0)).ok()?).ok()?;
        Some(bytes)
    }

    /// The last that the console of a client has shown in this run, no more than so many bytes; `None` if that is nothing.
    /// Blocks.
    pub(crate) fn last_words(&self, spec: &ClientSpec, most: usize) -> Option<String> {
        let bytes = ring::tail(File::open(self.path(spec, 0)).ok()?, most).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty())
    }

    fn path(&self, spec: &ClientSpec, number: usize) -> PathBuf {
        match &self.dir {
            Some(dir) => dir.join(format!("{}.console{number}", spec.name())),
            None => spec.dir.join(format!("console{number}")),
        }
    }
}

fn previous(path: &Path) -> PathBuf {
    let mut previous = path.as_os_str().to_owned();
    previous.push(".previous");
    previous.into()
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(file("open", path)),
    }
}
