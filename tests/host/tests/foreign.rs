//! Firmware for other processors than aarch64, and firmware of others: packed without an option, talked to, ended.

use std::path::Path;
use std::{env, fs};

use micrun_host_tests::Host;
use micrun_host_tests::console::Console;
use micrun_host_tests::containerd::ctr_terminal;
use micrun_host_tests::firmware::{self, BANNER, PROMPT};
use micrun_host_tests::host::MICA;

const IMAGE: &str = "localhost/micrun/foreign:1";

/// Runs a firmware in the foreground, on a terminal; `ctr` removes it when it has ended.
fn run(elf: &Path, options: &[&str]) -> (Host, Console) {
    let host = Host::start();
    host.import(&firmware::pack(elf, IMAGE, options));
    let console = ctr_terminal(&["run", "--rm", "--tty", "--runtime", MICA, IMAGE, "rtos"]);
    (host, console)
}

/// Asks the demo which processor it is for, and ends it by a command; answers the exit status.
fn demo(elf: &Path, processor: &str, last: &str) -> i32 {
    let (host, mut console) = run(elf, &[]);
    console.expect(BANNER);
    console.expect(PROMPT);
    console.send("uname\r");
    console.expect(&format!("micrun-demo {processor}\r\n{PROMPT}"));
    console.send(&format!("{last}\r"));
    let status = console.wait();
    host.assert_clean();
    status
}

/// Stops U-Boot's countdown, asks for its version, and powers off.
fn u_boot(board: &str) {
    let (host, console) = run(&firmware::u_boot(board), &[]);
    talk_to_u_boot(&host, console);
}

fn talk_to_u_boot(host: &Host, mut console: Console) {
    const PROMPT: &str = "=> ";
    console.expect("Hit any key to stop autoboot");
    console.send(" ");
    console.expect(PROMPT);
    console.send("version\r");
    console.expect("\nU-Boot 20");
    console.expect(PROMPT);
    console.send("poweroff\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
}

/// The board cannot be powered off: its firmware leaves the exit record and resets it.
#[test]
fn a_cortex_m_exits_with_its_status() {
    assert_eq!(demo(&firmware::demo_for_cortex_m(), "armv7m", "exit 7"), 7);
}

#[test]
fn a_crash_of_a_cortex_m_is_a_memory_fault() {
    assert_eq!(demo(&firmware::demo_for_cortex_m(), "armv7m", "crash"), 139);
}

#[test]
fn a_riscv_in_machine_mode_exits_with_its_status() {
    assert_eq!(demo(&firmware::demo_for_riscv(), "riscv64", "exit 7"), 7);
}

#[test]
fn u_boot_in_machine_mode() {
    u_boot("qemu-riscv64");
}

/// It begins at address 0, where `virt` has flash, and relocates itself.
#[test]
fn u_boot_in_flash() {
    u_boot("qemu_arm64");
}

#[test]
fn u_boot_in_flash_on_32_bits() {
    u_boot("qemu_arm");
}

/// It is linked to where OpenSBI jumps, and asks it to power off.
#[test]
fn u_boot_in_supervisor_mode() {
    u_boot("qemu-riscv64_smode");
}

/// The image brings an OpenSBI of its own, told from QEMU's by a word of its banner.
#[test]
fn boot_code_of_the_image() {
    const WORD: &[u8] = b"Platform Name";
    const OTHER: &str = "Brought along";
    let mut open_sbi = firmware::open_sbi();
    let at = open_sbi.windows(WORD.len()).position(|bytes| bytes == WORD).expect("OpenSBI's banner");
    open_sbi[at..at + WORD.len()].copy_from_slice(OTHER.as_bytes());
    let bios = env::temp_dir().join("sbi.bin");
    fs::write(&bios, open_sbi).expect("the boot code is written");
    let options = ["--bios", bios.to_str().expect("UTF-8")];
    let (host, mut console) = run(&firmware::u_boot("qemu-riscv64_smode"), &options);
    console.expect(OTHER);
    talk_to_u_boot(&host, console);
}
