//! Disks without room.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use micrun_host_tests::containerd::ctr;
use micrun_host_tests::host::MICA;
use micrun_host_tests::{Fault, wait};
use nix::mount::{MsFlags, mount, umount};

use crate::engine::{Engine, end, host};

const FULL: &str = "No space left on device";

/// A small file system in the test's own mount namespace; gone with this.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let size = Some("size=256k,mode=755");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), size).unwrap();
        Self(at.into())
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        umount(&self.0).unwrap();
    }
}

/// Refused with the reason, nothing left, and with room it goes on.
#[test]
fn no_room_for_the_state_of_a_container() {
    let host = host();
    Fault::try_times("disk full for the shim's state", 6, |round| {
        let engine = Engine::BOTH[round % 2];
        {
            let disk = Disk::mount("/run/micrun");
            disk.fill();
            let run = ["run", "--detach", "--runtime", MICA, engine.image(), "one"];
            let refusal = ctr(&run).failure();
            assert!(refusal.contains(FULL), "{refusal}");
            host.delete_container("one");
            disk.free();
            assert_eq!(files(&disk.0), [] as [PathBuf; 0]);
        }
        host.assert_clean();
        engine.run("one", &[]);
        end(&host, "one");
        host.assert_clean();
    });
}

/// Files, not folders: some are there for all containers.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, mut found): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    found.extend(folders.iter().flat_map(|folder| files(folder)));
    found
}

/// micad keeps the clients of a machine below `/run/mica`.
#[test]
fn no_room_for_the_state_of_the_daemon() {
    let disk = Disk::mount("/run/mica");
    let host = host();
    Fault::try_times("disk full for micad's state", 5, |_| {
        disk.fill();
        let refusal = ctr(&["run", "--detach", "--runtime", MICA, Engine::Rtos.image(), "one"]).failure();
        assert!(refusal.contains(FULL), "{refusal}");
        host.delete_container("one");
        disk.free();
        host.assert_clean();
        Engine::Rtos.run("one", &[]);
        end(&host, "one");
        host.assert_clean();
    });
    drop(host);
}

/// A log without room costs output, not the container; with room it goes on.
#[test]
fn no_room_for_the_log() {
    let host = host();
    let disk = Disk::mount("/run/logs");
    let uri = "file:///run/logs/log";
    Fault::try_times("disk full for a log", 6, |round| {
        let engine = Engine::BOTH[round % 2];
        disk.fill();
        let lost = || host.containerd.log().matches(FULL).count();
        let before = lost();
        let script = "while :; do echo line; /bin/busybox sleep 0.02; done";
        match engine {
            Engine::Rtos => engine.run("one", &["--log-uri", uri]),
            Engine::Linux => {
                let run = ["run", "--detach", "--runtime", MICA, "--log-uri", uri, engine.image(), "one"];
                ctr(&[&run[..], &["/bin/busybox", "sh", "-c", script]].concat()).success();
            }
        }
        wait::until("output is lost", || (lost() > before).then_some(()));
        assert_eq!(host.task_state("one").as_deref(), Some("RUNNING"));
        disk.free();
        if let Engine::Linux = engine {
            wait::until("the log goes on", || {
                fs::read_to_string("/run/logs/log").ok().filter(|log| log.contains("line"))
            });
        }
        end(&host, "one");
        fs::remove_file("/run/logs/log").unwrap();
    });
    drop(disk);
    fs::remove_dir("/run/logs").unwrap();
    host.assert_clean();
}
