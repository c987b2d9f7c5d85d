//! How a client's runs have ended, for people.

use std::io::Write;

use anyhow::bail;
use libmica::Client;
use libmica::ext::{End, Site};

use super::units;

/// Tells of the latest end of a client that may have been removed, or of all that are remembered.
pub(super) async fn why(client: &Client, name: &str, all: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let history = client.history().await?;
    let ends = history.clients.into_iter().find(|known| known.name == name).map(|known| known.ends);
    let ends = ends.unwrap_or_default();
    let Some(latest) = ends.last() else { bail!("no end of a run of {name:?} is remembered") };
    let told = if all { &ends[..] } else { std::slice::from_ref(latest) };
    for (index, end) in told.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        for line in lines(end) {
            writeln!(out, "{}", units::harmless(&line))?;
        }
    }
    Ok(())
}

fn lines(end: &End) -> Vec<String> {
    let End { began_at, report, scene, console } = end;
    let mut lines = vec![format!("{}: {}", report.exited_at, units::exit(report)), report.detail.clone()];
    let mut add = |name: &str, text: String| lines.push(format!("{name:<10}{text}"));
    if let Some(began) = began_at {
        add("began", began.clone());
    }
    if let Some(core) = &report.core {
        let gone = if core.exists() { "" } else { " (not there any more, or not for you)" };
        add("core", format!("{}{gone}", core.display()));
    }
    let site = |Site { pc, place }: &Site| format!("{pc}, {place}");
    if let Some(scene) = scene {
        add("at", site(&scene.at));
        if let Some(trap) = &scene.trap {
            add("exception", site(trap));
        }
    }
    let mut quote = |name: &str, text: &str| {
        lines.push(name.to_owned());
        lines.extend(text.lines().map(|line| format!("  {}", line.trim_end_matches('\r'))));
    };
    if let Some(scene) = scene {
        quote("registers", &scene.registers);
    }
    if let Some(console) = console {
        quote("console", console);
    }
    lines
}

#[cfg(test)]
mod tests {
    use libmica::ext::{ExitReason, Scene};

    use super::*;
    use crate::pedestal::report;

    #[test]
    fn all_that_is_known_is_told() {
        let mut report = report(139, ExitReason::Fault, "the handler gave status 139");
        report.core = Some("/nowhere/x.core".into());
        let at = Site { pc: "0x40".to_owned(), place: "in main+0x4".to_owned() };
        let scene = Scene { at: at.clone(), trap: Some(at), registers: "PC=40\nX00=0".to_owned() };
        let console = Some("micrun>\r\nfault".to_owned());
        let told = lines(&End { began_at: Some("then".to_owned()), report, scene: Some(scene), console });
        assert_eq!(
            told[1..],
            [
                "the handler gave status 139",
                "began     then",
                "core      /nowhere/x.core (not there any more, or not for you)",
                "at        0x40, in main+0x4",
                "exception 0x40, in main+0x4",
                "registers",
                "  PC=40",
                "  X00=0",
                "console",
                "  micrun>",
                "  fault"
            ]
        );
    }
}
