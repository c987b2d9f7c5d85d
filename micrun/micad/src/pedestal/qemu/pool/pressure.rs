//! Whether memory is short: pressure stall information (the kernel's `Documentation/accounting/psi.rst`).

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::sys;

/// Share of the time, in percent of the last ten seconds, in which somebody waited for memory.
const HIGH: f64 = 10.0;
/// The kernel wakes us once somebody waited for 200 ms within 2 s. That window needs no privilege (since Linux 6.5).
const TRIGGER: &[u8] = b"some 200000 2000000\0";
/// How long memory counts as short after that.
const HOLD: Duration = Duration::from_secs(30);

/// What tells that memory is short.
#[async_trait]
pub(super) trait Pressure: Send {
    /// Whether it is now.
    fn is_high(&mut self) -> bool;

    /// Waits until it becomes so. May be cancelled and called again.
    async fn rises(&mut self);
}

/// The kernel's own word.
#[derive(Debug)]
pub(super) struct Psi {
    path: PathBuf,
    /// `None` on a kernel that does not wake us. There it is asked before a machine is started.
    trigger: Option<AsyncFd<OwnedFd>>,
    /// When it was high last.
    risen: Option<Instant>,
}

impl Psi {
    pub(super) fn new() -> Self {
        Self::at("/proc/pressure/memory".into())
    }

    fn at(path: PathBuf) -> Self {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let trigger = opened.and_then(|mut file| {
            file.write_all(TRIGGER)?;
            sys::watch_for(file.into(), Interest::PRIORITY)
        });
        let trigger = trigger.inspect_err(|e| log::debug!("{}: no trigger: {e}", path.display())).ok();
        Self { path, trigger, risen: None }
    }
}

#[async_trait]
impl Pressure for Psi {
    fn is_high(&mut self) -> bool {
        let held = self.risen.is_some_and(|at| at.elapsed() < HOLD);
        held || std::fs::read_to_string(&self.path)
            .is_ok_and(|text| share(&text).is_some_and(|it| it >= HIGH))
    }

    async fn rises(&mut self) {
        let Some(trigger) = &self.trigger else { return std::future::pending().await };
        match trigger.ready(Interest::PRIORITY).await {
            Ok(mut ready) => {
                ready.clear_ready();
                self.risen = Some(Instant::now());
            }
            // Only at the end of the runtime.
            Err(_) => std::future::pending().await,
        }
    }
}

/// `some avg10=PERCENT ...`
fn share(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn memory_is_short_by_the_kernels_word() {
        let file = std::env::temp_dir().join(format!("micad-pressure-{}", std::process::id()));
        let mut psi = Psi::at(file.clone());
        assert!(!psi.is_high(), "a kernel that does not tell");
        for (share, high) in [("0.00", false), ("9.99", false), ("10.00", true), ("99.12", true)] {
            let text =
                format!("some avg10={share} avg60=50.00 avg300=0.74 total=1\nfull avg10=50.00 total=4\n");
            std::fs::write(&file, text).unwrap();
            assert_eq!(psi.is_high(), high, "{share}");
        }
        std::fs::write(&file, "some avg10=0.00").unwrap();
        psi.risen = Some(Instant::now());
        assert!(psi.is_high());
        std::fs::remove_file(file).unwrap();
    }
}
