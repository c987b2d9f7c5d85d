//! What is left of firmware that has ended: where its processor was, and a core that gdb opens.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libmica::ext::{End, ExitReason, ExitReport};
use libmica::{Client, CreateMessage};
use micrun_host_tests::firmware::{demo, demo_for_cortex_m, demo_for_riscv, demo_for_riscv32};

use crate::harness::{Daemon, message, mica};
use crate::tiny_elf;

/// A daemon with this in its micad.conf; its cores go to a directory of the test.
fn daemon(conf: &str) -> Daemon {
    let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
    let file = dir.path().join("micad.conf");
    let cores = dir.path().join("cores");
    fs::write(&file, format!("[Micad]\nCoreDir = {}\n{conf}", cores.display())).unwrap();
    let argument = file.display().to_string();
    Daemon::start_in(dir, &["--config", &argument])
}

/// A client's latest end.
async fn latest(client: &Client, name: &str) -> End {
    let history = client.history().await.unwrap();
    let known = history.clients.into_iter().find(|known| known.name == name).unwrap();
    known.ends.into_iter().next_back().unwrap()
}

/// Has the demo on `name`'s console crash.
async fn crash(daemon: &Daemon, client: &Client, name: &str) -> ExitReport {
    let mut console = daemon.console(name);
    console.read_to("micrun> ");
    console.write(b"crash\r");
    let report = client.wait(name).await.unwrap();
    assert_eq!((report.status, report.reason), (139, ExitReason::Fault), "{}", report.detail);
    report
}

/// What gdb says of a core.
fn gdb(firmware: &Path, core: &Path, commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb-multiarch");
    gdb.args(["-nx", "-batch"]).arg(firmware).arg(core);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    let output = gdb.stdin(Stdio::null()).output().expect("gdb-multiarch runs");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn cores_of(daemon: &Daemon, name: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(daemon.path("cores").join(name)).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

#[tokio::test]
async fn the_core_of_a_crash_opens_in_gdb_for_each_processor() {
    let daemon = daemon("Coredump = fault\n");
    let boards = [
        ("aarch64", demo(), ""),
        ("cortex-m", demo_for_cortex_m(), "[Qemu]\nMachine = mps2-an385\n"),
        ("riscv", demo_for_riscv(), ""),
        ("riscv32", demo_for_riscv32(), ""),
    ];
    for (name, firmware, conf) in boards {
        let file = daemon.path(&format!("{name}.ini"));
        fs::write(&file, conf).unwrap();
        let client = daemon.client();
        let wish = CreateMessage { pedestal_conf: file, ..message(name, &firmware) };
        client.create(&wish).await.unwrap();
        client.start(name).await.unwrap();
        let report = crash(&daemon, &client, name).await;
        let core = report.core.unwrap_or_else(|| panic!("{name}: {}", daemon.log()));
        assert_eq!(cores_of(&daemon, name), std::slice::from_ref(&core));
        let found = core.metadata().unwrap();
        assert_eq!(
            (found.permissions().mode() & 0o7777, found.uid()),
            (0o600, rustix::process::getuid().as_raw())
        );
        let said =
            gdb(&firmware, &core, &["info registers pc", "bt", "print exit_record.status", "info threads"]);
        for words in ["<power_off+", "in exit_firmware (", "fault_report (", "$1 = 139"] {
            assert!(said.contains(words), "{name}: not {words:?} in {said}");
        }
        let scene = latest(&client, name).await.scene.unwrap();
        assert!(scene.at.place.starts_with("in power_off+0x"), "{name}: {scene:?}");
        let pc = scene.at.pc.trim_start_matches("0x");
        assert!(scene.registers.contains(pc), "{name}: {scene:?}");
        // RISC-V keeps where its last exception came from.
        let from = scene.trap.map(|trap| trap.place);
        assert_eq!(from.is_some_and(|place| place.starts_with("in crash+0x")), name.starts_with("riscv"));
    }
}

/// What the firmware has not touched takes no place, in memory as on the disk.
#[tokio::test]
async fn a_core_takes_no_more_room_than_was_used() {
    let daemon = daemon("Coredump = fault\n");
    let client = daemon.boot("x", &demo()).await;
    let core = crash(&daemon, &client, "x").await.core.unwrap();
    let found = core.metadata().unwrap();
    assert!(found.len() > 64 << 20, "{} bytes", found.len());
    assert!(found.blocks() * 512 < 16 << 20, "{} blocks", found.blocks());
}

#[tokio::test]
async fn cores_are_of_the_ends_that_were_asked_for() {
    let daemon = daemon("");
    let client = daemon.boot("x", &demo()).await;
    assert_eq!(crash(&daemon, &client, "x").await.core, None);
    client.set("x", "Coredump", "fault").await.unwrap();
    client.start("x").await.unwrap();
    client.stop("x").await.unwrap();
    assert_eq!(client.wait("x").await.unwrap().core, None);
    client.set("x", "Coredump", "always").await.unwrap();
    client.start("x").await.unwrap();
    daemon.console("x").read_to("micrun> ");
    client.stop("x").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (0, ExitReason::Stopped));
    let said = gdb(&demo(), &report.core.unwrap(), &["print exit_record.status"]);
    assert!(said.contains("$1 = 0"), "{said}");
    // The configuration can forbid what a client asks for.
    let refused = client.set("x", "Coredump", "often").await.unwrap_err().to_string();
    assert!(refused.contains("\"often\" is not off, fault or always"), "{refused}");
}

#[tokio::test]
async fn a_core_that_has_no_room_is_not_kept() {
    let daemon = daemon("Coredump = fault\nCorePerClient = 1\nCoreTotal = 0\n");
    let client = daemon.boot("x", &demo()).await;
    assert_eq!(crash(&daemon, &client, "x").await.core, None);
    assert!(!daemon.path("cores").exists());
    let hoard = Daemon::path(&daemon, "micad.conf");
    let text = fs::read_to_string(&hoard).unwrap().replace("CoreTotal = 0", "CoreTotal = 9");
    fs::write(&hoard, text).unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap(),
        rustix::process::Signal::HUP,
    )
    .unwrap();
    crate::harness::eventually("the configuration is read", || daemon.log().contains("CoreTotal")).await;
    client.start("x").await.unwrap();
    let mut console = daemon.console("x");
    console.read_to("micrun> ");
    console.write(b"hoard 4\r");
    console.read_to("touched 4 MiB\r\nmicrun> ");
    console.write(b"crash\r");
    assert_eq!(client.wait("x").await.unwrap().core, None);
    let log = daemon.log();
    assert!(log.contains("x: no core was written: it is larger than CoreTotal and CorePerClient"), "{log}");
    assert_eq!(cores_of(&daemon, "x").len(), 0);
}

