//! Cleaning up after a shim that is gone.

use std::path::Path;

use super::runtime::{Choice, PID_FILE, Runtime, read_pid};
use crate::cgroup;
use crate::error::{Result, describe};
use crate::oci::bundle::Spec;

/// Ends and removes the Linux container of a bundle; gives its process id, or `None` when the bundle is none of a
/// Linux container.
pub(crate) async fn clean(id: &str, bundle: &Path) -> Option<u32> {
    let choice = Choice::read(bundle)?;
    match Runtime::new(choice, id, bundle).delete(true).await {
        Ok(()) => log::info!(container = id; "cleaned up after {id}"),
        Err(error) => log::warn!("{}", describe(&error)),
    }
    // Of a container whose making was cut short, the runtime itself knows nothing.
    if let Err(error) = remove_cgroup(bundle).await {
        log::debug!("{}", describe(&error));
    }
    // Without it, nothing was ever started.
    Some(read_pid(&bundle.join(PID_FILE)).unwrap_or_default())
}

async fn remove_cgroup(bundle: &Path) -> Result<()> {
    cgroup::remove_empty(&Spec::read(bundle)?.linux.cgroups_path).await
}
