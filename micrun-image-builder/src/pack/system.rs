//! Which operating system the firmware is: what was said, or what it shows by itself.

use micrun_firmware::{ClientConf, Evidence, Os};

/// The key of `[Micrun]` that says it.
const KEY: &str = "container.os";

/// Writes the operating system into the file if nobody has said it, and compares it with the firmware if
/// somebody has.
pub(super) fn settle(conf: &mut ClientConf, evidence: &Evidence, notes: &mut Vec<String>) {
    let found = evidence.os();
    // A value that is none is refused with all others of the section.
    let said = conf.micrun.get(KEY).and_then(|text| text.parse::<Os>().ok());
    match (said, found) {
        (Some(said), found) => {
            if let Some(found) = found.filter(|found| *found != said) {
                notes.push(format!("the operating system is said to be {said}, but the firmware looks like {found}"));
            } else if let Some(hint) = said.hint() {
                notes.push(format!("{said} is no operating system that is known here{hint}"));
            }
        }
        (None, Some(found)) if !conf.micrun.contains_key(KEY) => {
            conf.micrun.insert(KEY.to_owned(), found.to_string());
        }
        (None, Some(_)) => {}
        (None, None) => notes.push(
            "the operating system was not recognised: say it with --os, or a shim takes the firmware for uniproton"
                .to_owned(),
        ),
    }
}