#[tokio::test]
async fn mica_lists_copies_and_removes_cores_of_a_client_that_is_gone() {
    let daemon = daemon("Coredump = fault\n");
    let client = daemon.boot("x", &demo()).await;
    let core = crash(&daemon, &client, "x").await.core.unwrap();
    client.remove("x").await.unwrap();
    let said = |arguments: &[&str]| {
        let output = mica(&daemon, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = said(&["core", "x"]);
    assert!(list.contains("139 fault") && list.contains(&core.display().to_string()), "{list}");
    let copy = daemon.path("copy");
    said(&["core", "x", "--output", copy.to_str().unwrap()]);
    assert!(fs::read(&copy).unwrap() == fs::read(&core).unwrap());
    assert!(copy.metadata().unwrap().blocks() * 512 < 16 << 20);
    let why = said(&["why", "x"]);
    for words in ["139 fault", "the firmware's exception handler gave status 139", "in power_off+0x", "X00="]
    {
        assert!(why.contains(words), "not {words:?} in {why}");
    }
    said(&["core", "x", "--remove"]);
    assert!(!core.exists());
    assert!(said(&["why", "x"]).contains("core      ") && said(&["why", "x"]).contains("not there any more"));
    let none = mica(&daemon, &["core", "x", "--output", copy.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no core of x"), "{none:?}");
    let unknown = mica(&daemon, &["why", "nobody"]);
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("no end of a run of \"nobody\""),
        "{unknown:?}"
    );
}

/// QEMU writes the registers of a Cortex-M that it gives up into its log.
#[tokio::test]
async fn a_processor_that_was_given_up_has_registers() {
    let dir = tempfile::tempdir().unwrap();
    let code =
        [&0x2040_0000_u32.to_le_bytes()[..], &0x41_u32.to_le_bytes(), &[0; 56], &[0x00, 0xde]].concat();
    let tiny = tiny_elf::Tiny { machine: 40, base: 0, entry: 0x41, code: &code };
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::write_tiny(dir.path(), &tiny)).await;
    client.wait("x").await.unwrap();
    let scene = latest(&client, "x").await.scene.unwrap();
    assert!(scene.registers.contains("R15="), "{scene:?}");
}

/// A stop from outside asks for nothing.
#[tokio::test]
async fn an_exit_has_a_scene_and_a_stop_has_none() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    client.wait("x").await.unwrap();
    assert!(latest(&client, "x").await.scene.is_some());
    let client = daemon.boot("y", &tiny_elf::echo(daemon.dir())).await;
    client.stop("y").await.unwrap();
    assert_eq!(latest(&client, "y").await.scene, None);
}
