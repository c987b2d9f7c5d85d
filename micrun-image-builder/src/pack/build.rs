//! What a build directory says becomes a default of the client.conf; options and a given file win. Its board is
//! looked up in `machine.rs`.

use std::collections::BTreeMap;

use micrun_firmware::annotations::PREFIX;
use micrun_firmware::{Annotations, ClientConf, Os};

use super::input::BuildFacts;

const OS: &str = "container.os";
const PROMPT: &str = "container.shell_prompt";

/// Adds what `facts` say and `conf` does not.
pub(super) fn apply(facts: &BuildFacts, conf: &mut ClientConf, notes: &mut Vec<String>) {
    if let Some(os) = facts.os.filter(|os| os.parse::<Os>().is_ok()) {
        conf.micrun.entry(OS.to_owned()).or_insert_with(|| os.to_owned());
    }
    // Spaces at a prompt's end do not matter, and a client.conf keeps none.
    let Some(prompt) = facts.shell_prompt.as_ref().map(|prompt| prompt.trim().to_owned()) else { return };
    let annotation = BTreeMap::from([(format!("{PREFIX}{PROMPT}"), prompt.clone())]);
    if let Err(error) = Annotations::from_map(&annotation) {
        notes.push(format!("the build's shell prompt cannot be used: {error}"));
        return;
    }
    conf.micrun.entry(PROMPT.to_owned()).or_insert(prompt);
}
