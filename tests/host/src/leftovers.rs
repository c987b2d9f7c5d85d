//! What is there besides the test itself: to be the same after a container as before it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::system::Process;
use crate::{containerd, isolation, wait};

/// Where containers may leave files.
const FOLDERS: [&str; 4] = ["/run/mica", "/run/micrun", "/run/containerd", "/run/tmp"];

/// Folders that the first container makes and the following ones share, besides those of the containerd namespace.
const SHARED: [&str; 8] = [
    "/run/mica",
    "/run/mica/clients",
    "/run/micrun",
    "/run/micrun/containers",
    "/run/micrun/linux",
    "/run/containerd/fifo",
    "/run/containerd/s",
    "/run/containerd/runc",
];

/// Every process, mount, file, cgroup, container, task and active snapshot in the namespaces of this test, and what
/// micad has open, counted.
pub struct Inventory(BTreeMap<String, usize>);

impl Inventory {
    /// Takes it now.
    pub fn take() -> Self {
        let mut found = BTreeMap::new();
        let mut add = |entry: String| *found.entry(entry).or_default() += 1;
        processes().into_iter().for_each(&mut add);
        mounts().into_iter().for_each(&mut add);
        for folder in FOLDERS {
            files(Path::new(folder), &mut add);
        }
        cgroups().into_iter().for_each(&mut add);
        records().into_iter().for_each(&mut add);
        Self(found)
    }

    /// What is there now and was not when this was taken, and what was and is not.
    pub fn difference(&self) -> Vec<String> {
        let now = Self::take();
        let new =
            now.0.iter().filter(|(entry, count)| self.0.get(*entry).is_none_or(|before| before < *count));
        let gone =
            self.0.iter().filter(|(entry, count)| now.0.get(*entry).is_none_or(|after| after < *count));
        let new = new.map(|(entry, _)| format!("left behind: {entry}"));
        new.chain(gone.map(|(entry, _)| format!("gone: {entry}"))).collect()
    }

    /// Waits until all is as it was when this was taken; panics naming what is new or gone.
    #[track_caller]
    pub fn assert_restored(&self) {
        let mut difference = Vec::new();
        let restored = wait::poll(|| {
            difference = self.difference();
            difference.is_empty().then_some(())
        });
        assert!(restored.is_some(), "not as before:\n{}", difference.join("\n"));
    }
}

/// A descriptor that a client has cost is not given back by its end.
fn processes() -> Vec<String> {
    let all = Process::all().into_iter();
    let open = |process: &Process| match process.name.as_str() {
        "micad" => {
            process.descriptors().map(|count| format!(" with {count} descriptors")).unwrap_or_default()
        }
        _ => String::new(),
    };
    all.map(|process| format!("process {} ({}){}", process.name, process.command, open(&process))).collect()
}

/// The containers' cgroups, which are below their namespace's in every hierarchy.
fn cgroups() -> Vec<String> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = folders(root).into_iter().chain([root.to_owned()]);
    let hierarchies = hierarchies.filter(|folder| folder.join("cgroup.procs").exists());
    let namespaces = hierarchies.map(|hierarchy| hierarchy.join(isolation::containerd_namespace()));
    let groups = namespaces.flat_map(|namespace| folders(&namespace));
    groups.map(|group| format!("cgroup {}", group.display())).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}

fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| format!("mount {point}")).collect()
}

fn files(path: &Path, add: &mut impl FnMut(String)) {
    let namespace = OsString::from(isolation::containerd_namespace());
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        let shared =
            SHARED.iter().any(|shared| path == Path::new(shared)) || path.file_name() == Some(&namespace);
        if !shared {
            add(format!("file {}", path.display()));
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&path, add);
        }
    }
}

fn records() -> Vec<String> {
    let lines = |kind: &str, args: &[&str]| {
        let text = containerd::ctr(args).success();
        text.lines().map(|line| format!("{kind} {line}")).collect::<Vec<_>>()
    };
    let mut records = lines("container", &["containers", "ls", "--quiet"]);
    records.extend(lines("task", &["tasks", "ls", "--quiet"]));
    records
        .extend(lines("snapshot", &["snapshots", "ls"]).into_iter().filter(|line| line.contains(" Active")));
    records
}
