//! What is known of firmware on a core that shows no sign of life.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use libmica::CreateMessage;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::board::Board;
use crate::kernel::Behaviour;

#[tokio::test]
async fn firmware_that_has_announced_nothing() {
    let board = Board::spare_core("yes", Behaviour::default());
    board.set_device(0, "core_state", "on");
    let client = board.boot("x", "").await;
    let detail = client.diagnose("x", true).await.unwrap().detail;
    let expected =
        "remoteproc0 (mica-cpu3) is running and its core is on; it has announced no rpmsg endpoint";
    assert_eq!(detail, expected);
    assert_eq!(client.stats("x").await.unwrap().silent.unwrap().detail, expected);
    assert_eq!(board.daemon.log().matches("shows no sign of life").count(), 1, "{}", board.daemon.log());
}

/// The monitor holds the core while its registers are read, and only if it does not hold it already.
#[tokio::test]
async fn where_the_firmware_is() {
    let board = Board::spare_core("yes", Behaviour::default());
    let device = board.remoteproc(0).dir.join("device");
    fs::write(device.join("registers"), "x30 0000\npc 000000007a001094\ncpsr 00000000600003c5\n").unwrap();
    let memory = fs::File::create(device.join("memory")).unwrap();
    let client = board.boot("x", "").await;
    let pauses = Writes::to(&device.join("paused"));
    let seen = async |expected: &str| {
        let detail = client.diagnose("x", false).await.unwrap().detail;
        let clause = format!(
            "{expected} 0x7a001094, in the firmware, whose ELF names no function there (EL1h, interrupts masked);"
        );
        assert!(detail.contains(&clause), "{detail}");
    };
    seen("; its processor is at").await;
    memory.write_all_at(&0xd503_207f_u32.to_le_bytes(), 0x7a00_1090).unwrap();
    seen("; its processor waits for an interrupt at").await;
    assert_eq!(pauses.count(), 4);
    assert_eq!(fs::read_to_string(device.join("paused")).unwrap(), "0");
    fs::write(device.join("paused"), "1").unwrap();
    pauses.count();
    seen("; its processor waits for an interrupt at").await;
    assert_eq!(pauses.count(), 0, "it was paused before");
    board.set_device(0, "monitor", "no");
    let detail = client.diagnose("x", false).await.unwrap().detail;
    assert!(!detail.contains("processor"), "{detail}");
}

/// How often a file was written and closed.
struct Writes(OwnedFd);

impl Writes {
    fn to(path: &Path) -> Self {
        let watch = inotify::init(CreateFlags::NONBLOCK).unwrap();
        // What is written in between keeps two that close it apart.
        inotify::add_watch(&watch, path, WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE).unwrap();
        Self(watch)
    }

    /// Since the last call.
    fn count(&self) -> usize {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut next = || events.next().ok().map(|event| event.events());
        std::iter::from_fn(&mut next).filter(|events| events.contains(ReadFlags::CLOSE_WRITE)).count()
    }
}

#[tokio::test]
async fn endpoints_that_are_no_console_interrupts_and_trace() {
    let endpoints = vec![("rpmsg-client-sample", Vec::new())];
    let board = Board::stm32(Behaviour { endpoints, ..Behaviour::default() });
    let client = board.boot("x", "").await;
    let debug = board.path("sys/kernel/debug/remoteproc/remoteproc0");
    fs::create_dir_all(&debug).unwrap();
    fs::write(debug.join("trace0"), b"boot\nwaiting for \x1b[1mLinux\n\0\0\0").unwrap();
    fs::create_dir(board.path("proc")).unwrap();
    let table = "           CPU0       CPU1\n 30:          9          9     GICv3  30 Level     other\n \
                 64:          5          2     GICv3 164 Edge      4c000000.rproc-0\n";
    fs::write(board.path("proc/interrupts"), table).unwrap();
    assert_eq!(
        client.diagnose("x", false).await.unwrap().detail,
        "remoteproc0 (m4) is running; it has announced rpmsg-client-sample (no terminal); it has interrupted Linux 7 \
         times; its trace buffer ends with \"waiting for \\u{1b}[1mLinux\""
    );
}

#[tokio::test]
async fn a_debugger_is_refused_with_what_is_missing() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("x", "").await;
    let error = client.gdb("x").await.unwrap_err().to_string();
    assert!(error.contains("put `Debug = yes` into [Mica] of its client.conf"), "{error}");
    client.remove("x").await.unwrap();
    client.create(&CreateMessage { debug: true, ..board.message("x", "") }).await.unwrap();
    let error = client.gdb("x").await.unwrap_err().to_string();
    assert!(error.contains("cannot debug x: it is Offline"), "{error}");
    client.start("x").await.unwrap();
    let error = client.gdb("x").await.unwrap_err().to_string();
    assert!(error.contains("the driver of its core does not show") && error.contains("JTAG"), "{error}");
}
