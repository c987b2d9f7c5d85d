//! The table of boards: compared with the QEMU that is installed, and firmware that speaks on some of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libmica::{ClientState, CreateMessage};
use micrun_firmware::client_conf::Cpu;
use micrun_firmware::elf::{Family, Window};
use micrun_firmware::qemu::{self, BOARDS, Board};

use crate::harness::{Daemon, message};
use crate::tiny_elf::{self, Tiny};

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// What QEMU writes, given these words and, on its monitor, these commands.
fn ask(program: &str, words: &[&str], commands: &str) -> String {
    let mut qemu = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    qemu.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = qemu.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The memory that the board's processor sees, adjacent pieces joined.
fn memory(board: &Board) -> Vec<Window> {
    let size = board.ram.map(|ram| ram.unsaid.to_string());
    let mut words = vec!["-machine", board.machine, "-S", "-nodefaults", "-display", "none"];
    words.extend(["-monitor", "stdio", "-serial", "null"]);
    words.extend(size.iter().flat_map(|size| ["-m", size]));
    words.extend(board.arguments);
    let answer = ask(board.program, &words, "info mtree -f\nquit\n");
    let views: Vec<&str> = answer.split("FlatView #").collect();
    let view = ["cpu-secure-memory-0", "cpu-memory-0", "memory"]
        .iter()
        .find_map(|space| views.iter().find(|view| view.contains(&format!(" AS \"{space}\""))))
        .unwrap_or_else(|| panic!("{answer}"));
    let mut windows: Vec<Window> = Vec::new();
    for line in view.lines().filter_map(|line| line.strip_prefix("  ")) {
        let Some((range, what)) = line.split_once(" (prio ") else { continue };
        // TrustZone's memory is behind a controller.
        let is_memory =
            [", ram)", ", rom)", ", romd)", ": tz-mpc-upstream"].iter().any(|it| what.contains(it));
        let Some((first, last)) = range.split_once('-').filter(|_| is_memory) else { continue };
        let [first, last] = [first, last].map(|text| u64::from_str_radix(text.trim(), 16).unwrap());
        match windows.last_mut() {
            Some(before) if before.end() == first => before.size += last - first + 1,
            _ => windows.push(Window { base: first, size: last - first + 1 }),
        }
    }
    windows
}

#[test]
fn every_line_says_what_qemu_says() {
    for board in BOARDS.iter().filter(|board| is_installed(board.program)) {
        let memory = memory(board);
        let told = format!("{} {:?}: QEMU has {memory:x?}", board.machine, board.family);
        let windows = board.windows(board.ram.map_or(0, |ram| ram.unsaid), None);
        for window in windows.into_iter().chain(board.flash) {
            assert!(memory.iter().any(|it| it.holds(window.base, window.size)), "{window} of {told}");
            // Nothing of it is left out. A Raspberry Pi's peripherals lie over the rest of its memory.
            let more = memory.iter().any(|it| it.holds(window.end(), 1));
            assert!(!more || board.machine.starts_with("raspi"), "{window} of {told}");
        }
        let models = ask(board.program, &["-machine", board.machine, "-cpu", "help"], "");
        assert!(models.lines().any(|line| line.trim() == board.model), "{}: {models}", board.machine);
    }
}

#[test]
fn every_machine_and_cpu_of_qemu_is_known() {
    let programs = ["qemu-system-arm", "qemu-system-aarch64", "qemu-system-riscv64", "qemu-system-riscv32"];
    for program in programs.into_iter().filter(|program| is_installed(program)) {
        let machines = ask(program, &["-machine", "help"], "");
        for name in machines.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
            if name != "none" {
                qemu::check_machine(&name.parse().unwrap()).unwrap();
            }
        }
        let models = ask(program, &["-machine", "virt", "-cpu", "help"], "");
        for model in models.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
            qemu::check_cpu(&model.parse::<Cpu>().unwrap()).unwrap();
        }
    }
}

/// What the firmware of these tests says on its console.
const MARK: u8 = b'~';

/// Boots it with this `[Qemu]` section, and gives what it says up to the mark.
async fn speaks(firmware: &Path, section: &str) -> String {
    let daemon = Daemon::start();
    let conf = daemon.path("board.conf");
    std::fs::write(&conf, format!("[Qemu]\n{section}\n")).unwrap();
    let client = daemon.client();
    client.create(&CreateMessage { pedestal_conf: conf, ..message("b", firmware) }).await.unwrap();
    client.start("b").await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    daemon.console("b").read_to("~")
}

