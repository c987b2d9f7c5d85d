//! What dead containers and dead daemons have left.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libmica::names::CREATE_SOCKET;
use serde_json::Value;

use super::finding::Finding;
use super::host::Host;
use super::registration;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Where systemd describes the units that others had it make.
const SCOPES: &str = "/run/systemd/transient";
/// How the shim describes its own.
const SCOPE: &str = "RTOS container of micrun";

/// The names of the daemon's clients, if it tells them.
fn clients_of_daemon(host: &Host) -> Option<BTreeSet<&str>> {
    let list = host.answers.list.as_ref().ok()?;
    Some(list.clients.iter().map(|client| client.name.as_str()).collect())
}

/// Clients' directories that no daemon has.
pub(super) fn clients(host: &Host) -> Finding {
    let dir = host.runtime_dir.join("clients");
    let names = match host.names(&dir) {
        Ok(names) => names,
        Err(e) => return Finding::unread(&dir, &e),
    };
    let known = clients_of_daemon(host);
    let look = |name: &String| match &known {
        Some(known) if known.contains(name.as_str()) => Finding::ok(""),
        Some(_) => Finding::warning(
            format!("micad does not have the client of {}", dir.join(name).display()),
            "`journalctl -u micad` says why it was not taken over; remove the directory if no QEMU uses it",
        ),
        None => unowned(host, &dir.join(name), name),
    };
    let findings = names.iter().map(look).collect();
    Finding::all(findings, || Finding::ok("none"))
}

/// A client while there is no daemon that tells its clients.
fn unowned(host: &Host, dir: &Path, name: &str) -> Finding {
    let path = dir.join("state.json");
    let state: Value = match host.bytes(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(e) => return Finding::unread(&path, &e),
    };
    let start = "`systemctl start micad` takes it over";
    let number = |key: &str| state.pointer(&format!("/run/process/{key}")).and_then(Value::as_u64);
    let Some((pid, started)) = number("pid").zip(number("start_time")) else { return Finding::ok("") };
    if !state["exit"].is_null() {
        return Finding::ok("");
    }
    let lives = u32::try_from(pid).is_ok_and(|pid| host.start_time(pid) == Some(started));
    if lives {
        return Finding::note(format!("{name} runs in process {pid} without a daemon"), start);
    }
    let found =
        format!("{name} was running in process {pid}, which is gone, and no daemon has seen how it ended");
    Finding::warning(found, format!("{start}, and reports it as killed"))
}

/// Directories of the shim's containers whose shim is dead.
pub(super) fn containers(host: &Host) -> Finding {
    let state_dir = state_dir(host);
    let mut findings = Vec::new();
    let firmware = state_dir.join("containers");
    match host.names(&firmware) {
        Ok(ids) => findings.extend(ids.iter().map(|id| of_dead_shim(host, &firmware.join(id)))),
        Err(e) => return Finding::unread(&firmware, &e),
    }
    let linux = state_dir.join("linux");
    match pairs(host, &linux) {
        Ok(all) => findings.extend(all.iter().map(|(namespace, id)| {
            if has_task(host, namespace, id) {
                return Finding::ok("");
            }
            let path = linux.join(namespace).join(id);
            let root = linux.join(namespace);
            let found = format!("{} is of a container without a task", path.display());
            Finding::warning(found, format!("`crun --root {} delete --force {id}`", root.display()))
        })),
        Err(e) => return Finding::unread(&linux, &e),
    }
    Finding::all(findings, || Finding::ok("none"))
}

fn of_dead_shim(host: &Host, dir: &Path) -> Finding {
    let path = dir.join("state.json");
    let owner: Value = match host.bytes(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Value::Null,
        Err(e) => return Finding::unread(&path, &e),
    };
    let shown = dir.display();
    let text = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
    let (Some(pid), Some(started)) = (owner["pid"].as_u64(), owner["started"].as_u64()) else {
        return Finding::warning(format!("{shown} does not say whose it is"), format!("`rm -r {shown}`"));
    };
    if u32::try_from(pid).is_ok_and(|pid| host.start_time(pid) == Some(started)) {
        return Finding::ok("");
    }
    let (namespace, id) = (text("namespace"), text("id"));
    let found = format!("{shown} is of container {id}, whose shim, process {pid}, is dead");
    let remedy = format!(
        "`ctr -n {namespace} task delete --force {id}`; if containerd knows no such task: `mica rm {id}`, `rm -r {shown}`"
    );
    Finding::warning(found, remedy)
}

