//! Changes of a bundle's `config.json`.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// Has the specification be what `change` makes of it, which says whether it has changed anything. To be called where
/// waiting is allowed.
pub(crate) fn edit(bundle: &Path, change: impl FnOnce(&mut Value) -> bool) -> Result<()> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let wrong = |source| Error::Json { path: path.clone(), source };
    let mut spec: Value = serde_json::from_slice(&text).map_err(wrong)?;
    if !change(&mut spec) {
        return Ok(());
    }
    let text = serde_json::to_vec(&spec).map_err(wrong)?;
    // Whoever reads it meanwhile finds the one or the other, and whole.
    let new = bundle.join("config.json.new");
    let replaced = path.metadata().and_then(|old| {
        std::fs::write(&new, text)?;
        std::fs::set_permissions(&new, old.permissions())?;
        std::fs::rename(&new, &path)
    });
    replaced.inspect_err(|_| drop(std::fs::remove_file(&new))).map_err(Error::io("write", &path))
}
