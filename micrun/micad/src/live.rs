//! The configuration in force. It changes when the daemon is told to read it again.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;

/// A handle to it. All of a daemon's handles show the same.
#[derive(Clone)]
pub(crate) struct Live(Arc<Mutex<Arc<Config>>>);

impl Live {
    /// A configuration that comes into force.
    pub(crate) fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(config))))
    }

    /// That of this moment. A panic while the lock was held leaves it whole.
    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it. What goes on goes on by the one with which it began.
    pub(crate) fn set(&self, config: Config) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}
