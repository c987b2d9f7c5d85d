//! Which cgroup hierarchies this machine has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The controllers that are used, as version 1 calls them.
pub(super) const CONTROLLERS: [&str; 6] = ["blkio", "cpu", "cpuacct", "cpuset", "memory", "pids"];
/// The same in version 2.
pub(super) const UNIFIED: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// The hierarchies, by their mount points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One for each controller, or for several; also beside a version 2 hierarchy without these ("hybrid").
    V1(BTreeMap<&'static str, PathBuf>),
    /// One for all.
    V2(PathBuf),
}

/// Which interface the files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// The mounts of this process.
const TABLE: &str = "/proc/self/mountinfo";

fn table() -> Result<String> {
    std::fs::read_to_string(TABLE).map_err(Error::io("read", TABLE))
}

/// The mount points of cgroups in a mount table (proc(5), `mountinfo`), each with its type and its options.
fn cgroups(table: &str) -> impl Iterator<Item = (PathBuf, &str, &str)> {
    table.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut source = source.split(' ');
        let kind = source.next().filter(|kind| kind.starts_with("cgroup"))?;
        Some((PathBuf::from(point), kind, source.next_back().unwrap_or_default()))
    })
}

/// Every hierarchy of this machine, whatever its controllers.
pub(super) fn mount_points() -> Result<Vec<PathBuf>> {
    Ok(cgroups(&table()?).map(|(point, ..)| point).collect())
}

impl Layout {
    /// That of this process.
    pub(crate) fn detect() -> Result<Self> {
        Self::parse(&table()?).ok_or(Error::NoCgroups)
    }

    fn parse(table: &str) -> Option<Self> {
        let mut controllers = BTreeMap::new();
        let mut unified = None;
        for (point, kind, options) in cgroups(table) {
            if kind == "cgroup2" {
                unified = unified.or(Some(point));
                continue;
            }
            let found = options.split(',').filter_map(|o| CONTROLLERS.iter().find(|c| **c == o));
            found.for_each(|controller| _ = controllers.insert(*controller, point.clone()));
        }
        match (controllers.is_empty(), unified) {
            (false, _) => Some(Self::V1(controllers)),
            (true, unified) => unified.map(Self::V2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                  32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                  33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
        let hybrid = format!("{v1}35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        let v2 = "35 31 0:32 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let Some(Layout::V1(map)) = Layout::parse(&hybrid) else { panic!() };
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), ["cpu", "cpuacct", "memory"]);
        assert_eq!(map["cpu"], map["cpuacct"]);
        assert_eq!(Layout::parse(v1), Layout::parse(&hybrid));
        assert_eq!(Layout::parse(v2), Some(Layout::V2("/sys/fs/cgroup".into())));
        assert_eq!(Layout::parse("1 2 0:1 / / rw - ext4 /dev/sda rw\n"), None);
    }
}
