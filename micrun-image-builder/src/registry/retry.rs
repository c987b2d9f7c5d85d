//! Another attempt, after a while.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::Error;
use crate::error::Result;
use crate::{say, text};

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait that a registry may ask for.
const MOST: Duration = Duration::from_secs(5 * 60);

static RETRIES: AtomicU32 = AtomicU32::new(6);

/// Sets how often something is tried again.
pub(super) fn set(retries: u32) {
    RETRIES.store(retries, Ordering::Relaxed);
}

/// What is left of the attempts at one thing.
pub(super) struct Attempts {
    left: u32,
    wait: Duration,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { left: RETRIES.load(Ordering::Relaxed), wait: FIRST }
    }

    /// Waits before another attempt. Answers the error if there is to be none.
    pub(super) fn again(&mut self, error: crate::error::Error) -> Result<()> {
        let crate::error::Error::Registry(fault) = &error else { return Err(error) };
        if !fault.passes() || self.left == 0 {
            return Err(error);
        }
        let asked = match fault {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        if asked.is_some_and(|asked| asked > MOST) {
            return Err(error);
        }
        let wait = asked.unwrap_or_else(|| jittered(self.wait));
        // It repeats what the registry said.
        let why = text::printable(&error.to_string());
        say::usual(format_args!("{why}: trying again in {:.1} s", wait.as_secs_f32()));
        thread::sleep(wait);
        self.left -= 1;
        self.wait *= 2;
        Ok(())
    }

    /// Something was achieved: the next fault is a first one again.
    pub(super) fn progressed(&mut self) {
        *self = Self::new();
    }
}

/// Repeats what fails for a reason that may pass.
pub(super) fn repeat<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempts = Attempts::new();
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => attempts.again(error)?,
        }
    }
}

/// Up to a tenth more, so that many clients that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wait + wait * (now.subsec_nanos() % 100) / 1000
}
