//! The limits of the cgroups in which a container's lies: its pod's, in Kubernetes.

use std::path::PathBuf;

use super::{Cgroup, Version, stats};

impl Cgroup {
    /// Of the cgroups above it, the one that may have the least memory, and how many bytes; `None` if none says. Those that
    /// are not there yet have no limit.
    pub(crate) fn memory_above(&self) -> Option<(PathBuf, u64)> {
        let file = match self.version() {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        let dir = self.dir("memory")?;
        let above = dir.ancestors().skip(1).take(self.path().components().count());
        above
            .filter_map(|dir| Some((dir.to_owned(), stats::number(dir, file)?)))
            .min_by_key(|(_, limit)| *limit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::cgroup::Layout;

    #[test]
    fn the_lowest_limit_above_counts_and_its_own_does_not() {
        let root = tempfile::tempdir().unwrap();
        let v1 = Layout::V1(BTreeMap::from([("memory", root.path().to_owned())]));
        for (layout, file, unlimited) in [
            (Layout::V2(root.path().to_owned()), "memory.max", "max\n"),
            (v1, "memory.limit_in_bytes", "9223372036854771712\n"),
        ] {
            let container = root.path().join("pods/pod/c");
            fs::create_dir_all(&container).unwrap();
            let cgroup = Cgroup::of(layout, "/pods/pod/c").unwrap();
            assert_eq!(cgroup.memory_above(), None);
            let limit = |dir: &str, text: &str| fs::write(root.path().join(dir).join(file), text).unwrap();
            limit("pods", unlimited);
            limit("pods/pod/c", "1\n");
            assert!(cgroup.memory_above().is_some_and(|(_, limit)| limit > 1 << 60));
            limit("pods/pod", "4096\n");
            assert_eq!(cgroup.memory_above(), Some((root.path().join("pods/pod"), 4096)));
            limit(".", "2048\n");
            assert_eq!(cgroup.memory_above(), Some((root.path().join("."), 2048)));
            fs::remove_dir_all(root.path().join("pods")).unwrap();
            fs::remove_file(root.path().join(file)).unwrap();
        }
    }
}
