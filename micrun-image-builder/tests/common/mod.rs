//! A small linker and a way to run the program, for the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod elf;
pub(crate) mod layout;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A directory in which the program runs.
pub(crate) struct Bench {
    directory: TempDir,
}

impl Bench {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// One that holds `fw.elf`.
    pub(crate) fn with_firmware(elf: &[u8]) -> Self {
        let bench = Self::new();
        bench.write("fw.elf", elf);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// What is there now, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program, to be run here, free of the caller's `SOURCE_DATE_EPOCH`.
    pub(crate) fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_micrun-image-builder"));
        command.args(args).current_dir(self.directory.path()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    pub(crate) fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Packs `fw.elf` and returns the digest that was printed.
    pub(crate) fn pack(&self, args: &[&str]) -> String {
        let ran = self.run(["pack", "fw.elf"].iter().chain(args));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    }

    /// What `inspect --json` says of an image that is in order.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        let ran = self.run(["inspect", "--json", image]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Unpacks an archive into a directory with Debian's tar, a reader that is not ours.
    pub(crate) fn untar(&self, archive: &str, into: &str) -> PathBuf {
        let target = self.path(into);
        fs::create_dir(&target).unwrap();
        let status =
            Command::new("tar").arg("-xf").arg(self.path(archive)).arg("-C").arg(&target).status().unwrap();
        assert!(status.success());
        target
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The file of a blob.
pub(crate) fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
}

/// A JSON file.
pub(crate) fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Waits until the kernel lists a program among those that wait for a lock.
pub(crate) fn until_it_waits_for_a_lock(child: &mut Child) {
    let waits = format!(" {} ", child.id());
    let listed = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        // `->` marks one that waits.
        locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&waits))
    };
    while !listed() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::yield_now();
    }
}

/// The exit statuses that a page lists for each command.
pub(crate) fn documented_statuses(page: &str) -> BTreeSet<(String, i32)> {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let text = fs::read_to_string(format!("{docs}/{page}")).unwrap();
    let (_, section) = text.split_once("\n## Exit status\n").unwrap();
    let table = section.split("\n## ").next().unwrap();
    let mut rows = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let commands = rows.next().unwrap();
    let mut found = BTreeSet::new();
    for row in rows.skip(1) {
        for (commands, meaning) in commands.iter().zip(&row).skip(1).filter(|(_, meaning)| *meaning != "-") {
            assert!(!meaning.is_empty());
            for command in commands.split(", ") {
                found.insert((command.trim_matches('`').to_owned(), row[0].parse().unwrap()));
            }
        }
    }
    found
}
