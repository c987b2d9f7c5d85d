//! containerd: the program, the process, and the shim that it is to find.

use std::path::PathBuf;

use super::finding::Finding;
use super::host::Host;
use super::program::{self, Version};

/// The oldest one whose shims speak as ours does.
const OLDEST: Version = Version(1, 6, 0);
pub(super) const SHIM: &str = "containerd-shim-mica-v2";

/// The running program, else the one on `PATH`.
fn program(host: &Host) -> Option<PathBuf> {
    let running = host.containerd.as_ref().and_then(|process| host.executable(process));
    // An update may have replaced it.
    running.filter(|program| program.is_file()).or_else(|| host.own_program("containerd"))
}

/// Where the running one looks for a relative path; a service's is `/`.
pub(super) fn working_directory(host: &Host) -> PathBuf {
    let link = host.containerd.as_ref().map(|process| host.at(format!("/proc/{}/cwd", process.pid)));
    link.and_then(|link| std::fs::read_link(link).ok()).unwrap_or_else(|| "/".into())
}

/// The version of the running one, else of the one on `PATH`, if it tells.
pub(super) fn version(host: &Host) -> Option<Version> {
    program::version(host.version_of(&program(host)?, "--version").as_ref().as_ref().ok()?)
}

/// Whether there is one, and new enough.
pub(super) fn installed(host: &Host) -> Finding {
    let newer = format!("install containerd {OLDEST} or later");
    let Some(program) = program(host) else {
        if let Some(process) = &host.containerd {
            let found = format!("process {} runs it, but from which file cannot be seen", process.pid);
            return Finding::note(found, "run `mica doctor` as root");
        }
        let found = "not on PATH: no containers; firmware of conf files in /etc/mica runs without it";
        return Finding::warning(found, newer);
    };
    let said = host.version_of(&program, "--version");
    let text = match &*said {
        Ok(text) => text,
        Err(mute) => return mute.finding(&program),
    };
    let name = program.display();
    match program::version(text) {
        None => Finding::note(format!("{name} tells no version: {text}"), newer),
        Some(version) if version < OLDEST => Finding::warning(format!("{version} ({name})"), newer),
        Some(version) => Finding::ok(format!("{version} ({name})")),
    }
}

/// Whether it runs.
pub(super) fn process(host: &Host) -> Finding {
    match &host.containerd {
        Some(process) => Finding::ok(format!("process {}", process.pid)),
        None => Finding::warning(
            "no process of that name: no containers",
            "`systemctl start containerd`, then `journalctl -u containerd`",
        ),
    }
}

/// Whether it finds the shim, and which.
pub(super) fn shim(host: &Host) -> Finding {
    let (whose, path) = match host.containerd_path() {
        Some(path) => ("containerd's PATH", path.to_owned()),
        None => ("this command's PATH", std::env::var("PATH").unwrap_or_default()),
    };
    let Some(shim) = host.program(SHIM) else {
        let found = format!("no {SHIM} on {whose} ({path})");
        return Finding::error(found, "`make install`, or put it into one of these directories");
    };
    let own = env!("CARGO_PKG_VERSION");
    match &*host.version_of(&shim, "-v") {
        Err(mute) => mute.finding(&shim),
        Ok(text) if !text.split_whitespace().any(|word| word == own) => Finding::warning(
            format!("{} on {whose} says {text}, and this command is {own}", shim.display()),
            "install both from one build; containers that run keep their shim",
        ),
        Ok(_) => Finding::ok(format!("{} on {whose}", shim.display())),
    }
}
