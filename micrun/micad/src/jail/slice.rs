//! The slice of systemd's where the daemon's processes live, beside its unit and not in it.
//!
//! `systemctl kill` ends all processes of a unit, the kernel's OOM killer in one of them has systemd stop the unit, and a
//! start warns of those that an earlier run has left over. Firmware is to outlive all of that. Whoever starts a container
//! gives its process other cgroups, which count after this one.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::cgroup;

/// The unit of the daemon wants it.
const SLICE: &str = "mica.slice";
/// The slice of the daemon's unit.
const SERVICES: &str = "/system.slice/";
/// Where systemd mounts the hierarchies.
const CGROUPS: &str = "/sys/fs/cgroup";

static PROCS: OnceLock<Vec<File>> = OnceLock::new();

/// Looks for the slice. Without systemd, or with another unit, there is none.
pub(crate) fn find() {
    let table = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    PROCS.get_or_init(|| {
        let files = places(Path::new(CGROUPS), &table).into_iter().map(|dir| dir.join("cgroup.procs"));
        files.filter_map(|path| OpenOptions::new().write(true).open(path).ok()).collect()
    });
}

/// Its `cgroup.procs` in each hierarchy of systemd's. Neither allocates nor takes a lock.
pub(super) fn procs() -> &'static [File] {
    PROCS.get().map_or(&[], Vec::as_slice)
}

/// Where the slice is by a table of the daemon's cgroups (cgroups(7), `/proc/PID/cgroup`): version 2, alone or beside
/// version 1, and the hierarchy without controllers by which systemd knows processes elsewhere.
fn places(root: &Path, table: &str) -> Vec<PathBuf> {
    let unified = root.join("unified");
    let unified = if unified.is_dir() { unified } else { root.to_owned() };
    let place = |(controller, hierarchy): (&str, PathBuf)| {
        let (machine, _) = cgroup::place(table, controller)?.rsplit_once(SERVICES)?;
        Some(hierarchy.join(machine.trim_start_matches('/')).join(SLICE))
    };
    [("name=systemd", root.join("systemd")), ("", unified)].into_iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_is_beside_that_of_the_unit() {
        let root = tempfile::tempdir().unwrap();
        let found = |table: &str| -> Vec<String> {
            let below = |dir: PathBuf| dir.strip_prefix(root.path()).unwrap().display().to_string();
            places(root.path(), table).into_iter().map(below).collect()
        };
        assert_eq!(found("0::/system.slice/micad.service\n"), ["mica.slice"]);
        assert_eq!(found("0::/user.slice/user-0.slice/session-1.scope\n"), [""; 0]);
        let container =
            "9:pids:/x/system.slice/micad.service\n1:name=systemd:/x/system.slice/micad.service\n";
        assert_eq!(found(container), ["systemd/x/mica.slice"]);
        std::fs::create_dir(root.path().join("unified")).unwrap();
        let hybrid = "1:name=systemd:/system.slice/micad.service\n0::/system.slice/micad.service\n";
        assert_eq!(found(hybrid), ["systemd/mica.slice", "unified/mica.slice"]);
    }
}
