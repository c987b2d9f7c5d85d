//! QEMU, on which firmware runs that has no core of its own.

use std::collections::BTreeSet;
use std::path::PathBuf;

use micrun_firmware::qemu::BOARDS;

use super::finding::Finding;
use super::host::Host;
use super::program::{self, Version};
use crate::pedestal::QEMU;
use crate::pedestal::sysfs::System;

/// The first with `-action`, by which a machine's end is seen.
const OLDEST: Version = Version(6, 0, 0);
/// The oldest that our tests run with.
const TRIED: Version = Version(10, 0, 0);
const PACKAGES: &str =
    "install it (Debian: qemu-system-arm, qemu-system-misc), or set QemuPath in micad.conf";

/// The emulators of the table.
fn emulators() -> BTreeSet<&'static str> {
    BOARDS.iter().map(|board| board.program).collect()
}

/// An emulator's file.
fn place(host: &Host, name: &str) -> PathBuf {
    host.at(host.config.qemu_path.join(name))
}

/// Whether the host allows the pedestal.
fn is_allowed(host: &Host) -> bool {
    host.config.policy.pedestals.value.allows(QEMU)
}

fn not_allowed(host: &Host) -> Finding {
    Finding::ok(format!("not wanted: {}", host.config.policy.pedestals))
}

/// Whether the emulators are there, and of which version.
pub(super) fn programs(host: &Host) -> Finding {
    if !is_allowed(host) {
        return not_allowed(host);
    }
    let (mut missing, mut findings, mut versions) = (Vec::new(), Vec::new(), BTreeSet::new());
    for name in emulators() {
        let program = place(host, name);
        match program.try_exists() {
            Err(e) => findings.push(Finding::unread(&program, &e)),
            Ok(false) => missing.push(name),
            Ok(true) => match &*host.version_of(&program, "--version") {
                Err(mute) => findings.push(mute.finding(&program)),
                Ok(text) => {
                    let version = program::version(text);
                    versions.extend(version);
                    findings.extend(version.and_then(|version| too_old(name, version)));
                }
            },
        }
    }
    if missing.len() == emulators().len() {
        return none(host);
    }
    if !missing.is_empty() {
        let families: BTreeSet<_> = BOARDS
            .iter()
            .filter(|board| missing.contains(&board.program))
            .map(|board| board.family.to_string())
            .collect();
        let families: Vec<_> = families.into_iter().collect();
        let found = format!("without {}: no firmware for {}", missing.join(", "), families.join(", "));
        findings.push(Finding::note(found, PACKAGES));
    }
    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
    Finding::all(findings, || {
        Finding::ok(format!("{} in {}", versions.join(" and "), host.config.qemu_path.display()))
    })
}

fn none(host: &Host) -> Finding {
    let found = format!("no emulator in {}", host.config.qemu_path.display());
    let cores = System::new(&host.at("/")).remoteprocs().is_ok_and(|all| !all.is_empty());
    if cores {
        return Finding::warning(format!("{found}: firmware runs on cores alone"), PACKAGES);
    }
    Finding::error(format!("{found}: no firmware runs"), PACKAGES)
}

fn too_old(name: &str, version: Version) -> Option<Finding> {
    let remedy = format!("install QEMU {TRIED} or later");
    if version < OLDEST {
        return Some(Finding::error(
            format!("{name} {version} has no `-action`: no firmware starts"),
            remedy,
        ));
    }
    (version < TRIED).then(|| Finding::note(format!("{name} {version} is older than those tried"), remedy))
}

/// Whether the emulators have the machines of docs/BOARDS.md that the host allows.
pub(super) fn machines(host: &Host) -> Finding {
    if !is_allowed(host) {
        return not_allowed(host);
    }
    let allowed = &host.config.policy.machines;
    let (mut findings, mut there) = (Vec::new(), BTreeSet::new());
    for name in emulators() {
        let program = place(host, name);
        // One that is missing is told of above.
        if !matches!(program.try_exists(), Ok(true)) {
            continue;
        }
        let text = match program::run(&program, &["-machine", "help"]) {
            Ok(text) => text,
            Err(mute) => {
                findings.push(mute.finding(&program));
                continue;
            }
        };
        let has: BTreeSet<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let wanted =
            BOARDS.iter().filter(|board| board.program == name && allowed.value.allows(board.machine));
        let (found, lacks): (BTreeSet<_>, BTreeSet<_>) =
            wanted.map(|board| board.machine).partition(|machine| has.contains(machine));
        if !lacks.is_empty() {
            let lacks: Vec<_> = lacks.into_iter().collect();
            let found = format!("{name} has no {}", lacks.join(", "));
            findings.push(Finding::note(
                found,
                "use another build of QEMU, if firmware for these boards is to run",
            ));
        }
        there.extend(found.into_iter().map(|machine| (name, machine)));
    }
    Finding::all(findings, || Finding::ok(format!("all {} of docs/BOARDS.md that are allowed", there.len())))
}
