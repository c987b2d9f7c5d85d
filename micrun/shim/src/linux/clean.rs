//! Cleaning up after a shim that is gone.

use std::path::Path;

use super::create::PID_FILE;
use super::runtime::{Choice, Runtime, read_pid};
use crate::args::Args;
use crate::error::describe;

/// Ends and removes the Linux container of a bundle; gives its process id, or `None` when the bundle is none of a
/// Linux container.
pub(crate) async fn clean(args: &Args, bundle: &Path) -> Option<u32> {
    let choice = Choice::read(bundle)?;
    match Runtime::new(choice, &args.id, bundle).delete(true).await {
        Ok(()) => log::info!("cleaned up after {}", args.id),
        Err(error) => log::warn!("{}", describe(&error)),
    }
    // Without it, nothing was ever started.
    Some(read_pid(&bundle.join(PID_FILE)).unwrap_or_default())
}
