//! Descriptors that the service manager keeps: those are what the next daemon goes on with.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use libmica::ClientState;
use rustix::io::FdFlags;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::Signal;

use crate::harness::{Daemon, PATIENCE, eventually, is_alive};
use crate::tiny_elf;

/// Both ends of the pty on which QEMU writes.
const OF_QEMU: usize = 2;
/// The broker's socket, and the pty that a status tells.
const OF_A_BROKER: usize = 2;
/// Numbers from here on are in nobody's way.
const FAR: i32 = 100;
/// Gives the daemon what was kept, from 3 on, as systemd does (`sd_listen_fds(3)`).
const PASS: &str = "n=3; for fd in $KEPT; do eval \"exec $n<&$fd $fd<&-\"; n=$((n + 1)); done; \
                    export LISTEN_PID=$$; exec \"$@\"";

/// What systemd is to the daemon.
struct Manager {
    socket: UnixDatagram,
    kept: Vec<(String, OwnedFd)>,
}

impl Manager {
    fn new(daemon: &Daemon) -> Self {
        let socket = UnixDatagram::bind(daemon.path("manager")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, kept: Vec::new() }
    }

    /// Starts a daemon with what is kept for it, and without the right to look into other processes.
    fn start(&mut self, daemon: &mut Daemon) {
        let plain = daemon.command();
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-sys_ptrace", "bash", "-c", PASS, "bash"]).arg(plain.get_program());
        command.args(plain.get_args()).env("NOTIFY_SOCKET", daemon.path("manager"));
        let names: Vec<&str> = self.kept.iter().map(|(name, _)| name.as_str()).collect();
        let far = |(_, fd): &(String, OwnedFd)| {
            let fd = rustix::io::fcntl_dupfd_cloexec(fd, FAR).unwrap();
            rustix::io::fcntl_setfd(&fd, FdFlags::empty()).unwrap();
            fd
        };
        let fds: Vec<OwnedFd> = self.kept.iter().map(far).collect();
        let numbers: Vec<String> = fds.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        command.env("KEPT", numbers.join(" ")).env("LISTEN_FDS", fds.len().to_string());
        command.env("LISTEN_FDNAMES", names.join(":"));
        daemon.launch_by(command);
        while self.hear() != "READY=1" {}
    }

    /// Does what the next message says; gives its first line.
    fn hear(&mut self) -> String {
        let mut text = [0; 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [IoSliceMut::new(&mut text)];
        let received =
            rustix::net::recvmsg(&self.socket, &mut buffer, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        let fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fds: Vec<OwnedFd> = fds.flatten().collect();
        let text = std::str::from_utf8(&text[..received.bytes]).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).map(str::to_owned);
        let first = text.lines().next().unwrap().to_owned();
        match first.as_str() {
            "FDSTORE=1" => self.kept.extend(fds.into_iter().map(|fd| (name.clone().unwrap(), fd))),
            "FDSTOREREMOVE=1" => self.kept.retain(|(kept, _)| Some(kept) != name.as_ref()),
            _ => {}
        }
        first
    }
}

#[tokio::test]
async fn consoles_go_on_without_the_right_to_take_them() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut daemon = Daemon::prepare();
    let mut manager = Manager::new(&daemon);
    manager.start(&mut daemon);
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    while manager.kept.len() < OF_QEMU + OF_A_BROKER {
        manager.hear();
    }
    let pid = client.stats("echo").await.unwrap().pid;
    let mut console = daemon.console("echo");
    console.read_to("H");
    for signal in [Signal::KILL, Signal::TERM] {
        daemon.end(signal);
        manager.start(&mut daemon);
        let stats = client.stats("echo").await.unwrap();
        assert_eq!((stats.state, stats.pid), (ClientState::Running, pid));
        console.write(b"again");
        assert_eq!(console.read_to("again"), "again");
    }
    // What has ended is kept no longer. The broker stays, for those who have not read all.
    client.stop("echo").await.unwrap();
    while manager.kept.len() > OF_A_BROKER {
        manager.hear();
    }
    // With nothing kept, the right is missing.
    client.start("echo").await.unwrap();
    let pid = client.stats("echo").await.unwrap().pid;
    daemon.end(Signal::KILL);
    manager.kept.clear();
    manager.start(&mut daemon);
    // Without a console, it would be out of control.
    eventually("it is ended", || !is_alive(pid)).await;
}

/// It is of a process that is gone.
#[tokio::test]
async fn what_nobody_asks_for_is_kept_no_longer() {
    let mut daemon = Daemon::prepare();
    let mut manager = Manager::new(&daemon);
    manager.kept.push(("1-1-7".to_owned(), UnixDatagram::unbound().unwrap().into()));
    manager.start(&mut daemon);
    while !manager.kept.is_empty() {
        manager.hear();
    }
}
