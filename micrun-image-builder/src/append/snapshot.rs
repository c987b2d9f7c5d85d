//! The state of a machine, from which the image's containers go on.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use micrun_firmware::Firmware;
use micrun_firmware::snapshot::{DIRECTORY, LABEL, Label, Machine, STATE, State};

use super::edits::{Edits, temporary};
use crate::error::{Error, Result};

/// Adds the state in the file at `path`, with the label that a shim compares with the machine that it makes of the image.
pub(super) fn add(path: &Path, edits: &mut Edits<'_>) -> Result<()> {
    let firmware = Firmware::resolve(&edits.root, &BTreeMap::new())?;
    let machine =
        Machine { firmware: firmware.copy_to(&temporary()?)?.to_string(), ..Machine::new(&firmware)? };
    let refuse = |reason: &str| Error::Refused { path: path.to_owned(), reason: reason.to_owned() };
    if !machine.is_emulated() {
        return Err(refuse("the image's firmware runs on a core, whose state cannot be set"));
    }
    let read = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let state = State::of(&mut file, u64::MAX).map_err(read)?;
    let label = serde_json::to_vec(&Label::new(machine, None, state)).map_err(|e| refuse(&e.to_string()))?;
    edits.add_file(&format!("{DIRECTORY}/{STATE}"), path)?;
    edits.put_bytes(&format!("{DIRECTORY}/{LABEL}"), &label)
}
