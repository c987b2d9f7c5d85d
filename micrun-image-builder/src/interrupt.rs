//! Ctrl-C leaves no temporary file behind.
//!
//! SIGINT, SIGTERM and SIGHUP are blocked in every thread but one, which waits for them. It removes what is not
//! finished and then lets the signal end the program, so that its parent sees how it ended.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal, raise};

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Temporary files and directories that have a name.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Watches for signals from now on. To be called before any other thread is started.
pub(crate) fn watch() {
    let ignored = ignored();
    let mut signals = SigSet::empty();
    SIGNALS.into_iter().filter(|signal| !ignores(ignored, *signal)).for_each(|signal| signals.add(signal));
    let watched = signals.thread_block().map_err(io::Error::from).and_then(|()| {
        thread::Builder::new().spawn(move || {
            let Ok(signal) = signals.wait() else { return };
            // Held until the end: whoever notices that its files are gone waits, instead of exiting with an error.
            let unfinished = finishing();
            unfinished.iter().for_each(|path| remove(path));
            // Delivered to this thread as soon as it is unblocked, with its default effect.
            let _ = raise(signal).and_then(|()| signals.thread_unblock());
        })
    });
    if watched.is_err() {
        // As without this module.
        let _ = signals.thread_unblock();
    }
}

/// The signals that this program was started to ignore (`nohup`, a shell's `&`), a bit for each.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn ignores(mask: u64, signal: Signal) -> bool {
    mask & (1 << (signal as u32 - 1)) != 0
}

/// Removes a file or directory. Another thread may still add files to it and move them.
fn remove(path: &Path) {
    while let Err(e) = fs::remove_dir_all(path) {
        match e.kind() {
            ErrorKind::DirectoryNotEmpty => {}
            ErrorKind::NotFound if path.exists() => {}
            ErrorKind::NotADirectory => return drop(fs::remove_file(path)),
            _ => return,
        }
    }
}

/// While it lives, no signal ends the program: what was begun is finished.
pub(crate) fn finishing() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary file or directory that a signal removes.
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    /// Makes one with `create`, which no signal interrupts. To be dropped after what was made.
    pub(crate) fn create<T: AsRef<Path>>(create: impl FnOnce() -> io::Result<T>) -> io::Result<(Self, T)> {
        let mut unfinished = finishing();
        let made = create()?;
        let path = made.as_ref().to_owned();
        unfinished.insert(path.clone());
        Ok((Self(path), made))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        finishing().remove(&self.0);
    }
}
