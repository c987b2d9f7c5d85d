//! Firmware on a core that runs and does nothing more, and the core for a debugger that is left of it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libmica::ext::ExitReason;
use micrun_firmware::ElfInfo;
use micrun_firmware::changes::Image;
use micrun_host_tests::firmware::spare_core;

use crate::board::Board;
use crate::harness::eventually;
use crate::kernel::Behaviour;

/// Where the demo's memory is, as /proc/iomem tells it, for a driver of this name.
const IOMEM: &str = "40000000-6fffffff : System RAM\n7a000000-7affffff : 4c000000.rproc-0\n";
/// What the record of a fault has.
const FAULT: [u32; 3] = [0x5458_454d, 1, 139];

/// Our driver under the demo; its memory and its registers are as after a fault.
fn spare_core_board(monitor: &str, conf: &str) -> (Board, PathBuf) {
    let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap().keep();
    let file = dir.join("micad.conf");
    fs::write(&file, format!("[Micad]\nCoreDir = {}\n{conf}", dir.join("cores").display())).unwrap();
    let attributes = [("cpu", "3"), ("core_state", "off"), ("exit_reason", "none"), ("exit_status", "0")];
    let attributes = [&attributes[..], &[("monitor", monitor), ("paused", "0")]].concat();
    let board =
        Board::prepared(&[("mica-cpu3", &attributes)], &["--config", file.to_str().unwrap()], |root| {
            fs::create_dir_all(root.join("proc")).unwrap();
            fs::write(root.join("proc/iomem"), IOMEM).unwrap();
        });
    fs::copy(spare_core(), board.daemon.path("fw.elf")).unwrap();
    let device = board.remoteproc(0).dir.join("device");
    let memory = File::create(device.join("memory")).unwrap();
    memory.set_len(0x7b00_0000).unwrap();
    let elf = fs::read(spare_core()).unwrap();
    for segment in Image::elf(File::open(spare_core()).unwrap()).unwrap().segments() {
        let from = usize::try_from(segment.offset).unwrap();
        let bytes = &elf[from..from + usize::try_from(segment.filesz).unwrap()];
        memory.write_all_at(bytes, segment.paddr).unwrap();
    }
    let info = ElfInfo::read(&spare_core()).unwrap();
    memory.write_all_at(&FAULT.map(u32::to_le_bytes).concat(), info.exit_record.unwrap()).unwrap();
    let general: Vec<_> = (0..31).map(|n| format!("x{n} {n:016x}")).collect();
    let registers = format!(
        "{}\nsp 000000007a0f0000\npc {:016x}\ncpsr 00000000000003c5\n",
        general.join("\n"),
        info.entry
    );
    fs::write(device.join("registers"), registers).unwrap();
    (board, dir)
}

#[tokio::test]
async fn a_heart_on_a_core_that_stops_is_the_end_and_leaves_a_core() {
    let (board, dir) = spare_core_board("yes", "Coredump = fault\n");
    let client = board.boot("x", "3").await;
    client.set("x", "Watchdog", "heartbeat:500ms").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Watchdog), "{}", report.detail);
    let said = "its watchdog has seen no heartbeat for 500ms; its processor was at 0x7a0";
    assert!(report.detail.starts_with(said), "{}", report.detail);
    opens_in_gdb(report.core);
    fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn the_core_of_a_crash_on_a_core_opens_in_gdb() {
    let (board, dir) = spare_core_board("yes", "Coredump = fault\n");
    let client = board.boot("x", "3").await;
    board.set_device(0, "exit_reason", "fault");
    board.set_device(0, "exit_status", "139");
    board.remoteproc(0).end("crashed");
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (139, ExitReason::Fault), "{}", report.detail);
    opens_in_gdb(report.core);
    // Without a monitor, nothing tells what the processor was at.
    client.start("x").await.unwrap();
    fs::remove_file(board.remoteproc(0).dir.join("device/registers")).unwrap();
    board.remoteproc(0).end("crashed");
    assert_eq!(client.wait("x").await.unwrap().core, None);
    let log = board.daemon.log();
    assert!(log.contains("nothing tells the registers of remoteproc0 (mica-cpu3)"), "{log}");
    fs::remove_dir_all(dir).unwrap();
}

fn opens_in_gdb(core: Option<PathBuf>) {
    let mut gdb = Command::new("gdb-multiarch");
    gdb.args(["-nx", "-batch"]).arg(spare_core()).arg(core.unwrap());
    gdb.args(["-ex", "info registers pc", "-ex", "print exit_record.status", "-ex", "print $x7"]);
    let output = gdb.stdin(Stdio::null()).output().expect("gdb-multiarch runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for words in ["<_start", "$1 = 139", "$2 = 7"] {
        assert!(said.contains(words), "not {words:?} in {said}");
    }
}

#[tokio::test]
async fn a_silent_console_of_a_core_is_the_end() {
    let board = Board::stm32(Behaviour::console("hello"));
    let client = board.boot("x", "").await;
    client.set("x", "Watchdog", "console:500ms").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Watchdog));
    assert_eq!(report.detail, "its watchdog has seen nothing on its console for 500ms");
    assert_eq!(board.remoteproc(0).get("state"), "offline");
}

#[tokio::test]
async fn what_cannot_be_seen_of_a_core_is_said() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("x", "").await;
    let refused = client.set("x", "Watchdog", "spin:1s").await.unwrap_err().to_string();
    assert!(refused.contains("nothing tells whether a core of its own rests"), "{refused}");
    client.set("x", "Watchdog", "heartbeat:500ms").await.unwrap();
    let said = "x: nothing tells its watchdog of its heartbeat, and it is not ended for that";
    eventually("it is said", || board.daemon.log().contains(said)).await;
}
