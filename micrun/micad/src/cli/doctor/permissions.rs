//! Who could meddle with the daemon, or with what it obeys.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::finding::Finding;
use super::host::Host;
use crate::acl;

/// What others than the owner must not have: nothing, or no right to write.
const PRIVATE: u32 = 0o077;
const WRITABLE: u32 = 0o022;
/// What is everybody's.
const OTHERS: u32 = 0o007;

/// The sockets and the state: whoever reaches them is root.
pub(super) fn runtime(host: &Host) -> Finding {
    let dir = &host.runtime_dir;
    // A daemon of another user is for development.
    let of_daemon = host.micad.as_ref().and_then(|it| host.at(format!("/proc/{}", it.pid)).metadata().ok());
    let owner = of_daemon.map_or_else(|| host.owner(), |data| data.uid());
    let mut paths = vec![dir.clone()];
    for inner in [dir.clone(), dir.join("clients")] {
        match host.names(&inner) {
            Ok(names) => paths.extend(names.iter().map(|name| inner.join(name))),
            Err(e) => return Finding::unread(&inner, &e),
        }
    }
    // Its group may read the lock and the pid; links have no mode.
    let guarded = |path: &Path, data: &Metadata| {
        let kind = data.file_type();
        path == dir || kind.is_socket() || (kind.is_dir() && path.starts_with(dir.join("clients")))
    };
    let mut findings: Vec<_> = paths.iter().map(|path| look(host, path, owner, PRIVATE, guarded)).collect();
    findings.extend(paths.iter().filter_map(|path| strangers(host, path)));
    Finding::all(findings, || match host.has(dir) {
        Ok(false) => Finding::ok(format!("{} is yet to be made", dir.display())),
        _ if host.config.allowed_uids.is_empty() => {
            Finding::ok(format!("{} is the daemon's alone", dir.display()))
        }
        _ => Finding::ok(format!("{} is for the daemon and the users of AllowedUids", dir.display())),
    })
}

/// Users who are let in, and are not (any more) in the list.
fn strangers(host: &Host, path: &Path) -> Option<Finding> {
    let users = acl::users(&host.at(path)).ok().flatten()?;
    let stranger = users.into_iter().find(|user| !host.config.allowed_uids.contains(user))?;
    let found = format!("{} lets user {stranger} in, who is not in AllowedUids", path.display());
    Some(Finding::error(found, "`systemctl reload micad`"))
}

/// The configuration: whoever writes it decides what firmware may do.
pub(super) fn configuration(host: &Host) -> Finding {
    let shim = host.shim_places();
    let mut paths = vec![host.config_file.clone(), shim.file];
    let around: Vec<_> = paths.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
    paths.extend(around);
    for dir in [host.config.conf_dir.clone(), shim.dir] {
        paths.push(dir.clone());
        match host.names(&dir) {
            Ok(names) => paths.extend(names.iter().map(|name| dir.join(name))),
            Err(e) => return Finding::unread(&dir, &e),
        }
    }
    if let Ok(conf) = host.shim_conf() {
        let policy = conf.policy();
        paths.extend(policy.patches.value.iter().chain(&policy.signature.value).cloned());
    }
    paths.sort();
    paths.dedup();
    let findings = paths.iter().map(|path| look(host, path, host.owner(), WRITABLE, |_, _| true)).collect();
    Finding::all(findings, || Finding::ok("only root can write it"))
}

fn look(
    host: &Host,
    path: &Path,
    owner: u32,
    forbidden: u32,
    guarded: impl Fn(&Path, &Metadata) -> bool,
) -> Finding {
    let shown = path.display();
    let data = match host.at(path).symlink_metadata() {
        Ok(data) => data,
        Err(e) if e.kind() == ErrorKind::NotFound => return Finding::ok(""),
        Err(e) => return Finding::unread(path, &e),
    };
    if data.is_symlink() || !guarded(path, &data) {
        return Finding::ok("");
    }
    let mode = data.mode() & 0o7777;
    if data.uid() != owner {
        let found = format!("{shown} belongs to user {}, not {owner}", data.uid());
        return Finding::error(found, format!("`chown {owner} {shown}`, if nobody else has changed it"));
    }
    // With a list of users, the group's place in the mode is what they can have.
    let of_list = || mode & OTHERS == 0 && matches!(acl::users(&host.at(path)), Ok(Some(_)));
    if mode & forbidden != 0 && !(forbidden == PRIVATE && of_list()) {
        let found = format!("{shown} has mode {mode:04o}, so others than its owner can use it");
        return Finding::error(found, format!("`chmod {:04o} {shown}`", mode & !forbidden));
    }
    Finding::ok("")
}
