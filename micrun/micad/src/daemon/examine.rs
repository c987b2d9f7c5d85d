//! What is found out of a run that has ended, before what is left of it is cleaned up.

use libmica::ext::{ExitReason, ExitReport, Scene, Site};
use micrun_firmware::Coredump;

use crate::cores::Cores;
use crate::pedestal::processor::place;
use crate::pedestal::{ClientSpec, Guest, Seen};
use crate::{Result, blocking};

/// Bytes of the registers' text that are remembered.
const MAX_REGISTERS: usize = 4096;

/// Has the core of such an end be written, if there is to be one, and says where the processor was.
pub(super) async fn examine(
    guest: &mut dyn Guest,
    spec: &ClientSpec,
    cores: &Cores,
    wish: Coredump,
    report: &mut ExitReport,
) -> Option<Scene> {
    let seen = guest.registers().await;
    if is_wanted(wish, report.reason) && cores.most() > 0 {
        match write(guest, spec, cores, &report.exited_at).await {
            Ok(path) => report.core = Some(path),
            Err(e) => log::warn!(client = spec.name(); "{}: {}", spec.name(), e.sentence()),
        }
    }
    let scene = scene(spec, seen?).await;
    let from = match (&scene.trap, report.reason) {
        (Some(trap), ExitReason::Fault | ExitReason::Panicked) => {
            format!("its last exception came from {}", text(trap))
        }
        (None, ExitReason::Panicked) | (_, ExitReason::Watchdog) => {
            format!("its processor was at {}", text(&scene.at))
        }
        _ => return Some(scene),
    };
    report.detail = format!("{}; {from}", report.detail);
    Some(scene)
}

fn text(site: &Site) -> String {
    format!("{}, {}", site.pc, site.place)
}

/// Whether such an end is to have a core.
fn is_wanted(wish: Coredump, reason: ExitReason) -> bool {
    match wish {
        Coredump::Off => false,
        Coredump::Fault => {
            matches!(reason, ExitReason::Fault | ExitReason::Panicked | ExitReason::Watchdog)
        }
        // What was killed has left nothing.
        Coredump::Always => !matches!(reason, ExitReason::Killed | ExitReason::Failed),
    }
}

async fn write(
    guest: &mut dyn Guest,
    spec: &ClientSpec,
    cores: &Cores,
    exited_at: &str,
) -> Result<std::path::PathBuf> {
    let (store, name, at) = (cores.clone(), spec.name().to_owned(), exited_at.to_owned());
    let draft = blocking::run(move || store.create(&name, &at)).await?;
    let written = match draft.file() {
        Ok(to) => guest.dump(&spec.message.path, to, cores.most()).await,
        Err(e) => Err(e),
    };
    let store = cores.clone();
    blocking::run(move || written.and_then(|()| store.keep(draft))).await
}

async fn scene(spec: &ClientSpec, seen: Seen) -> Scene {
    let Seen { pc, trap, text } = seen;
    let firmware = spec.message.path.clone();
    let site = move |pc: u64| Site { pc: format!("{pc:#x}"), place: place(&firmware, pc).to_string() };
    let (at, trap) = blocking::run(move || (site(pc), trap.map(&site))).await;
    Scene { at, trap, registers: readable(&text) }
}

/// The text without what a terminal would act on. It comes from a QEMU that has run what may be hostile firmware.
fn readable(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let mut text = lines.collect::<Vec<_>>().join("\n");
    text.retain(|c| c == '\n' || !c.is_control());
    text.truncate(micrun_log::boundary(&text, MAX_REGISTERS));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_of_what_was_asked_for() {
        let of = |wish| ExitReason::ALL.into_iter().filter(|reason| is_wanted(wish, *reason)).count();
        assert_eq!([Coredump::Off, Coredump::Fault].map(of), [0, 3]);
        assert!(is_wanted(Coredump::Always, ExitReason::Stopped));
        assert!(!is_wanted(Coredump::Always, ExitReason::Killed));
    }

    #[test]
    fn registers_are_lines_that_no_terminal_acts_on() {
        assert_eq!(readable("\r\nCPU#0\r\n PC=1 \r\n\x1b[31mX\u{0}"), "CPU#0\n PC=1\n[31mX");
        assert_eq!(readable(&"é\n".repeat(9000)).len(), MAX_REGISTERS - 1);
    }
}