fn firmware(dir: &tempfile::TempDir, machine: u16, base: u32, entry: u32, code: &[u8]) -> PathBuf {
    tiny_elf::write_tiny(dir.path(), &Tiny { machine, base, entry, code })
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Nobody says that it is for a Cortex-M but its vector table.
#[tokio::test]
async fn a_cortex_m_gets_a_board_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let code: Vec<u8> = [
        0x0000,
        0x2040,
        0x0009,
        0x0000, // the stack, the reset handler
        0x4803, // ldr  r0, =0x40004000    CMSDK UART
        0x2110, // movs r1, #16
        0x6101, // str  r1, [r0, #16]      baud rate divider
        0x2101, // movs r1, #1
        0x6081, // str  r1, [r0, #8]       transmitter on
        0x2100 | u16::from(MARK),
        0x6001, // str  r1, [r0]
        0xe7fe, // b    .
        0x4000,
        0x4000,
    ]
    .into_iter()
    .flat_map(u16::to_le_bytes)
    .collect();
    let elf = firmware(&dir, 40, 0, 9, &code);
    assert_eq!(speaks(&elf, "").await, "~");
    assert_eq!(speaks(&elf, "Machine = mps2-an386\nMemory = 64").await, "~", "soldered memory stays");
}

/// Speaks by a Cadence UART at these registers.
fn cadence(uart: u32) -> Vec<u8> {
    words(&[
        0xe59f_0010, // ldr r0, =uart
        0xe3a0_1014, // mov r1, #0x14
        0xe580_1000, // str r1, [r0]            receiver and transmitter on
        0xe3a0_1000 | u32::from(MARK),
        0xe580_1030, // str r1, [r0, #0x30]
        0xeaff_fffe, // b   .
        uart,
    ])
}

/// The R5 of a ZynqMP lives in the emulator for aarch64, behind four other cores.
#[tokio::test]
async fn a_cortex_r_gets_its_core() {
    let dir = tempfile::tempdir().unwrap();
    let elf = firmware(&dir, 40, 0x10_0000, 0x10_0000, &cadence(0xff00_0000));
    assert_eq!(speaks(&elf, "Machine = xlnx-zcu102").await, "~");
}

#[tokio::test]
async fn the_console_may_be_the_second_port() {
    let dir = tempfile::tempdir().unwrap();
    let elf = firmware(&dir, 40, 0x10_0000, 0x10_0000, &cadence(0xff01_0000));
    assert_eq!(speaks(&elf, "Machine = xlnx-zcu102\nConsolePort = 2").await, "~");
    // The other one is the second console, then.
    assert_eq!(speaks(&elf, "Machine = xlnx-zcu102\nConsolePort = 2\nConsoles = 2").await, "~");
}

/// Where firmware is linked says whether OpenSBI starts it.
#[tokio::test]
async fn riscv_in_either_mode() {
    if !is_installed("qemu-system-riscv32") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let code = words(&[
        0x1000_02b7,                         // lui t0, 0x10000    16550 UART
        0x0000_0313 | u32::from(MARK) << 20, // li  t1, MARK
        0x0062_8023,                         // sb  t1, 0(t0)
        0x0000_006f,                         // j   .
    ]);
    let alone = firmware(&dir, 243, 0x8000_0000, 0x8000_0000, &code);
    assert_eq!(speaks(&alone, "").await, "~");
    let started = firmware(&dir, 243, 0x8040_0000, 0x8040_0000, &code);
    let said = speaks(&started, "Devices = virtio-rng-device,virtio-net-device").await;
    assert!(said.contains("OpenSBI"), "{said}");
    // Boot code of the client's own, which is none of the files that QEMU has.
    let own = dir.path().join("own.bin");
    std::fs::copy("/usr/share/qemu/opensbi-riscv32-generic-fw_dynamic.bin", &own).unwrap();
    let said = speaks(&started, &format!("Bios = {}", own.display())).await;
    assert!(said.contains("OpenSBI"), "{said}");
    // Boot code of one's own: it says `^` and jumps to the firmware.
    let boot_code = words(&[
        0x1000_02b7,                  // lui t0, 0x10000
        0x0000_0313 | 0x5e_u32 << 20, // li  t1, '^'
        0x0062_8023,                  // sb  t1, 0(t0)
        0x8040_0337,                  // lui t1, 0x80400
        0x0003_0067,                  // jr  t1
    ]);
    let bios = dir.path().join("see.bin");
    std::fs::write(&bios, &boot_code).unwrap();
    assert_eq!(speaks(&started, &format!("Bios = {}", bios.display())).await, "^~");
    let elf = tempfile::tempdir().unwrap();
    let elf = firmware(&elf, 243, 0x8000_0000, 0x8000_0000, &boot_code);
    assert_eq!(speaks(&started, &format!("Bios = {}", elf.display())).await, "^~");
}

