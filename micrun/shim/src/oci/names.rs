//! Ids that become file names.

use crate::error::{Error, Result};

/// Refuses an id that is no file name: files of the bundle and of the state directory are named after it. `what` says
/// whose it is: `container`, `exec`, `sandbox`.
pub(crate) fn check(what: &str, id: &str) -> Result<()> {
    if matches!(id, "" | "." | "..") || id.contains(['/', '\0']) {
        return Err(Error::Invalid(format!(
            "the {what} id `{id}` is refused: it must be a name without `/`"
        )));
    }
    Ok(())
}
