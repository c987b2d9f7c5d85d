//! A daemon in a directory of its own, and what tests do with it.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libmica::attach::{Attach, From, Mode};
use libmica::client::Attached;
use libmica::{Client, CreateMessage};
pub(crate) use micrun_host_tests::firmware::demo;
use micrun_host_tests::isolation;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

/// Longer than anything here takes, on a loaded machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

pub(crate) struct Daemon {
    dir: tempfile::TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    /// A daemon that is ready.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A ready daemon with further arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::Builder::new().prefix("micad").tempdir().unwrap(), arguments)
    }

    /// A ready daemon with this section of its own in the configuration.
    pub(crate) fn configured(section: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
        let file = dir.path().join("micad.conf");
        fs::write(&file, format!("[Micad]\n{section}\n")).unwrap();
        let path = file.to_str().unwrap().to_owned();
        Self::start_in(dir, &["--config", &path])
    }

    /// A ready daemon that keeps 16 KiB of each console: what is not read holds firmware back soon, if it is held.
    pub(crate) fn forgetful() -> Self {
        Self::configured("ConsoleRing = 16")
    }

    /// A ready daemon in a directory that was prepared.
    pub(crate) fn start_in(dir: tempfile::TempDir, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut daemon = Self { dir, arguments, child: None };
        daemon.launch();
        daemon
    }

    /// A daemon that is yet to be started.
    pub(crate) fn prepare() -> Self {
        let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
        Self { dir, arguments: Vec::new(), child: None }
    }

    /// Starts it by a command of the test's own.
    pub(crate) fn launch_by(&mut self, mut command: Command) {
        let log = OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        self.child = Some(command.stderr(log).spawn().unwrap());
    }

    /// The command that starts another daemon like this one.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(isolation::binary("micad"));
        command.arg("--runtime-dir").arg(self.run_dir()).arg("--pid-file").arg(self.path("micad.pid"));
        command.arg("--conf-dir").arg(self.path("etc")).args(&self.arguments);
        // Another QEMU than the installed one, unless the test is about that.
        if let Some(path) = env::var_os("MICRUN_QEMU_PATH")
            && !self.arguments.iter().any(|it| it == "--qemu-path")
        {
            command.arg("--qemu-path").arg(path);
        }
        command
    }

    /// Starts the daemon and waits until it says that it is ready, as systemd does.
    pub(crate) fn launch(&mut self) {
        let command = self.command();
        self.launch_until_ready(command);
    }

    /// The same by a command of the test's own.
    pub(crate) fn launch_until_ready(&mut self, mut command: Command) {
        let socket = self.path("notify");
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", &socket);
        self.launch_by(command);
        let mut message = [0; 256];
        // What is to be kept for the next daemon may come before.
        while !message.starts_with(b"READY=1") {
            notify.recv(&mut message).unwrap_or_else(|e| panic!("not ready: {e}: {}", self.log()));
        }
    }

    /// Ends the daemon by `signal` and gives how it ended.
    pub(crate) fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap()
    }

    /// Sends it SIGKILL; [`Self::reap`] is to follow.
    pub(crate) fn kill(&self) {
        rustix::process::kill_process(Pid::from_child(self.child.as_ref().unwrap()), Signal::KILL).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn reap(&mut self) {
        self.child.take().unwrap().wait().unwrap();
    }

    /// Makes it as if this daemon had been killed between starting the firmware of `client` and writing that down.
    /// `console` is the pointer to the process ID of the console's process, which has died with its daemon then.
    pub(crate) fn kill_before_it_writes(&mut self, client: &str, console: &str) {
        self.end(Signal::KILL);
        let file = self.run_dir().join("clients").join(client).join("state.json");
        let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let pid = state.pointer(console).and_then(serde_json::Value::as_i64).unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        state["run"] = serde_json::Value::Null;
        fs::write(&file, state.to_string()).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Its processes, whichever of its threads has started them.
    pub(crate) fn children(&self) -> Vec<u32> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        let lists =
            threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
        lists.collect::<String>().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where firmware and other files of the test go.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.run_dir())
    }

    /// Creates client `name` with this firmware.
    pub(crate) async fn create(&self, name: &str, firmware: &Path) -> Client {
        let client = self.client();
        client.create(&message(name, firmware)).await.unwrap();
        client
    }

    /// Creates and starts it.
    pub(crate) async fn boot(&self, name: &str, firmware: &Path) -> Client {
        let client = self.create(name, firmware).await;
        client.start(name).await.unwrap_or_else(|e| panic!("{e}: {}", self.log()));
        client
    }

    /// The console of client `name`.
    pub(crate) fn console(&self, name: &str) -> Console {
        Console::open(&self.run_dir().join(libmica::names::tty_name(name, 0)))
    }

    /// A connection to a socket of the daemon.
    pub(crate) fn connect(&self, socket: &str) -> UnixStream {
        let stream = UnixStream::connect(self.run_dir().join(socket)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The reply to `request`, sent as it is.
    pub(crate) fn ask(&self, socket: &str, request: &[u8]) -> String {
        let mut stream = self.connect(socket);
        stream.write_all(request).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }
}

/// Nothing may outlive a test, not even one that failed.
impl Drop for Daemon {
    fn drop(&mut self) {
        // First, so that it starts no more of them.
        if self.child.is_some() {
            self.end(Signal::TERM);
        }
        let mut pids = Vec::new();
        for entry in fs::read_dir(self.run_dir().join("clients")).into_iter().flatten().flatten() {
            let state = fs::read(entry.path().join("state.json")).unwrap_or_default();
            let state: serde_json::Value = serde_json::from_slice(&state).unwrap_or_default();
            pids.extend(state.pointer("/run/process/pid").and_then(serde_json::Value::as_i64));
            for (streams, broker) in [("/run/ports", "/broker/pid"), ("/run/lines", "/carrier/pid")] {
                let streams = state.pointer(streams).and_then(serde_json::Value::as_array);
                pids.extend(streams.into_iter().flatten().filter_map(|it| it.pointer(broker)?.as_i64()));
            }
        }
        for pid in pids.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // Its number may be another's by now.
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.contains("qemu-system") || line.contains("\0--relay\0") {
                // It may just have ended.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The message that creates a client of the qemu pedestal.
pub(crate) fn message(name: &str, firmware: &Path) -> CreateMessage {
    CreateMessage {
        name: name.to_owned(),
        path: firmware.to_owned(),
        pedestal: "qemu".to_owned(),
        ..CreateMessage::default()
    }
}

/// Whether the process exists, not merely as a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The reader's end of a console.
pub(crate) struct Console(File);

impl Console {
    pub(crate) fn open(path: &Path) -> Self {
        let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap();
        Self(OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap())
    }

    /// Reads what is there now.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match self.0.read(&mut chunk) {
                Ok(0) => return bytes,
                Ok(n) => bytes.extend(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return bytes,
                Err(e) => panic!("console: {e}"),
            }
        }
    }

    /// Reads until `enough`.
    pub(crate) fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !enough(&bytes) {
            let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
            let bound = Timespec::try_from(PATIENCE).unwrap();
            let n = rustix::event::poll(&mut ready, Some(&bound)).unwrap();
            assert!(n > 0, "no more on the console after {:?}", String::from_utf8_lossy(&bytes));
            bytes.extend(self.rest());
        }
        bytes
    }

    /// Reads until `text` has come.
    pub(crate) fn read_to(&mut self, text: &str) -> String {
        let bytes = self.read_until(|b| b.windows(text.len()).any(|w| w == text.as_bytes()));
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

/// Attaches to a console so that its firmware waits for whoever reads.
pub(crate) async fn hold(client: &Client, name: &str) -> Attached {
    let attach = Attach { stream: "0".to_owned(), from: From::Start, mode: Mode::Hold };
    client.attach(name, &attach).await.unwrap()
}

/// Lets the client's flood fill its console, which is held, until QEMU, which waits for the reader then, answers no more.
/// Returns what the daemon says of that.
pub(crate) async fn until_blocked(client: &Client, name: &str) -> String {
    loop {
        match client.pause(name).await {
            Ok(()) => client.resume(name).await.unwrap(),
            Err(e) => return e.to_string(),
        }
    }
}

/// The `mica` command, for this daemon.
pub(crate) fn mica(daemon: &Daemon, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(isolation::binary("mica"));
    command.arg("--runtime-dir").arg(daemon.run_dir()).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}
