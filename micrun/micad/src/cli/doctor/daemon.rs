//! The mica daemon.

use std::error::Error as _;

use libmica::Error;
use libmica::ext::{EXTENSIONS, PROTOCOL, Version};

use super::finding::Finding;
use super::host::Host;

/// Whether it answers, and which it is.
pub(super) fn daemon(host: &Host) -> Finding {
    match &host.answers.version {
        Ok(version) => ours(version),
        Err(Error::Unsupported { .. }) => Finding::note(
            "upstream's daemon answers: it does not say its version",
            format!("none is needed, but {} work with our micad alone", EXTENSIONS.join(", ")),
        ),
        Err(Error::DaemonNotRunning { .. }) => absent(host),
        Err(Error::OutOfReach { .. }) => Finding::note(
            format!("its socket in {} may not be used: Permission denied", host.runtime_dir.display()),
            "run `mica doctor` as root",
        ),
        Err(e @ Error::Timeout { .. }) => {
            Finding::error(e.to_string(), "`systemctl restart micad`: firmware keeps running")
        }
        Err(e) => Finding::error(sentence(e), "`journalctl -u micad --since -10min`"),
    }
}

/// An error with its cause.
pub(super) fn sentence(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn ours(told: &Version) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let Version { daemon, version, protocol, pedestals, extensions, .. } = told;
    let said = format!("{daemon} {version} with the pedestals {}", pedestals.join(", "));
    let newer =
        "install `mica` and micad from one build, and `systemctl restart micad`: firmware keeps running";
    let lacks: Vec<_> =
        EXTENSIONS.into_iter().filter(|name| !extensions.iter().any(|known| known == name)).collect();
    if *protocol != PROTOCOL {
        return Finding::warning(
            format!("{said} speaks protocol {protocol}, this command {PROTOCOL}"),
            newer,
        );
    }
    if !lacks.is_empty() {
        return Finding::warning(format!("{said} does not know {}", lacks.join(", ")), newer);
    }
    if version != own {
        return Finding::note(format!("{said}; this command is {own}"), newer);
    }
    Finding::ok(said)
}

fn absent(host: &Host) -> Finding {
    let dir = host.runtime_dir.display();
    match &host.micad {
        Some(process) => Finding::error(
            format!("process {} is a micad, but nobody answers in {dir}", process.pid),
            "name its directory with --runtime-dir; if it has none, `journalctl -u micad` says why",
        ),
        None => Finding::error(
            format!("nobody answers in {dir}, and no process is a micad: no firmware starts"),
            "`systemctl start micad`, then `journalctl -u micad`",
        ),
    }
}