/// Sockets and console links that lead nowhere.
pub(super) fn sockets(host: &Host) -> Finding {
    let dir = &host.runtime_dir;
    let names = match host.names(dir) {
        Ok(names) => names,
        Err(e) => return Finding::unread(dir, &e),
    };
    let known = clients_of_daemon(host);
    let look = |name: &String| {
        let path = dir.join(name);
        let remedy = format!("`rm {}`", path.display());
        if name.starts_with("ttyRPMSG_") {
            // A link to a terminal that is gone.
            let dangles = host.at(&path).is_symlink() && matches!(host.has(&path), Ok(false));
            return if dangles && known.is_some() {
                Finding::warning(format!("{} leads to no terminal", path.display()), remedy)
            } else {
                Finding::ok("")
            };
        }
        match (name.strip_suffix(".socket"), &known) {
            (Some(_), _) if name == CREATE_SOCKET => Finding::ok(""),
            (Some(client), Some(known)) if !known.contains(client) => {
                Finding::warning(format!("{} is of no client", path.display()), remedy)
            }
            (Some(_), None) if host.micad.is_none() => Finding::note(
                format!("{} is of a daemon that was killed", path.display()),
                "`systemctl start micad`: it removes it",
            ),
            _ => Finding::ok(""),
        }
    };
    let findings = names.iter().map(look).collect();
    Finding::all(findings, || Finding::ok("none"))
}

/// Cgroups of containers without a task and without a process.
pub(super) fn cgroups(host: &Host) -> Finding {
    let mut roots = vec![PathBuf::from(CGROUPS)];
    // Version 1 has a hierarchy for each controller.
    for name in host.names(CGROUPS).unwrap_or_default() {
        let hierarchy = Path::new(CGROUPS).join(name);
        let is_root = !host.has(hierarchy.join("cgroup.type")).unwrap_or(true);
        if is_root && host.has(hierarchy.join("cgroup.procs")).unwrap_or(false) {
            roots.push(hierarchy);
        }
    }
    let namespaces = match namespaces(host) {
        Ok(namespaces) => namespaces,
        Err((dir, e)) => return Finding::unread(&dir, &e),
    };
    let mut findings = Vec::new();
    for namespace in namespaces {
        for root in &roots {
            let dir = root.join(&namespace);
            for id in host.names(&dir).unwrap_or_default() {
                let group = dir.join(&id);
                let processes = host.word(group.join("cgroup.procs"));
                if has_task(host, &namespace, &id) || processes.is_none_or(|text| !text.is_empty()) {
                    continue;
                }
                let found = format!("{} is of no task, and has no process", group.display());
                findings.push(Finding::warning(found, format!("`rmdir {}`", group.display())));
            }
        }
    }
    Finding::all(findings, || Finding::ok("none"))
}

/// Scopes that a shim had systemd make for a container that is gone.
pub(super) fn scopes(host: &Host) -> Finding {
    let units = match host.names(SCOPES) {
        Ok(units) => units,
        Err(e) => return Finding::unread(SCOPES.as_ref(), &e),
    };
    let dir = state_dir(host).join("containers");
    let ids = match host.names(&dir) {
        Ok(ids) => ids,
        Err(e) => return Finding::unread(&dir, &e),
    };
    // `PREFIX-ID.scope`, or `ID.scope`.
    let of = |unit: &str, id: &str| {
        let prefix = unit.strip_suffix(".scope").and_then(|name| name.strip_suffix(id));
        prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('-'))
    };
    let look = |unit: &String| {
        let text = host.text(Path::new(SCOPES).join(unit)).unwrap_or_default();
        let ours = text.lines().any(|line| line.strip_prefix("Description=") == Some(SCOPE));
        if !ours || ids.iter().any(|id| of(unit, id)) {
            return Finding::ok("");
        }
        let found = format!("{unit} is of no container that a shim has");
        Finding::warning(found, format!("`systemctl stop {unit}`, which ends what runs there"))
    };
    let findings = units.iter().map(look).collect();
    Finding::all(findings, || Finding::ok("none"))
}

/// containerd's namespaces, as far as their containers have left traces; or what may not be looked at.
fn namespaces(host: &Host) -> Result<BTreeSet<String>, (PathBuf, std::io::Error)> {
    let mut found = BTreeSet::from(["default".to_owned()]);
    for dir in [tasks(host), state_dir(host).join("linux")] {
        found.extend(host.names(&dir).map_err(|e| (dir, e))?);
    }
    Ok(found)
}

/// Where the shim keeps its containers' files.
pub(super) fn state_dir(host: &Host) -> PathBuf {
    host.shim_conf().map_or_else(|_| "/run/micrun".into(), |conf| conf.state_dir())
}

/// Where containerd has a folder for each namespace, and in it one for each task.
pub(super) fn tasks(host: &Host) -> PathBuf {
    registration::state(host).join("io.containerd.runtime.v2.task")
}

/// A namespace and an id for each directory of a directory.
pub(super) fn pairs(host: &Host, dir: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for namespace in host.names(dir)? {
        for id in host.names(dir.join(&namespace))? {
            found.push((namespace.clone(), id));
        }
    }
    Ok(found)
}

/// What cannot be seen is taken for one that is there.
fn has_task(host: &Host, namespace: &str, id: &str) -> bool {
    host.has(tasks(host).join(namespace).join(id)).unwrap_or(true)
}
