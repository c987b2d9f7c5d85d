//! What is there besides the test itself: to be the same after a container as before it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::system::Process;
use crate::{containerd, isolation, wait};

/// Where containers may leave files.
const FOLDERS: [&str; 4] = ["/run/mica", "/run/micrun", "/run/containerd", "/run/tmp"];

/// What the first container makes and the following ones share, besides the folders of the containerd namespace.
const SHARED: [&str; 10] = [
    "/run/mica",
    "/run/mica/clients",
    "/run/mica/history-v1.jsonl",
    "/run/micrun",
    "/run/micrun/containers",
    "/run/micrun/linux",
    "/run/micrun/pods",
    "/run/containerd/fifo",
    "/run/containerd/s",
    "/run/containerd/runc",
];

/// Every process, mount, file, cgroup, container, task and active snapshot in the namespaces of this test, counted, and
/// how many descriptors micad has open.
pub struct Inventory {
    found: BTreeMap<String, usize>,
    /// One that a client has cost is not given back by its end. When this is taken micad may not yet have closed the
    /// connection of a client that has its answer, so fewer than then are as good.
    descriptors: usize,
}

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
        let micad = Process::all().into_iter().filter(|process| process.name == "micad");
        let descriptors = micad.filter_map(|process| process.descriptors()).sum();
        Self { found, descriptors }
    }

    /// What is there now and was not when this was taken, and what was and is not.
    pub fn difference(&self) -> Vec<String> {
        let now = Self::take();
        let more = |this: &Self, than: &Self| -> Vec<String> {
            let has_less = |entry: &str, count| than.found.get(entry).is_none_or(|other| *other < count);
            let more = this.found.iter().filter(|(entry, count)| has_less(entry, **count));
            more.map(|(entry, _)| entry.clone()).collect()
        };
        let open = Some(now.descriptors).filter(|now| *now > self.descriptors);
        let open =
            open.map(|now| format!("left behind: {now} descriptors of micad, not {}", self.descriptors));
        let new = more(&now, self).into_iter().map(|entry| format!("left behind: {entry}"));
        new.chain(more(self, &now).into_iter().map(|entry| format!("gone: {entry}"))).chain(open).collect()
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

fn processes() -> Vec<String> {
    let all = Process::all().into_iter();
    all.map(|process| format!("process {} ({})", process.name, process.command)).collect()
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