/// What stands in for boot code is refused before QEMU sees it.
#[tokio::test]
async fn boot_code_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let started = firmware(&dir, 243, 0x8040_0000, 0x8040_0000, &[0; 8]);
    let (fifo, large) = (dir.path().join("fifo"), dir.path().join("large"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::write(&large, vec![0; (4 << 20) + 1]).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = firmware(&elsewhere, 243, 0x8030_0000, 0x8030_0000, &vec![0; 2 << 20]);
    let daemon = Daemon::start();
    let client = daemon.client();
    for (bios, says) in [
        (fifo.as_path(), "not a regular file"),
        (&large, "more than the 4194304"),
        (&elsewhere, "not in the memory of boot code"),
        (Path::new("/nothing"), "No such file: /nothing"),
    ] {
        let conf = daemon.path("board.conf");
        std::fs::write(&conf, format!("[Qemu]\nBios = {}\n", bios.display())).unwrap();
        client.create(&CreateMessage { pedestal_conf: conf, ..message("b", &started) }).await.unwrap();
        let error = client.start("b").await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        client.remove("b").await.unwrap();
    }
}

/// Firmware that does nothing, where the board has memory to boot from.
fn idle(dir: &Path, board: &Board) -> PathBuf {
    let windows = board.windows(board.ram.map_or(0, |ram| ram.unsaid), None);
    let base = windows.iter().map(|window| window.base);
    let ram = board.ram.map(|ram| ram.base);
    // Processors with TrustZone boot in the secure world. A device tree may lie at the start of RAM. On 64 bits, OpenSBI
    // goes first.
    let base = match board.family {
        Family::M => base.clone().find(|base| *base == 0x1000_0000).unwrap_or(0),
        Family::R => base.max().unwrap(),
        Family::Riscv64 => ram.unwrap() + 0x20_0000,
        Family::Riscv32 => ram.unwrap_or(0x2040_0000),
        Family::A64 | Family::A32 => ram.or(base.min()).unwrap() + 0x10_0000,
    };
    let narrow = |machine, entry, code: &[u8]| {
        let [base, entry] = [base, base + entry].map(|address| u32::try_from(address).unwrap());
        tiny_elf::write_tiny(dir, &Tiny { machine, base, entry, code })
    };
    match board.family {
        Family::A64 => tiny_elf::idles(dir, 183, base, 0x1400_0000), // b .
        Family::Riscv64 => tiny_elf::idles(dir, 243, base, 0x0000_006f), // j .
        Family::Riscv32 => narrow(243, 0, &words(&[0x0000_006f])),
        Family::A32 | Family::R => narrow(40, 0, &words(&[0xeaff_fffe])), // b .
        Family::M => {
            let [stack, handler] = [0x2000_0400, u32::try_from(base).unwrap() + 9];
            narrow(40, 9, &words(&[stack, handler, 0xe7fe_e7fe])) // b .
        }
    }
}

#[tokio::test]
async fn every_machine_of_the_table_starts() {
    let daemon = Daemon::start();
    let client = daemon.client();
    for board in BOARDS.iter().filter(|board| is_installed(board.program)) {
        let elf = idle(daemon.dir(), board);
        let conf = daemon.path("board.conf");
        std::fs::write(&conf, format!("[Qemu]\nMachine = {}\n", board.machine)).unwrap();
        client.create(&CreateMessage { pedestal_conf: conf, ..message("b", &elf) }).await.unwrap();
        client.start("b").await.unwrap_or_else(|e| panic!("{} {:?}: {e}", board.machine, board.family));
        let stats = client.stats("b").await.unwrap();
        assert_eq!(
            stats.state,
            ClientState::Running,
            "{} {:?}: {:?}",
            board.machine,
            board.family,
            stats.exit
        );
        client.remove("b").await.unwrap();
    }
}
