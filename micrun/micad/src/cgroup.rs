//! What the kernel has counted for the cgroup of a process, in both versions of cgroups (cgroups(7)).

use std::path::{Path, PathBuf};

/// Where the hierarchies are mounted that count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    /// That of version 2. Where the controllers are in version 1 it counts nothing.
    unified: Option<PathBuf>,
}

/// What a cgroup has used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Below the root of its hierarchy.
    pub(crate) path: String,
    /// Memory in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// CPU time in microseconds.
    pub(crate) cpu_usec: Option<u64>,
}

impl Hierarchies {
    /// Those of this process.
    pub(crate) fn detect() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    /// Those in a table of mounts (proc(5), `mountinfo`).
    fn parse(table: &str) -> Self {
        let mut found = Self::default();
        for line in table.lines() {
            let Some((mount, source)) = line.split_once(" - ") else { continue };
            let Some(point) = mount.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut source = source.split(' ');
            let (kind, options) = (source.next(), source.next_back().unwrap_or_default());
            let has = |controller| options.split(',').any(|option| option == controller);
            match kind {
                Some("cgroup2") => found.unified = found.unified.or(Some(point)),
                Some("cgroup") => {
                    if has("memory") {
                        found.memory = Some(point.clone());
                    }
                    if has("cpuacct") {
                        found.cpu = Some(point);
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// What the cgroup of this process has used; `None` if the process is gone.
    pub(crate) fn account_of(&self, pid: u32) -> Option<Account> {
        self.account(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
    }

    /// The same by a table of cgroups (cgroups(7), `/proc/PID/cgroup`).
    fn account(&self, table: &str) -> Option<Account> {
        let path = |wanted: &str| {
            table.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|controller| controller == wanted).then_some(path)
            })
        };
        let dir = |root: &Path, path: &str| root.join(path.trim_start_matches('/'));
        if let (Some(memory), Some(place)) = (&self.memory, path("memory")) {
            let cpu = self.cpu.as_ref().zip(path("cpuacct"));
            return Some(Account {
                path: place.to_owned(),
                memory_bytes: number(&dir(memory, place).join("memory.usage_in_bytes")),
                cpu_usec: cpu
                    .and_then(|(root, place)| number(&dir(root, place).join("cpuacct.usage")))
                    .map(|nsec| nsec / 1000),
            });
        }
        let (root, place) = (self.unified.as_ref()?, path("")?);
        let dir = dir(root, place);
        let stat = std::fs::read_to_string(dir.join("cpu.stat")).unwrap_or_default();
        Some(Account {
            path: place.to_owned(),
            memory_bytes: number(&dir.join("memory.current")),
            cpu_usec: stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok()),
        })
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn version_2_has_one_directory() {
        let root = tempfile::tempdir().unwrap();
        let point = root.path().display();
        let table = format!("35 31 0:32 / {point} rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
        write(
            root.path(),
            &[("a/b/memory.current", "4096\n"), ("a/b/cpu.stat", "nr 1\nusage_usec 77\nuser_usec 7\n")],
        );
        let account = Hierarchies::parse(&table).account("0::/a/b\n");
        let expected = Account { path: "/a/b".into(), memory_bytes: Some(4096), cpu_usec: Some(77) };
        assert_eq!(account, Some(expected));
    }

    #[test]
    fn version_1_has_one_for_each_controller() {
        let root = tempfile::tempdir().unwrap();
        let point = root.path().display();
        let table = format!(
            "32 31 0:29 / {point}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             33 31 0:30 / {point}/memory rw - cgroup cgroup rw,memory\n\
             35 31 0:32 / {point}/unified rw - cgroup2 cgroup2 rw\n"
        );
        write(
            root.path(),
            &[("memory/m/memory.usage_in_bytes", "8192\n"), ("cpu/c/cpuacct.usage", "5000\n")],
        );
        let account = Hierarchies::parse(&table).account("4:memory:/m\n2:cpu,cpuacct:/c\n0::/\n");
        let expected = Account { path: "/m".into(), memory_bytes: Some(8192), cpu_usec: Some(5) };
        assert_eq!(account, Some(expected));
    }
}
