//! Docker, which has a containerd of its own or shares the machine's.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::containerd::SHIM;
use super::finding::Finding;
use super::host::Host;
use super::program::{self, Mute, Version};
use super::registration::RUNTIME;

/// The daemon's configuration.
pub(super) const FILE: &str = "/etc/docker/daemon.json";
/// The first one that takes a shim's name in place of an entry in its configuration.
const BY_NAME: Version = Version(23, 0, 0);

/// Which version there is.
pub(super) fn installed(host: &Host) -> Finding {
    let Some(program) = host.own_program("docker") else { return Finding::ok("not installed") };
    match &*host.version_of(&program, "--version") {
        Ok(text) => Finding::ok(text),
        Err(mute) => mute.finding(&program),
    }
}

/// Whether it knows the runtime.
pub(super) fn registration(host: &Host) -> Finding {
    let docker = host.own_program("docker");
    let text = match host.text(FILE) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound && docker.is_none() => return Finding::ok("not installed"),
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Finding::unread(FILE.as_ref(), &e),
    };
    let text = if text.trim().is_empty() { "{}" } else { &text };
    let conf: Value = match serde_json::from_str(text) {
        Ok(conf) => conf,
        Err(e) => {
            let found = format!("{FILE} line {}, column {}: not JSON", e.line(), e.column());
            return Finding::error(found, "correct it: Docker does not start with it");
        }
    };
    let runtimes = conf.get("runtimes").and_then(Value::as_object).into_iter().flatten();
    let is_ours = |name: &str| name == RUNTIME || Path::new(name).file_name() == Some(OsStr::new(SHIM));
    let ours = runtimes.filter(|(_, it)| it.get("runtimeType").and_then(Value::as_str).is_some_and(is_ours));
    let names: Vec<_> = ours.map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        return match docker.filter(|_| host.process("dockerd").is_some()) {
            Some(docker) => known(&docker, &names),
            None => Finding::ok(format!("runtime {}", names.join(", "))),
        };
    }
    let said = docker.map(|program| host.version_of(&program, "--version"));
    let version = said.and_then(|said| program::version(said.as_ref().as_ref().ok()?));
    let entry = format!(r#"put "runtimes": {{"mica": {{"runtimeType": "{RUNTIME}"}}}} into {FILE}"#);
    match version {
        Some(version) if version < BY_NAME => {
            Finding::warning(format!("no runtime of ours, and Docker {version} needs an entry"), entry)
        }
        _ => Finding::note(format!("no entry; `docker run --runtime {RUNTIME}` needs none"), entry),
    }
}

/// Whether the running Docker knows these runtimes. It reads its configuration when it starts, and when it is told to.
fn known(docker: &Path, names: &[&str]) -> Finding {
    let text = match program::run(docker, &["info", "--format", "{{json .Runtimes}}"]) {
        Ok(text) => text,
        Err(Mute::Failed(_, words)) => {
            let found = format!("it cannot be asked whether it knows runtime {}: {words}", names.join(", "));
            return Finding::note(found, "run `mica doctor` as root, or `docker info`");
        }
        Err(mute) => return mute.finding(docker),
    };
    let runtimes: Value = serde_json::from_str(text.trim()).unwrap_or_default();
    let missing: Vec<_> = names.iter().copied().filter(|name| runtimes.get(name).is_none()).collect();
    if missing.is_empty() {
        return Finding::ok(format!("runtime {}, and the running Docker knows it", names.join(", ")));
    }
    let found = format!("the running Docker does not know runtime {}, which {FILE} has", missing.join(", "));
    Finding::warning(found, "`systemctl reload docker`")
}
