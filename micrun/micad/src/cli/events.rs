//! What happens to clients, line by line.

use std::io::{ErrorKind, Write};

use libmica::Client;
use libmica::ext::{Event, Happening};

use super::units;

/// Prints events until the daemon ends in order, or nobody reads any more: those of the client of that name, or all.
pub(super) async fn print(
    client: &Client,
    name: Option<&str>,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut events = client.events().await?;
    while let Some(line) = events.next().await? {
        // What a newer daemon writes may be understood by whoever reads JSON.
        let event = serde_json::from_str::<Event>(&line).ok();
        let of = event.as_ref().and_then(|event| event.what.client());
        if name.is_some_and(|name| of.is_some_and(|of| of != name)) {
            continue;
        }
        let text = match event {
            Some(event) if !json => sentence(&event),
            _ => line,
        };
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

/// An event for people.
fn sentence(event: &Event) -> String {
    let what = match &event.what {
        Happening::Watching { since } => format!("watching a daemon that began at {since}"),
        Happening::Created { client, pedestal } => format!("{client}: created on {pedestal}"),
        Happening::Started { client, pid: Some(pid), starts } => {
            format!("{client}: started, process {pid}, start {starts}")
        }
        Happening::Started { client, pid: None, starts } => format!("{client}: started, start {starts}"),
        Happening::Paused { client } => format!("{client}: paused"),
        Happening::Resumed { client } => format!("{client}: resumed"),
        Happening::Patched { client, patch } => {
            format!("{client}: patched to {}, {} bytes", patch.firmware, patch.bytes)
        }
        Happening::Silent { client, diagnosis } => {
            format!("{client}: silent, no sign of life: {}", diagnosis.detail)
        }
        Happening::Exited { client, exit } => {
            format!("{client}: exited, {}: {}", units::exit(exit), exit.detail)
        }
        Happening::Failed { client, detail } => format!("{client}: failed: {detail}"),
        Happening::Removed { client } => format!("{client}: removed"),
        Happening::Missed { count } => format!("{count} events were missed: this reader was too slow"),
        Happening::Ending => "the daemon ends, firmware keeps running".to_owned(),
        Happening::Unknown => "something that this version of mica does not know: --json shows it".to_owned(),
    };
    units::harmless(&format!("{} {:>4} {what}", event.at, event.seq))
}
