//! What the kernel has counted for the cgroup of a process, in both versions of cgroups (cgroups(7)).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The cgroup of a process in a controller's hierarchy, by its table (cgroups(7), `/proc/PID/cgroup`). Version 2 has no
/// controller's name.
pub(crate) fn place<'a>(table: &'a str, controller: &str) -> Option<&'a str> {
    table.lines().find_map(|line| {
        let (controllers, place) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|known| known == controller).then_some(place)
    })
}

/// The directory of a cgroup in the hierarchy that is mounted at `root`.
fn dir(root: &Path, place: &str) -> PathBuf {
    root.join(place.trim_start_matches('/'))
}

/// The same, then those above it up to `root`.
pub(crate) fn lineage(root: &Path, place: &str) -> Vec<PathBuf> {
    dir(root, place).ancestors().take_while(|dir| dir.starts_with(root)).map(Path::to_owned).collect()
}

/// The controllers of version 1 that count.
const CONTROLLERS: [&str; 4] = ["memory", "cpuacct", "pids", "blkio"];

/// Where the hierarchies are mounted that count.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    /// Those of version 1, by controller.
    controllers: BTreeMap<&'static str, PathBuf>,
    /// That of version 2. Where the controllers are in version 1 it counts nothing.
    unified: Option<PathBuf>,
}

/// What a cgroup has used. What the kernel does not count is absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Below the root of its hierarchy.
    pub(crate) path: String,
    /// Memory in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// CPU time in microseconds.
    pub(crate) cpu_usec: Option<u64>,
    /// Processes and threads.
    pub(crate) processes: Option<u64>,
    /// Bytes read from block devices, and written to them.
    pub(crate) read_bytes: Option<u64>,
    pub(crate) written_bytes: Option<u64>,
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
            match kind {
                Some("cgroup2") => found.unified = found.unified.or(Some(point)),
                Some("cgroup") => {
                    let known =
                        options.split(',').filter_map(|it| CONTROLLERS.iter().find(|known| **known == it));
                    found.controllers.extend(known.map(|controller| (*controller, point.clone())));
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
        if self.controllers.contains_key("memory")
            && let Some(path) = place(table, "memory")
        {
            return Some(self.account_v1(path, table));
        }
        let (root, path) = (self.unified.as_ref()?, place(table, "")?);
        let dir = dir(root, path);
        let stat = std::fs::read_to_string(dir.join("cpu.stat")).unwrap_or_default();
        let io = std::fs::read_to_string(dir.join("io.stat")).ok();
        let sum = |key: &str| io.as_ref().map(|io| numbers(io.split_whitespace(), key).sum());
        Some(Account {
            path: path.to_owned(),
            memory_bytes: number(&dir.join("memory.current")),
            cpu_usec: stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok()),
            processes: number(&dir.join("pids.current")),
            read_bytes: sum("rbytes="),
            written_bytes: sum("wbytes="),
        })
    }

    fn account_v1(&self, path: &str, table: &str) -> Account {
        let file = |controller: &str, name: &str| {
            let root = self.controllers.get(controller)?;
            Some(dir(root, place(table, controller)?).join(name))
        };
        let io = file("blkio", "blkio.throttle.io_service_bytes_recursive");
        let io = io.and_then(|file| std::fs::read_to_string(file).ok());
        // `MAJOR:MINOR OPERATION NUMBER`.
        let words = |line: &str| line.split_once(' ').map_or(String::new(), |(_, words)| words.to_owned());
        let lines: Option<Vec<_>> = io.map(|io| io.lines().map(words).collect());
        let sum = |key: &str| lines.as_ref().map(|all| numbers(all.iter().map(String::as_str), key).sum());
        Account {
            path: path.to_owned(),
            memory_bytes: file("memory", "memory.usage_in_bytes").and_then(|file| number(&file)),
            cpu_usec: file("cpuacct", "cpuacct.usage").and_then(|file| number(&file)).map(|nsec| nsec / 1000),
            processes: file("pids", "pids.current").and_then(|file| number(&file)),
            read_bytes: sum("Read "),
            written_bytes: sum("Write "),
        }
    }
}

/// The numbers of those texts that begin so.
fn numbers<'a>(texts: impl Iterator<Item = &'a str>, key: &str) -> impl Iterator<Item = u64> {
    texts.filter_map(move |text| text.strip_prefix(key)?.trim().parse::<u64>().ok())
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
    fn each_controller_has_its_place_and_those_above_it() {
        let table = "12:pids:/a/b:c\n4:cpu,cpuacct:/\n1:name=systemd:/x\n0::/d\n";
        let found = ["pids", "cpuacct", "name=systemd", "", "memory"].map(|name| place(table, name));
        assert_eq!(found, [Some("/a/b:c"), Some("/"), Some("/x"), Some("/d"), None]);
        let root = Path::new("/sys/fs/cgroup");
        assert_eq!(lineage(root, "/a/b"), ["a/b", "a", ""].map(|dir| root.join(dir)));
        assert_eq!(lineage(root, "/"), [root]);
    }

    #[test]
    fn version_2_has_one_directory() {
        let root = tempfile::tempdir().unwrap();
        let point = root.path().display();
        let table = format!("35 31 0:32 / {point} rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
        write(
            root.path(),
            &[
                ("a/b/memory.current", "4096\n"),
                ("a/b/cpu.stat", "nr 1\nusage_usec 77\nuser_usec 7\n"),
                ("a/b/pids.current", "3\n"),
                ("a/b/io.stat", "8:0 rbytes=1 wbytes=2 rios=9 wios=9\n8:16 rbytes=4 wbytes=8 rios=9\n"),
            ],
        );
        let account = Hierarchies::parse(&table).account("0::/a/b\n");
        let expected = Account {
            path: "/a/b".into(),
            memory_bytes: Some(4096),
            cpu_usec: Some(77),
            processes: Some(3),
            read_bytes: Some(5),
            written_bytes: Some(10),
        };
        assert_eq!(account, Some(expected));
    }

    #[test]
    fn version_1_has_one_for_each_controller() {
        let root = tempfile::tempdir().unwrap();
        let point = root.path().display();
        let table = format!(
            "32 31 0:29 / {point}/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             33 31 0:30 / {point}/memory rw - cgroup cgroup rw,memory\n\
             34 31 0:31 / {point}/blkio rw - cgroup cgroup rw,blkio\n\
             35 31 0:32 / {point}/unified rw - cgroup2 cgroup2 rw\n"
        );
        write(
            root.path(),
            &[
                ("memory/m/memory.usage_in_bytes", "8192\n"),
                ("cpu/c/cpuacct.usage", "5000\n"),
                (
                    "blkio/b/blkio.throttle.io_service_bytes_recursive",
                    "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\n8:16 Read 4\nTotal 7\n",
                ),
            ],
        );
        let account = Hierarchies::parse(&table).account("4:memory:/m\n3:blkio:/b\n2:cpu,cpuacct:/c\n0::/\n");
        let expected = Account {
            path: "/m".into(),
            memory_bytes: Some(8192),
            cpu_usec: Some(5),
            processes: None,
            read_bytes: Some(5),
            written_bytes: Some(2),
        };
        assert_eq!(account, Some(expected));
    }
}
