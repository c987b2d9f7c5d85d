//! A stand-in for micad whose only client prints as fast as its console takes it: no emulated UART is fast enough
//! to measure a shim by. For benchmarks; tests have the real daemon.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use libmica::ext::{ExitReason, ExitReport, PROTOCOL, Version};
use libmica::{ClientState, ClientStatus, Command, CreateMessage, Reply, Service, names};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// One client at a time, whose firmware prints zeros and exits with status 0.
struct Printer {
    amount: usize,
    master: File,
    _slave: File,
    device: PathBuf,
    ended: Mutex<bool>,
    changed: Condvar,
}

/// Serves at micad's default place until the process ends. Each client prints `amount` bytes.
pub fn serve(amount: usize) {
    let dir = Path::new(names::RUNTIME_DIR);
    fs::create_dir_all(dir).expect("/run is private and writable");
    let socket = names::create_socket(dir).expect("the path is short");
    let listener = UnixListener::bind(socket).expect("nobody else is micad here");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("connections can be accepted");
            let mut bytes = [0; libmica::create::SIZE];
            // A request is sent in one write.
            let length = stream.read(&mut bytes).expect("the shim sends a request");
            if length < bytes.len() {
                answer(&mut stream, &version());
                continue;
            }
            let message = CreateMessage::decode(&bytes).expect("the message is sound");
            create(dir, &message.name, amount);
            answer(&mut stream, "");
        }
    });
}

/// What the shim asks before it creates anything.
fn version() -> String {
    let version = Version {
        daemon: "printer".into(),
        version: "1".into(),
        protocol: PROTOCOL,
        pedestals: vec!["qemu".into()],
        extensions: vec!["wait".into()],
        policy: None,
        pools: None,
    };
    serde_json::to_string(&version).expect("a version is JSON")
}

fn create(dir: &Path, name: &str, amount: usize) {
    let OpenptyResult { master, slave } = openpty(None, None).expect("a terminal can be opened");
    let mut modes = tcgetattr(&slave).expect("a terminal has modes");
    cfmakeraw(&mut modes);
    tcsetattr(&slave, SetArg::TCSANOW, &modes).expect("a terminal can be made raw");
    let device = nix::unistd::ttyname(&slave).expect("a terminal has a name");
    let client = Arc::new(Printer {
        amount,
        master: master.into(),
        _slave: slave.into(),
        device,
        ended: Mutex::new(false),
        changed: Condvar::new(),
    });
    let socket = names::control_socket(dir, name).expect("the path is short");
    let listener = UnixListener::bind(&socket).expect("the client is new");
    let name = name.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("connections can be accepted");
            let mut bytes = [0; libmica::command::MAX_LEN];
            let length = stream.read(&mut bytes).expect("the shim sends a command");
            let command = Command::decode(&bytes[..length]).expect("the command is sound");
            let (client, name) = (Arc::clone(&client), name.clone());
            let gone = command == Command::Remove;
            thread::spawn(move || client.obey(&command, &name, &mut stream));
            if gone {
                fs::remove_file(&socket).expect("the socket is ours");
                return;
            }
        }
    });
}

impl Printer {
    fn obey(self: Arc<Self>, command: &Command, name: &str, stream: &mut UnixStream) {
        match command {
            Command::Start(_) => {
                thread::spawn(move || self.print());
                answer(stream, "");
            }
            Command::Status => {
                let tty = Service { name: "rpmsg-tty".into(), device: Some(self.device.clone()) };
                let state = ClientState::Running;
                let display_name = names::display_name(name);
                let status = ClientStatus { display_name, cpu: String::new(), state, services: vec![tty] };
                answer(stream, &status.to_string());
            }
            Command::Wait => {
                let ended = self.ended.lock().expect("no holder panics");
                drop(self.changed.wait_while(ended, |ended| !*ended).expect("no holder panics"));
                let exited_at = "2026-01-01T00:00:00Z".into();
                let report = ExitReport {
                    status: 0,
                    reason: ExitReason::Exited,
                    detail: "done".into(),
                    exited_at,
                    core: None,
                };
                answer(stream, &serde_json::to_string(&report).expect("a report is JSON"));
            }
            // It has no broker, as an older daemon has none: its console is read.
            Command::Attach(_) => reply(stream, &Reply::failed("there is no broker here")),
            _ => answer(stream, ""),
        }
    }

    fn print(&self) {
        let block = vec![0; 64 * 1024];
        let mut left = self.amount;
        while left > 0 {
            let count = left.min(block.len());
            (&self.master).write_all(&block[..count]).expect("the console takes it");
            left -= count;
        }
        *self.ended.lock().expect("no holder panics") = true;
        self.changed.notify_all();
    }
}

fn answer(stream: &mut UnixStream, text: &str) {
    reply(stream, &Reply::success(text));
}

fn reply(stream: &mut UnixStream, reply: &Reply) {
    // Who asked may be gone.
    let _ = stream.write_all(&reply.encode());
}
