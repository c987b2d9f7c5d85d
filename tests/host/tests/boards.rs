//! One image with a firmware for each of two boards: the host's micrun.conf says which one runs.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::PathBuf;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::{self, BANNER, PROMPT};
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, isolation};

const BOARDS: &str = "localhost/boards:1";

/// Packs the demo for QEMU's `virt` of aarch64 and for a Cortex-M3 into one image.
fn pack() -> PathBuf {
    let directory = isolation::state_dir();
    let archive = directory.join("boards.tar");
    let text = format!(
        "version: 1\nimages:\n  - tag: {BOARDS}\n    output: {}\n    os: freertos\n    boards:\n      qemu:\n        \
         firmware: {}\n      mps2:\n        firmware: {}\n",
        archive.display(),
        firmware::demo().display(),
        firmware::demo_for_cortex_m().display(),
    );
    let file = directory.join("micrun.yaml");
    fs::write(&file, text).expect("/run is writable");
    firmware::builder(&["pack", "-q", "-f", file.to_str().expect("UTF-8")]).success();
    archive
}

/// Runs the image, and asserts which emulator runs it.
#[track_caller]
fn assert_runs_on(host: &Host, emulator: &str, other: &str) {
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, BOARDS, "rtos"]);
    console.expect(BANNER);
    console.expect(PROMPT);
    assert_eq!((Process::running(emulator).len(), Process::running(other).len()), (1, 0));
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

const A_PROFILE: &str = "qemu-system-aarch64";
const M_PROFILE: &str = "qemu-system-arm";

#[test]
fn a_host_without_a_name_takes_what_any_host_runs() {
    let host = Host::configured("", "");
    host.import(&pack());
    assert_runs_on(&host, A_PROFILE, M_PROFILE);
}

#[test]
fn the_hosts_key_chooses_another_board() {
    let host = Host::configured("board = mps2\n", "");
    host.import(&pack());
    assert_runs_on(&host, M_PROFILE, A_PROFILE);
}

#[test]
fn another_board_runs_nothing() {
    let host = Host::configured("board = imx93\n", "");
    host.import(&pack());
    let place = format!("imx93, as board in {} says", isolation::state_dir().join("micrun.conf").display());
    host.assert_refused(BOARDS, &[], &["no firmware for this host's board", "mps2, qemu", &place]);
}

/// What a shim of before sees: the same root, with a list that says nothing to it.
#[test]
fn a_shim_that_does_not_know_boards_runs_nothing() {
    let host = Host::configured("", "");
    let image = Image::new(BOARDS, &["/firmware.elf"])
        .file("client.conf", b"[Mica]\nClientPath = /.micrun/boards/BOARD/firmware.elf\n")
        .file(".micrun/boards/qemu/firmware.elf", &firmware::demo_bytes());
    host.import_image(image);
    host.assert_refused(BOARDS, &[], &["firmware file not found: /.micrun/boards/BOARD/firmware.elf"]);
}
