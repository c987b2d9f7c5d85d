//! Firmware on a core that is changed while it runs. The driver's files are those of our driver, the firmware is real.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use libmica::ext::ExitReason;
use libmica::{Client, ClientState};
use micrun_firmware::changes::{Changes, Image};
use micrun_host_tests::firmware::{patched_spare_core, spare_core};
use rustix::process::Signal;

use crate::board::Board;
use crate::harness::{eventually, mica};
use crate::kernel::Behaviour;

/// A core that runs the demo, with what its driver shows of it.
struct Core {
    board: Board,
    client: Client,
    memory: PathBuf,
    registers: PathBuf,
}

impl Core {
    async fn boot(monitor: &str) -> Self {
        let board = Board::spare_core(monitor, Behaviour::default());
        fs::copy(spare_core(), board.daemon.path("fw.elf")).unwrap();
        let device = board.remoteproc(0).dir.join("device");
        let (memory, registers) = (device.join("memory"), device.join("registers"));
        fs::write(&registers, "pc 0000000000000040\n").unwrap();
        let elf = fs::read(spare_core()).unwrap();
        let loaded = File::create(&memory).unwrap();
        for segment in Image::elf(File::open(spare_core()).unwrap()).unwrap().segments() {
            let (start, size) =
                (usize::try_from(segment.offset).unwrap(), usize::try_from(segment.filesz).unwrap());
            loaded.write_all_at(&elf[start..start + size], segment.paddr).unwrap();
        }
        let client = board.boot("x", "3").await;
        Self { board, client, memory, registers }
    }

    fn patch(&self) -> Result<String, String> {
        let firmware = patched_spare_core();
        let output = mica(&self.board.daemon, &["patch", "x", firmware.to_str().unwrap()]);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Whether the changed bytes in memory are those of the demo, or of the other one.
    fn holds(&self, patched: bool) -> bool {
        let (base, new) = (File::open(spare_core()).unwrap(), File::open(patched_spare_core()).unwrap());
        let changes =
            Changes::between(&mut Image::elf(&base).unwrap(), &mut Image::elf(&new).unwrap()).unwrap();
        assert!(!changes.ranges.is_empty());
        let memory = File::open(&self.memory).unwrap();
        changes.ranges.iter().all(|range| {
            let mut bytes = vec![0; usize::try_from(range.size).unwrap()];
            memory.read_exact_at(&mut bytes, range.paddr.0).unwrap();
            let digest = if patched { range.sha256_after } else { range.sha256_before };
            micrun_firmware::Sha256Digest::of(&bytes) == digest
        })
    }

    fn first_change() -> u64 {
        let (base, new) = (File::open(spare_core()).unwrap(), File::open(patched_spare_core()).unwrap());
        let changes =
            Changes::between(&mut Image::elf(&base).unwrap(), &mut Image::elf(&new).unwrap()).unwrap();
        changes.ranges[0].paddr.0
    }

    fn refused(&self, reason: &str) {
        let said = self.patch().unwrap_err();
        assert!(said.contains("the firmware was not patched and runs as before: "), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(self.holds(false));
        assert_eq!(fs::read_to_string(self.registers.with_file_name("paused")).unwrap().trim(), "0");
    }
}

#[tokio::test]
async fn the_memory_of_a_core_becomes_that_of_the_other_firmware() {
    let mut core = Core::boot("yes").await;
    let said = core.patch().unwrap_or_else(|e| panic!("{e}: {}", core.board.daemon.log()));
    assert!(said.starts_with("patched to sha256:"), "{said}");
    assert!(core.holds(true));
    let stats = core.client.stats("x").await.unwrap();
    assert_eq!(stats.state, ClientState::Running);
    assert!(said.contains(&stats.patched.clone().unwrap()), "{said}");
    core.board.daemon.end(Signal::KILL);
    core.board.daemon.launch();
    assert_eq!(core.client.stats("x").await.unwrap().patched, stats.patched);
    assert!(core.patch().unwrap().contains(": 0 bytes in 0 ranges"));
}

#[tokio::test]
async fn what_cannot_be_patched_runs_on_unchanged() {
    let core = Core::boot("yes").await;
    fs::write(&core.registers, format!("pc {:016x}\n", Core::first_change())).unwrap();
    core.refused("processor remoteproc0 (mica-cpu3) is executing at 0x");
    fs::write(&core.registers, "").unwrap();
    core.refused("names no program counter");
    fs::write(&core.registers, "pc 0000000000000040\n").unwrap();
    let memory = File::options().write(true).open(&core.memory).unwrap();
    let mut byte = [0];
    File::open(&core.memory).unwrap().read_exact_at(&mut byte, Core::first_change()).unwrap();
    memory.write_all_at(&[!byte[0]], Core::first_change()).unwrap();
    let said = core.patch().unwrap_err();
    assert!(said.contains("are not those of the firmware that was started"), "{said}");
    memory.write_all_at(&byte, Core::first_change()).unwrap();
    // What was started is not there any more to compare with.
    fs::copy(patched_spare_core(), core.board.daemon.path("fw.elf")).unwrap();
    core.refused("is not what was started (sha256:");
    fs::remove_file(&core.memory).unwrap();
    let said = core.patch().unwrap_err();
    assert!(said.contains("does not show its memory"), "{said}");
}

#[tokio::test]
async fn a_core_without_a_monitor_cannot_be_held() {
    let core = Core::boot("no").await;
    core.refused("no monitor watches over the core");
}

/// A pipe in the place of the registers: the daemon waits there, with the core held.
#[tokio::test]
async fn a_core_whose_patch_was_cut_off_never_goes_on() {
    let mut core = Core::boot("yes").await;
    fs::remove_file(&core.registers).unwrap();
    nix::unistd::mkfifo(&core.registers, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let paused = core.registers.with_file_name("paused");
    let run_dir = core.board.daemon.run_dir();
    let patching = tokio::spawn(async move {
        let sealed = micrun_firmware::memory_file::create().unwrap();
        micrun_firmware::copy(&File::open(patched_spare_core()).unwrap(), &sealed, u64::MAX, |_| ()).unwrap();
        micrun_firmware::memory_file::seal(&sealed).unwrap();
        libmica::Client::new(run_dir).patch("x", std::os::fd::AsFd::as_fd(&sealed)).await
    });
    eventually("the core is held", || fs::read_to_string(&paused).unwrap().trim() == "1").await;
    core.board.daemon.end(Signal::KILL);
    patching.await.unwrap().unwrap_err();
    core.board.daemon.launch();
    let report = core.client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (1, ExitReason::Failed), "{}", report.detail);
    assert_eq!(core.board.remoteproc(0).get("state"), "offline");
}
