//! Whether memory is short: pressure stall information (the kernel's `Documentation/accounting/psi.rst`).

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::sys;

/// Share of the time, in percent of the last ten seconds, in which somebody waited for memory.
const HIGH: f64 = 10.0;
/// The kernel wakes us once somebody waited for 200 ms within 2 s. That window needs no privilege (since Linux 6.5).
const TRIGGER: &[u8] = b"some 200000 2000000\0";
/// The same in microseconds.
const STALL: u64 = 200_000;
/// How long memory counts as short after that.
const HOLD: Duration = Duration::from_secs(30);

/// The kernel's word on it.
#[derive(Debug)]
pub(super) struct Pressure {
    path: PathBuf,
    /// `None` where the kernel does not wake us. There it is asked before a machine is started.
    trigger: Option<AsyncFd<OwnedFd>>,
    /// When it became high last.
    risen: Option<Instant>,
    /// How long somebody has waited for memory, by the last look, in microseconds since boot.
    stalled: u64,
}

impl Pressure {
    /// That of the system whose `/proc` is below `root`. A directory that only stands for it wakes nobody.
    pub(super) fn of(root: &Path) -> Self {
        let path = root.join("proc/pressure/memory");
        let trigger = if root == Path::new("/") { trigger(&path) } else { None };
        let stalled = stalled(&path);
        Self { path, trigger, risen: None, stalled }
    }

    /// Whether memory is short now. A kernel that does not tell has enough.
    pub(super) fn is_high(&self) -> bool {
        let held = self.risen.is_some_and(|at| at.elapsed() < HOLD);
        held || std::fs::read_to_string(&self.path)
            .is_ok_and(|text| share(&text).is_some_and(|it| it >= HIGH))
    }

    /// Waits until it becomes short. May be cancelled and called again.
    pub(super) async fn rises(&mut self) {
        let Some(trigger) = &self.trigger else { return std::future::pending().await };
        loop {
            match trigger.ready(Interest::PRIORITY).await {
                Ok(mut ready) => ready.clear_ready(),
                // Only at the end of the runtime.
                Err(_) => std::future::pending().await,
            }
            // Linux 6.18 wakes an unprivileged watcher once for all that was before it began to watch.
            let before = std::mem::replace(&mut self.stalled, stalled(&self.path));
            if self.stalled.saturating_sub(before) >= STALL {
                self.risen = Some(Instant::now());
                return;
            }
        }
    }
}

fn trigger(path: &Path) -> Option<AsyncFd<OwnedFd>> {
    let armed = OpenOptions::new().read(true).write(true).open(path).and_then(|mut file| {
        file.write_all(TRIGGER)?;
        sys::watch_for(file.into(), Interest::PRIORITY)
    });
    armed.inspect_err(|e| log::debug!("{}: nothing tells when memory is short: {e}", path.display())).ok()
}

/// `some avg10=PERCENT ...`
fn share(text: &str) -> Option<f64> {
    some(text, "avg10=")?.parse().ok()
}

/// `some ... total=MICROSECONDS`
fn stalled(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    some(&text, "total=").and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn some<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split(' ').find_map(|word| word.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn memory_is_short_by_the_kernels_word() {
        let root = std::env::temp_dir().join(format!("micad-pressure-{}", std::process::id()));
        let mut pressure = Pressure::of(&root);
        assert!(!pressure.is_high(), "a kernel that does not tell");
        std::fs::create_dir_all(root.join("proc/pressure")).unwrap();
        for (share, high) in [("0.00", false), ("9.99", false), ("10.00", true), ("99.12", true)] {
            let text =
                format!("some avg10={share} avg60=50.00 avg300=0.74 total=1\nfull avg10=50.00 total=4\n");
            std::fs::write(&pressure.path, text).unwrap();
            assert_eq!(pressure.is_high(), high, "{share}");
            assert_eq!(stalled(&pressure.path), 1);
        }
        std::fs::remove_dir_all(root).unwrap();
        assert!(!pressure.is_high());
        pressure.risen = Some(Instant::now());
        assert!(pressure.is_high());
    }
}
