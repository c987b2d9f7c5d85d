//! `mica top`, on a terminal and without one.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus};

use micrun_host_tests::isolation;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

use crate::harness::{Daemon, PATIENCE};
use crate::tiny_elf;
use crate::watch::said;

/// What gives the screen back.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A terminal with `mica top` on it.
struct Terminal {
    master: File,
    /// Held, so that its settings can be read afterwards.
    slave: File,
    child: Child,
    shown: String,
}

impl Terminal {
    fn start(daemon: &Daemon, arguments: &[&str]) -> Self {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let slave = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name).unwrap();
        resize(&slave, 100, 30);
        // The terminal is to be the program's own: that is how Ctrl-C becomes a signal. setsid becomes the program.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(isolation::binary("mica"));
        command
            .arg("--runtime-dir")
            .arg(daemon.run_dir())
            .arg("top")
            .args(["--delay", "0.1"])
            .args(arguments);
        let end = || slave.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { master: master.into(), slave, child, shown: String::new() }
    }

    /// Reads until what has been shown since the last call is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        while !wanted(&self.shown) {
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let n = poll(&mut ready, Some(&Timespec::try_from(PATIENCE).unwrap())).unwrap();
            assert!(n > 0, "not shown: {what}: {:?}", self.shown);
            let mut bytes = [0; 4096];
            match self.master.read(&mut bytes) {
                Ok(n) => self.shown.push_str(&String::from_utf8_lossy(&bytes[..n])),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => panic!("{what}: {e}"),
            }
        }
        self.shown.clear();
    }

    fn until_text(&mut self, text: &str) {
        self.until(text, |shown| shown.contains(text));
    }

    fn local_modes(&self) -> LocalModes {
        tcgetattr(&self.slave).unwrap().local_modes
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// Nothing may outlive a test, not even one that failed.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(terminal: &File, columns: u16, rows: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

#[tokio::test]
async fn on_a_terminal_it_is_drawn_in_place_and_gives_the_terminal_back() {
    let daemon = Daemon::start();
    daemon.boot("motor", &tiny_elf::spins(daemon.dir())).await;
    for end in ["q", "\x03", "TERM"] {
        let mut terminal = Terminal::start(&daemon, &[]);
        let before = LocalModes::ICANON | LocalModes::ECHO;
        terminal.until_text("\x1b[?1049h");
        terminal.until_text("motor");
        assert!(!terminal.local_modes().intersects(before));
        // The next look is drawn over it.
        terminal.until("a further look", |shown| {
            shown.matches("\x1b[H").count() > 1 && shown.contains("Running")
        });
        match end {
            "TERM" => {
                rustix::process::kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
                assert!(terminal.wait().success());
            }
            key => {
                terminal.master.write_all(key.as_bytes()).unwrap();
                assert!(terminal.wait().success(), "{key:?}");
            }
        }
        terminal.until_text(LEAVE);
        assert!(terminal.local_modes().contains(before), "{end:?}");
    }
}

#[tokio::test]
async fn a_small_terminal_shows_what_fits() {
    let daemon = Daemon::start();
    for number in 0..5 {
        daemon.create(&format!("client-{number}"), &tiny_elf::spins(daemon.dir())).await;
    }
    let mut terminal = Terminal::start(&daemon, &[]);
    terminal.until_text("client-4");
    resize(&terminal.slave, 12, 4);
    terminal.until("a small picture", |shown| {
        // The last whole picture: what was drawn for the larger terminal may come first.
        let whole = shown.rsplit_once("\x1b[J").map_or("", |(whole, _)| whole);
        let picture = whole.rsplit_once("\x1b[H").map_or("", |(_, picture)| picture);
        // The terminal adds carriage returns of its own.
        let lines: Vec<_> =
            picture.lines().map(|line| line.replace("\x1b[K", "").replace('\r', "")).collect();
        lines.len() == 4
            && lines.iter().all(|line| line.chars().count() <= 12)
            && lines[3].starts_with("client-0")
    });
    terminal.master.write_all(b"q").unwrap();
    assert!(terminal.wait().success());
}

#[tokio::test]
async fn it_goes_on_while_the_daemon_is_away() {
    let mut daemon = Daemon::start();
    daemon.boot("motor", &tiny_elf::spins(daemon.dir())).await;
    let mut terminal = Terminal::start(&daemon, &[]);
    terminal.until_text("motor");
    daemon.end(Signal::KILL);
    terminal.until_text("the mica daemon is not running");
    daemon.launch();
    terminal.until_text("motor");
    terminal.master.write_all(b"q").unwrap();
    assert!(terminal.wait().success());
}

#[tokio::test]
async fn without_a_terminal_looks_stand_below_each_other() {
    let daemon = Daemon::start();
    daemon.boot("busy", &tiny_elf::spins(daemon.dir())).await;
    let client = daemon.boot("still", &tiny_elf::spins(daemon.dir())).await;
    client.pause("still").await.unwrap();
    daemon.create("idle", &tiny_elf::spins(daemon.dir())).await;
    for arguments in [&["top", "-n", "2", "-d", "0.2"][..], &["top", "--batch", "-n", "2", "-d", "0.2"]] {
        let text = said(&daemon, arguments);
        assert!(!text.contains('\x1b'), "{text:?}");
        let looks: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(looks.len(), 2, "{text}");
        for look in looks {
            let words: Vec<Vec<&str>> = look.lines().map(|line| line.split_whitespace().collect()).collect();
            assert_eq!(words[0][1..], ["3", "clients,", "1", "running"], "{text}");
            assert_eq!(words[1][..6], ["NAME", "STATE", "UPTIME", "CPU", "%", "MEMORY"], "{text}");
            assert_eq!(words[1][6..], ["CONSOLE", "CONSOLE/S", "LOST", "STARTS", "EXIT", "SILENT"], "{text}");
            // What has no number comes last; of the others, each look has its own order.
            assert_eq!(words[4][..2], ["idle", "Offline"], "{text}");
        }
    }
    let busy = |look: &Value| {
        let clients = look["clients"].as_array().unwrap();
        let percents: Vec<_> = clients.iter().map(|client| client["cpu_percent"].as_f64()).collect();
        assert!(percents.is_sorted_by(|a, b| a >= b), "{look}");
        assert_eq!((percents.len(), percents[2], &clients[2]["name"]), (3, None, &"idle".into()), "{look}");
        assert!(look["at"].is_string(), "{look}");
        clients.iter().find(|client| client["name"] == "busy").unwrap()["cpu_percent"].as_f64().unwrap()
    };
    // A machine that stands still has nobody busy.
    loop {
        let text = said(&daemon, &["top", "--json", "-n", "2", "-d", "0.2"]);
        let looks: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(looks.len(), 2);
        if looks.iter().map(&busy).fold(0.0, f64::max) > 1.0 {
            break;
        }
    }
    let wrong = crate::harness::mica(&daemon, &["top", "-n", "0"]);
    assert_eq!(wrong.status.code(), Some(2));
}
