//! What firmware on a core that shows no sign of life is known to have done. All of this blocks.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::endpoint::Announced;
use super::processor;
use super::sysfs::{Remoteproc, System};
use super::texts;

/// Most of a trace buffer that is read, in bytes.
const MOST_TRACE: u64 = 1 << 20;
/// What stands before words of the firmware's own, which end the sentence.
pub(crate) const QUOTES: &str = "its trace buffer ends with";

/// A sentence about the firmware of `remoteproc`, whose functions the file at `firmware` names.
pub(super) fn diagnose(system: &System, remoteproc: &Remoteproc, firmware: &Path) -> String {
    let facts = [
        Some(state(remoteproc)),
        processor::look(remoteproc, firmware),
        Some(announced(&Announced::read(system, remoteproc))),
        heard(remoteproc),
        interrupts(system, remoteproc).map(|count| format!("it has interrupted Linux {count} times")),
        last_trace(system, remoteproc).map(|line| format!("{QUOTES} \"{line}\"")),
    ];
    facts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn state(remoteproc: &Remoteproc) -> String {
    let title = remoteproc.title();
    let state = remoteproc.read("state").unwrap_or_else(|_| "gone".to_owned());
    match remoteproc.device_attribute("core_state") {
        Some(core) => format!("{title} is {state} and its core is {core}"),
        None => format!("{title} is {state}"),
    }
}

fn announced(announced: &Announced) -> String {
    let with_kind = |(name, has_terminal): (&str, bool)| {
        let kind = if has_terminal { "a terminal" } else { "no terminal" };
        format!("{} ({kind})", name.escape_debug())
    };
    let list: Vec<String> = announced.names().map(with_kind).collect();
    if list.is_empty() {
        return "it has announced no rpmsg endpoint".to_owned();
    }
    format!("it has announced {}", texts::short(&list.join(", ")))
}

/// How Linux gets its messages, where the driver tells, as ours does.
fn heard(remoteproc: &Remoteproc) -> Option<String> {
    Some(match remoteproc.device_attribute("heard")?.as_str() {
        "nothing" => "no message of it was seen".to_owned(),
        "poll" => "it does not interrupt Linux, so its messages are looked for".to_owned(),
        _ => return None,
    })
}

/// How often the interrupt that bears the device's name has come; `None` where there is none.
fn interrupts(system: &System, remoteproc: &Remoteproc) -> Option<u64> {
    let name = remoteproc.device_name()?;
    let table = std::fs::read_to_string(system.path("/proc/interrupts")).ok()?;
    texts::interrupts(&table, &name)
}

/// What the firmware wrote last into its first trace buffer.
fn last_trace(system: &System, remoteproc: &Remoteproc) -> Option<String> {
    let path = system.path("/sys/kernel/debug/remoteproc").join(&remoteproc.id).join("trace0");
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST_TRACE).read_to_end(&mut bytes).ok()?;
    texts::last_line(&bytes)
}
