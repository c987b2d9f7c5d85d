//! What the image's own labels and annotations say and no runtime passes on.
//!
//! Neither ctr nor CRI hands them to a shim; an image that relies on them runs otherwise than it says.

use std::collections::BTreeMap;

use micrun_firmware::settings::Row;

use super::resolve;
use crate::view::View;

/// A sentence for each setting that the image asks for in vain. `settings` are those that apply, `said` are its labels
/// and annotations, and `given` the annotations that are passed.
pub(super) fn warnings(
    settings: &[Row],
    said: &BTreeMap<String, String>,
    root: &View<'_>,
    board: Option<&str>,
    given: &BTreeMap<String, String>,
) -> Vec<String> {
    if said.is_empty() {
        return Vec::new();
    }
    let mut all = said.clone();
    all.extend(given.clone());
    let asked = match resolve(board, root, &all) {
        Ok(firmware) => firmware.settings.rows(),
        Err(e) => return vec![format!("the image's labels and annotations do not fit its content: {e}")],
    };
    let differ = |row: &Row| {
        // What has a meaning only on the pedestal that was asked for is not an issue on the one that applies.
        let applies = settings.iter().find(|it| it.key == row.key)?;
        (applies.value != row.value).then(|| {
            format!(
                "the image's labels or annotations ask for {}={}, but no runtime passes them to a shim: {} applies",
                row.key,
                row.text(),
                applies.text()
            )
        })
    };
    asked.iter().filter_map(differ).collect()
}
