//! Firmware that is changed while it runs.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use libmica::ext::ExitReason;
use libmica::{Client, ClientState, Error, Launch};
use micrun_firmware::memory_file;
use micrun_host_tests::firmware::{hello, patched_demo};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::Signal;

use crate::harness::{Console, Daemon, demo, mica};

/// The two demos' answers to `uname`, and to a status that neither takes.
const MESSAGES: [&str; 2] = ["micrun-demo", "patched-one"];
const LIMITS: [&str; 2] = ["give a number from 0 to 255", "give a number from 0 to  99"];

/// Types a line and reads up to the next prompt.
fn run(console: &mut Console, line: &str) -> String {
    console.write(format!("{line}\r").as_bytes());
    console.read_to("micrun> ")
}

fn ticks(text: &str) -> u64 {
    let (_, rest) = text.split_once(" s, ").unwrap_or_else(|| panic!("{text}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// A demo that has executed all that a patch changes: QEMU has translated it by then.
async fn boot(daemon: &Daemon) -> (Client, Console) {
    let client = daemon.boot("one", &demo()).await;
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    assert_is(&mut console, 0);
    (client, console)
}

/// Whether the firmware is the one that was started, or the patched one.
fn assert_is(console: &mut Console, which: usize) {
    let text = run(console, "uname");
    assert!(text.contains(MESSAGES[which]), "{text}");
    let text = run(console, "exit none");
    assert!(text.contains(LIMITS[which]), "{text}");
}

fn patch(daemon: &Daemon, firmware: &str) -> Result<String, String> {
    let output = mica(daemon, &["patch", "one", firmware]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// A copy of the patched demo in which `change` was made.
fn altered(daemon: &Daemon, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = fs::read(patched_demo()).unwrap();
    change(&mut bytes);
    let path = daemon.path("altered.elf");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_and_a_limit_change_while_the_firmware_runs_on() {
    let mut daemon = Daemon::start();
    let (client, mut console) = boot(&daemon).await;
    let before = ticks(&run(&mut console, "uptime"));
    let (base, patched) = (demo(), patched_demo());
    let (base, patched) = (base.to_str().unwrap(), patched.to_str().unwrap());

    let said = patch(&daemon, patched).unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    println!("{said}");
    assert!(said.starts_with("patched to sha256:") && said.contains(" us"), "{said}");
    assert_is(&mut console, 1);
    // The limit is an instruction, and holds: the firmware refuses what it took before.
    assert!(run(&mut console, "exit 200").contains(LIMITS[1]));
    assert!(ticks(&run(&mut console, "uptime")) >= before);
    let digest = client.stats("one").await.unwrap().patched.unwrap();
    assert!(said.contains(&digest), "{said} {digest}");
    assert_eq!(client.list().await.unwrap().clients[0].patched.as_ref(), Some(&digest));

    // A second time there is nothing to do.
    assert!(patch(&daemon, patched).unwrap().contains(": 0 bytes in 0 ranges"));

    // The next daemon knows it, and can go back to what was started, and forth.
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!(client.stats("one").await.unwrap().patched, Some(digest.clone()));
    for args in [&["list"][..], &["list", "--json"], &["stats", "one"], &["status", "one", "--json"]] {
        let shown = String::from_utf8(mica(&daemon, args).stdout).unwrap();
        assert!(shown.contains(&digest), "{args:?}: {shown}");
    }
    // Upstream's columns have no place for it.
    let status = mica(&daemon, &["status", "one"]);
    assert!(String::from_utf8(status.stderr).unwrap().contains(&format!("one was patched to {digest}")));
    patch(&daemon, base).unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert_is(&mut console, 0);
    patch(&daemon, patched).unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert_is(&mut console, 1);

    // The exit report knows it; the next run is that of the client's file.
    console.write(b"exit 7\r");
    let report = client.wait("one").await.unwrap();
    assert_eq!(report.status, 7);
    assert!(report.detail.contains(&digest), "{}", report.detail);
    assert_eq!(client.stats("one").await.unwrap().patched, None);
    client.start("one").await.unwrap();
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    assert_is(&mut console, 0);
}

#[tokio::test]
async fn what_cannot_be_patched_is_refused_and_runs_on_unchanged() {
    let daemon = Daemon::start();
    let (client, mut console) = boot(&daemon).await;
    let not_patched = "the firmware was not patched and runs as before: ";
    let refused = |firmware: &str, reason: &str| {
        let said = patch(&daemon, firmware).unwrap_err();
        assert!(said.contains(not_patched) && said.contains(reason), "{said}");
    };
    // Another firmware.
    refused(hello().to_str().unwrap(), "the firmwares do not load the same segments");
    refused("/etc/os-release", "not an ELF");
    // For another processor: e_machine is RISC-V's.
    refused(
        &altered(&daemon, |elf| elf[18..20].copy_from_slice(&243_u16.to_le_bytes())),
        "another processor",
    );
    // A descriptor whose bytes can change after they were looked at.
    let open = File::open(patched_demo()).unwrap();
    let said = client.patch("one", open.as_fd()).await.unwrap_err().to_string();
    assert!(said.contains("send a sealed memory file"), "{said}");
    // The firmware has written to its data, which therefore is not the base's any more.
    let data = altered(&daemon, |elf| elf[0x9000..0x9048].iter_mut().for_each(|byte| *byte ^= 0xff));
    refused(&data, "are not those of the firmware that was started");
    assert_is(&mut console, 0);
    assert_eq!(client.stats("one").await.unwrap().patched, None);
    // After all of these, a good one.
    patch(&daemon, patched_demo().to_str().unwrap()).unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert_is(&mut console, 1);
}

#[tokio::test]
async fn the_code_under_the_program_counter_is_not_changed() {
    let daemon = Daemon::start();
    let (_, mut console) = boot(&daemon).await;
    console.write(b"spin\r");
    console.read_to("spinning with interrupts masked");
    // All of the code: the loop is a part of it.
    let code = altered(&daemon, |elf| elf[0x1000..0x868c].iter_mut().for_each(|byte| *byte ^= 0xff));
    let said = patch(&daemon, &code).unwrap_err();
    assert!(said.contains("is executing at 0x"), "{said}");
}

#[tokio::test]
async fn only_firmware_that_runs_is_patched() {
    let daemon = Daemon::start();
    let firmware = patched_demo();
    daemon.create("one", &demo()).await;
    let never_started = patch(&daemon, firmware.to_str().unwrap()).unwrap_err();
    assert!(never_started.contains("cannot patch one: it is Offline"), "{never_started}");
    daemon.client().remove("one").await.unwrap();

    let (client, mut console) = boot(&daemon).await;
    client.pause("one").await.unwrap();
    let said = patch(&daemon, firmware.to_str().unwrap()).unwrap_err();
    assert!(said.contains("cannot patch one: it is Suspended"), "{said}");
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Suspended);
    client.resume("one").await.unwrap();
    assert_is(&mut console, 0);
    client.stop("one").await.unwrap();
    let said = patch(&daemon, firmware.to_str().unwrap()).unwrap_err();
    assert!(said.contains("cannot patch one: it is Offline"), "{said}");
    assert!(daemon.ask("one.socket", b"patch").ends_with("MICA-FAILED"));
    assert!(!matches!(client.start("one").await, Err(Error::Unsupported { .. })));
}

/// Puts a function elsewhere in the symbol table of a little-endian ELF64, as if it had moved: whoever sleeps in it would
/// wake up in something else.
fn move_a_function(elf: &mut [u8]) {
    const SYMTAB: u64 = 2;
    const FUNC: u64 = 2;
    fn number(elf: &[u8], at: usize, size: usize) -> u64 {
        elf[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
    let field = |elf: &[u8], at| usize::try_from(number(elf, at, 8)).unwrap();
    let (sections, count) = (field(elf, 0x28), usize::try_from(number(elf, 0x3c, 2)).unwrap());
    let symbols = (0..count).map(|index| sections + index * 64);
    let symbols = symbols.into_iter().find(|at| number(elf, at + 4, 4) == SYMTAB).unwrap();
    let (start, size) = (field(elf, symbols + 0x18), field(elf, symbols + 0x20));
    let is_function = |at: &usize| number(elf, at + 4, 1) & 0xf == FUNC && number(elf, *at, 4) != 0;
    let function = (start..start + size).step_by(24).find(is_function).unwrap();
    let moved = number(elf, function + 8, 8) + 4;
    elf[function + 8..function + 16].copy_from_slice(&moved.to_le_bytes());
}

#[tokio::test]
async fn a_function_that_moves_is_refused_and_nothing_is_touched() {
    let daemon = Daemon::start();
    let (client, mut console) = boot(&daemon).await;
    let before = ticks(&run(&mut console, "uptime"));
    let said = patch(&daemon, &altered(&daemon, |elf| move_a_function(elf))).unwrap_err();
    assert!(said.contains("the firmware was not patched and runs as before: the function "), "{said}");
    assert!(said.contains(" moves from 0x"), "{said}");
    assert_is(&mut console, 0);
    assert!(ticks(&run(&mut console, "uptime")) >= before);
    assert_eq!(client.stats("one").await.unwrap().patched, None);
    // The same bytes with the functions where they are.
    patch(&daemon, patched_demo().to_str().unwrap()).unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert_is(&mut console, 1);
}

/// A sealed memory file with this text.
fn sealed(text: &str) -> OwnedFd {
    let mut file = memory_file::create().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    memory_file::seal(&file).unwrap();
    file.into()
}

/// The state has the patched memory, and whoever restores it says so: the daemon that restores it sees no image.
#[tokio::test]
async fn what_goes_on_from_a_patched_state_is_known_as_patched() {
    let mut daemon = Daemon::start();
    let (client, mut console) = boot(&daemon).await;
    patch(&daemon, patched_demo().to_str().unwrap()).unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert_is(&mut console, 1);
    let digest = client.stats("one").await.unwrap().patched.unwrap();
    let state = File::options().read(true).write(true).create_new(true).open(daemon.path("state")).unwrap();
    client.checkpoint("one", state.as_fd()).await.unwrap();
    client.stop("one").await.unwrap();
    let launch = |patched: OwnedFd| {
        let mut snapshot = state.try_clone().unwrap();
        snapshot.rewind().unwrap();
        Launch { snapshot: Some(snapshot.into()), patched: Some(patched), ..Launch::default() }
    };
    for wrong in [sealed("no digest"), File::open("/etc/os-release").unwrap().into()] {
        let refused = client.launch("one", &launch(wrong)).await.unwrap_err().to_string();
        assert!(refused.contains("the digest of what the state was patched to cannot be used"), "{refused}");
    }
    client.launch("one", &launch(sealed(&digest))).await.unwrap();
    assert_eq!(client.stats("one").await.unwrap().patched, Some(digest.clone()));
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!(client.list().await.unwrap().clients[0].patched, Some(digest.clone()));
    client.stop("one").await.unwrap();
    assert!(client.wait("one").await.unwrap().detail.contains(&digest));
    client.start("one").await.unwrap();
    assert_eq!(client.stats("one").await.unwrap().patched, None);
}

/// Has the client patched, and kills the daemon as soon as it has marked that. Whether the mark is left: the daemon may
/// have been faster.
fn patch_and_kill(daemon: &mut Daemon, firmware: &str) -> bool {
    let dir = daemon.run_dir().join("clients/one");
    let notify = inotify::init(CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&notify, &dir, WatchFlags::CREATE).unwrap();
    std::thread::scope(|scope| {
        let asked = {
            let daemon = &*daemon;
            // Its answer is the daemon's end.
            scope.spawn(move || drop(mica(daemon, &["patch", "one", firmware])))
        };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&notify, &mut buffer);
        while events.next().unwrap().file_name() != Some(c"patching") {}
        daemon.kill();
        asked.join().unwrap();
    });
    daemon.reap();
    dir.join("patching").exists()
}

#[tokio::test]
async fn firmware_whose_patch_was_cut_off_never_goes_on() {
    let mut daemon = Daemon::start();
    let (client, console) = boot(&daemon).await;
    drop(console);
    let (base, patched) = (demo(), patched_demo());
    let mut next = [&patched, &base].into_iter().cycle();
    while !patch_and_kill(&mut daemon, next.next().unwrap().to_str().unwrap()) {
        daemon.launch();
    }
    daemon.launch();
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Offline);
    let report = client.wait("one").await.unwrap();
    assert_eq!((report.status, report.reason), (1, ExitReason::Failed), "{}", report.detail);
    assert!(report.detail.contains("micad ended while it patched the firmware"), "{}", report.detail);
    // It is written down, and the client is as after any other end.
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!(client.wait("one").await.unwrap(), report);
    client.start("one").await.unwrap();
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    assert_is(&mut console, 0);
}
