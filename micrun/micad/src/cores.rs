//! The cores of firmware that has ended: files of root's, in a directory per client, the oldest of which make room for new
//! ones.

use std::fs::{DirEntry, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use micrun_firmware::Coredump;

use crate::error::{file, private_dir};
use crate::live::Live;
use crate::{Error, Result};

/// How a core's name ends.
const SUFFIX: &str = "core";
/// The same of one that is being written.
const PART: &str = "part";
/// What `st_blocks` counts in (stat(2)).
const BLOCK: u64 = 512;

/// The directory and what it may hold, as the configuration says at each moment.
#[derive(Clone)]
pub(crate) struct Cores {
    config: Live,
    /// Held by whoever removes files.
    turn: Arc<Mutex<()>>,
}

/// A core in the making. It is removed when it is dropped.
pub(crate) struct Draft {
    file: File,
    part: PathBuf,
    path: PathBuf,
    kept: bool,
}

impl Cores {
    pub(crate) fn new(config: &Live) -> Self {
        Self { config: config.clone(), turn: Arc::default() }
    }

    /// Of which ends a client has cores that says nothing of them.
    pub(crate) fn usual(&self) -> Coredump {
        self.config.get().coredump
    }

    /// Most bytes of one core; 0 if there are to be none.
    pub(crate) fn most(&self) -> u64 {
        let config = self.config.get();
        config.core_total_mb.min(config.core_per_client_mb).saturating_mul(1 << 20)
    }

    /// A new, empty core of a run of `client` that ended then. Blocks.
    pub(crate) fn create(&self, client: &str, exited_at: &str) -> Result<Draft> {
        let top = self.config.get().core_dir.clone();
        let dir = top.join(client);
        for dir in [&top, &dir] {
            private_dir(dir)?;
            check_owner(dir)?;
        }
        let name: String = exited_at.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let path = dir.join(format!("{name}.{SUFFIX}"));
        let part = path.with_extension(PART);
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&part);
        Ok(Draft { file: options.map_err(file("create", &part))?, part, path, kept: false })
    }

    /// Gives the core its name, and removes older ones that leave it no room. Blocks.
    pub(crate) fn keep(&self, mut draft: Draft) -> Result<PathBuf> {
        std::fs::rename(&draft.part, &draft.path).map_err(file("rename", &draft.part))?;
        draft.kept = true;
        let (config, path) = (self.config.get(), draft.path.clone());
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = path.parent() {
            prune(found_in(dir), &path, config.core_per_client_mb);
        }
        let all = subdirectories(&config.core_dir).iter().flat_map(|dir| found_in(dir)).collect();
        prune(all, &path, config.core_total_mb);
        Ok(path)
    }
}

impl Draft {
    /// The file to write to.
    pub(crate) fn file(&self) -> Result<File> {
        self.file.try_clone().map_err(file("duplicate", &self.part))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept
            && let Err(e) = std::fs::remove_file(&self.part)
        {
            log::warn!("cannot remove {}: {e}", self.part.display());
        }
    }
}

/// A directory that another user could change is no place for what firmware knows.
fn check_owner(dir: &Path) -> Result<()> {
    let found = dir.symlink_metadata().map_err(file("examine", dir))?;
    if found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    let problem = "it is not a directory of micad's own user: name another CoreDir, or remove it".to_owned();
    Err(Error::Config { path: dir.to_owned(), problem })
}

/// A file of the store.
struct Found {
    path: PathBuf,
    /// When it was made, by its name.
    name: std::ffi::OsString,
    bytes: u64,
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    entries(dir).filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())).map(|it| it.path()).collect()
}

fn found_in(dir: &Path) -> Vec<Found> {
    let found = entries(dir).filter_map(|entry| {
        let found = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some(Found { path: entry.path(), name: entry.file_name(), bytes: found.blocks() * BLOCK })
    });
    found.collect()
}

fn entries(dir: &Path) -> impl Iterator<Item = DirEntry> {
    std::fs::read_dir(dir).into_iter().flatten().flatten()
}

/// Removes the oldest of these, but not `newest`, until the rest has at most so many MiB.
fn prune(mut found: Vec<Found>, newest: &Path, most_mb: u64) {
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let mut bytes: u64 = found.iter().map(|it| it.bytes).sum();
    for old in found.iter().filter(|it| it.path != newest && it.path.extension().is_some_and(|e| e == SUFFIX))
    {
        if bytes <= most_mb.saturating_mul(1 << 20) {
            return;
        }
        match std::fs::remove_file(&old.path) {
            Ok(()) => log::info!("{}: removed, to make room for newer cores", old.path.display()),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => {
                log::warn!("cannot remove {}: {e}", old.path.display());
                continue;
            }
        }
        bytes = bytes.saturating_sub(old.bytes);
        // Only an empty one goes.
        let _ = old.path.parent().map(std::fs::remove_dir);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;

    use super::*;
    use crate::config::Config;

    fn store(dir: &Path, core_total_mb: u64, core_per_client_mb: u64) -> Cores {
        let config =
            Config { core_dir: dir.join("cores"), core_total_mb, core_per_client_mb, ..Config::default() };
        Cores::new(&Live::new(config))
    }

    fn add(cores: &Cores, client: &str, second: u32) -> PathBuf {
        let draft = cores.create(client, &format!("2026-01-01T00:00:{second:02}.5Z")).unwrap();
        draft.file().unwrap().write_all(&vec![1; 1 << 20]).unwrap();
        cores.keep(draft).unwrap()
    }

    #[test]
    fn the_oldest_go_first_of_the_client_and_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let cores = store(dir.path(), 4, 2);
        let all: Vec<_> = (0..3).map(|second| add(&cores, "a", second)).collect();
        assert!(all[0].ends_with("a/20260101T000000.5Z.core"), "{}", all[0].display());
        assert_eq!(all.iter().map(|it| it.exists()).collect::<Vec<_>>(), [false, true, true]);
        let others: Vec<_> =
            ["b", "b", "c", "d"].into_iter().zip(3..).map(|(c, s)| add(&cores, c, s)).collect();
        assert!(!dir.path().join("cores/a").exists());
        assert!(others.iter().all(|it| it.exists()));
        for (path, mode) in [(dir.path().join("cores"), 0o700), (others[0].clone(), 0o600)] {
            assert_eq!(path.metadata().unwrap().mode() & 0o777, mode, "{}", path.display());
        }
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cores = store(dir.path(), 4, 2);
        drop(cores.create("a", "2026-01-01T00:00:00Z").unwrap());
        assert_eq!(found_in(&dir.path().join("cores/a")).len(), 0);
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cores = store(dir.path(), 4, 2);
        let elsewhere = dir.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::create_dir(dir.path().join("cores")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.path().join("cores/a")).unwrap();
        let refused = cores.create("a", "2026-01-01T00:00:00Z").err().unwrap().to_string();
        assert!(refused.contains("not a directory of micad's own user"), "{refused}");
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    }
}
