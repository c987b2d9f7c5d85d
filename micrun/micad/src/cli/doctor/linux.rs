//! The OCI runtime, by which the shim runs Linux containers and the sandboxes of pods.

use std::path::PathBuf;

use micrun_firmware::host_conf::variables::LINUX_RUNTIME;

use super::finding::Finding;
use super::host::Host;
use super::program::{self, Version};
use super::{containerd, registration};

/// What the shim looks for, in this order, if nobody names a program.
const PROGRAMS: [&str; 2] = ["crun", "runc"];
/// Earlier ones refuse every specification but that of version 1.0 ...
const CRUN: Version = Version(1, 14, 3);
/// ... which no containerd since this one writes.
const CONTAINERD: Version = Version(1, 7, 0);
/// What crun says that it was built with, and what does not work without it.
const FEATURES: [(&str, &str); 2] = [
    ("+SECCOMP", "system calls of Linux containers are not filtered"),
    ("+SYSTEMD", "no cgroups by systemd"),
];

/// Who names the runtime, and what is looked for.
fn wanted(host: &Host) -> (String, Vec<String>) {
    if let Some(name) = registration::option(host, "BinaryName").filter(|name| !name.is_empty()) {
        return ("BinaryName in containerd's configuration".to_owned(), vec![name]);
    }
    let variable = host.containerd.as_ref().and_then(|it| it.variable(LINUX_RUNTIME));
    match variable.filter(|name| !name.is_empty()) {
        Some(name) => (format!("{LINUX_RUNTIME} of containerd"), vec![name.to_owned()]),
        None => ("the shim".to_owned(), PROGRAMS.map(str::to_owned).to_vec()),
    }
}

fn find(host: &Host) -> Option<PathBuf> {
    // A path joined to a directory of PATH is itself, if it is absolute: as the shim has it.
    wanted(host).1.iter().find_map(|name| host.program(name))
}

/// Whether it is crun.
pub(super) fn is_crun(host: &Host) -> bool {
    find(host).is_some_and(|program| program.file_name().is_some_and(|name| name == "crun"))
}

/// Whether there is one, and what it lacks.
pub(super) fn runtime(host: &Host) -> Finding {
    let (who, names) = wanted(host);
    let Some(program) = find(host) else {
        let found =
            format!("no {} on PATH, as {who} wants: no Linux containers, and no pods", names.join(" nor "));
        return Finding::warning(found, format!("install crun {CRUN} or later, or runc"));
    };
    let said = host.version_of(&program, "--version");
    let text = match &*said {
        Ok(text) => text,
        Err(mute) => return mute.finding(&program),
    };
    let (name, first) = (program.display(), text.lines().next().unwrap_or_default().to_owned());
    if !first.starts_with("crun") {
        return Finding::ok(format!("{first} ({name})"));
    }
    let (version, containerd) = (program::version(&first), containerd::version(host));
    if let (Some(version), Some(containerd)) = (version, containerd)
        && version < CRUN
        && containerd >= CONTAINERD
    {
        let found = format!(
            "crun {version} ({name}) does not read what containerd {containerd} writes (\"unknown version specified\"): no \
             Linux containers, and no pods"
        );
        let remedy =
            format!("install crun {CRUN} or later, or set {LINUX_RUNTIME}=runc in containerd's environment");
        return Finding::warning(found, remedy);
    }
    let lacks: Vec<_> = FEATURES.into_iter().filter(|(feature, _)| !text.contains(feature)).collect();
    if !lacks.is_empty() {
        let what: Vec<_> = lacks.iter().map(|(name, effect)| format!("{} ({effect})", &name[1..])).collect();
        let found = format!("{first} ({name}) was built without {}", what.join(", "));
        return Finding::note(found, "install another build of it, or runc, if that matters");
    }
    let checkpoints = if text.contains("+CRIU") { "" } else { "; no checkpoints of Linux containers" };
    Finding::ok(format!("{first} ({name}){checkpoints}"))
}
