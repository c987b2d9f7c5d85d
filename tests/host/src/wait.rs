//! Waiting with a bound. No test sleeps to let something happen.

use std::thread;
use std::time::{Duration, Instant};

/// The bound of every wait. It is there for what hangs: tests assert the order of events, and a machine at a load of 25
/// takes 20 s for what a quiet one does in two. Less than a test's time (.config/nextest.toml).
pub const LIMIT: Duration = Duration::from_secs(150);

/// Asks until there is an answer, more and more rarely (1 ms to 50 ms); `None` when [`LIMIT`] has passed.
pub fn poll<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// As [`poll`], but panics naming what did not happen.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    poll(probe).unwrap_or_else(|| panic!("waited {} s in vain: {what}", LIMIT.as_secs()))
}
