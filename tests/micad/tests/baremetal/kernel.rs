//! What stands for the kernel: it loads firmware, starts and stops it, and makes its terminals.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::crashed::Refusal;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

/// How the firmware of a remoteproc behaves.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// Endpoints that it announces, with what it writes on each at once.
    pub(crate) endpoints: Vec<(&'static str, Vec<u8>)>,
    /// What it has written into its trace buffer at once, if it has one.
    pub(crate) trace: Option<String>,
    /// It does not obey `stop`.
    pub(crate) deaf: bool,
    /// Its kernel is one of those that refuse to stop what has crashed ([`Refusal`]).
    pub(crate) old_kernel: bool,
    /// It cannot be started by a recovery.
    pub(crate) unfit: bool,
}

impl Behaviour {
    /// With a console on which this is written.
    pub(crate) fn console(text: &str) -> Self {
        Self { endpoints: vec![("rpmsg-tty", text.into())], ..Self::default() }
    }
}

/// The firmware's side of a terminal.
pub(crate) struct Terminal {
    device: String,
    pub(crate) master: OwnedFd,
    /// As the driver's terminals, it lasts without a reader.
    slave: OwnedFd,
    node: PathBuf,
}

impl Terminal {
    fn is_terminal(&self) -> bool {
        self.node.file_name().unwrap().to_str().unwrap().starts_with("tty")
    }
}

/// One remoteproc, from inside.
pub(crate) struct Remoteproc {
    root: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) behaviour: Behaviour,
    /// What was loaded last.
    pub(crate) loaded: Vec<u8>,
    /// What was written to it and taken: each word for `state` and `recovery`, each name for `firmware`; and in brackets what
    /// it has loaded, in bytes.
    pub(crate) seen: Vec<String>,
    /// Whether the kernel recovers it by itself: the attribute shows that whatever was written there.
    recovery: String,
    /// How it refuses what cannot be done while it is crashed.
    refusal: Option<Refusal>,
    /// A recovery has failed: the kernel counts it as started.
    pub(crate) lost: bool,
    pub(crate) terminals: Vec<Terminal>,
    next_address: u32,
}

impl Remoteproc {
    pub(crate) fn new(root: &Path, dir: PathBuf) -> Self {
        let root = root.to_owned();
        Self {
            root,
            dir,
            behaviour: Behaviour::default(),
            loaded: Vec::new(),
            seen: Vec::new(),
            recovery: "enabled".to_owned(),
            refusal: None,
            lost: false,
            terminals: Vec::new(),
            next_address: 0x400,
        }
    }

    /// Sets an attribute, whole at once as sysfs does.
    pub(crate) fn set(&self, attribute: &str, value: &str) {
        let path = self.dir.join(attribute);
        let new = path.with_extension("new");
        fs::write(&new, format!("{value}\n")).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub(crate) fn get(&self, attribute: &str) -> String {
        fs::read_to_string(self.dir.join(attribute)).unwrap().trim_end().to_owned()
    }

    /// Somebody has written to this attribute.
    pub(crate) fn written(&mut self, attribute: &str) {
        if !["state", "firmware", "recovery"].contains(&attribute) {
            return;
        }
        let word = self.get(attribute);
        self.seen.push(word.clone());
        match (attribute, word.as_str()) {
            // As if it ran.
            ("state", "start") if self.lost => self.set("state", "offline"),
            ("state", "start") => self.start(),
            ("state", "stop") if self.behaviour.deaf => self.set("state", "running"),
            ("state", "stop") => self.end("offline"),
            ("recovery", _) => self.set_recovery(word),
            _ => {}
        }
    }

    fn set_recovery(&mut self, word: String) {
        let recovers = word != "disabled" && self.get("state") == "crashed";
        if word == "recover" {
            self.set("recovery", &self.recovery);
        } else {
            self.recovery = word;
        }
        if recovers {
            self.recover();
        }
    }

    /// Stops the firmware and starts what there is by its name (`rproc_trigger_recovery`).
    fn recover(&mut self) {
        // The attributes take everything again; the state is that of before as long as this lasts.
        self.set("firmware", &self.get("firmware"));
        self.clean_up();
        self.start();
        self.lost = self.get("state") == "offline";
        self.refusal = None;
    }

    fn start(&mut self) {
        let name = self.get("firmware");
        let path = self.root.join("lib/firmware").join(name);
        let recovers = self.get("state") == "crashed";
        let loaded = fs::read(&path).ok().filter(|_| !(recovers && self.behaviour.unfit));
        let Some(firmware) = loaded else {
            return self.set("state", "offline");
        };
        assert!(!is_open_for_writing(&path), "the kernel refuses that with ETXTBSY");
        self.seen.push(format!("({})", firmware.len()));
        self.loaded = firmware;
        if let Some(text) = self.behaviour.trace.clone() {
            fs::create_dir_all(self.trace_file().parent().unwrap()).unwrap();
            self.trace(&text);
        }
        for (name, text) in self.behaviour.endpoints.clone() {
            self.announce(name, &text);
        }
        self.set("state", "running");
    }

    /// The firmware is no more; a crash leaves its devices.
    pub(crate) fn end(&mut self, state: &str) {
        if state == "offline" {
            self.clean_up();
        }
        if state == "crashed" && self.behaviour.old_kernel {
            self.refusal = Some(Refusal::begin(&self.dir));
        } else {
            self.set("state", state);
        }
    }

    /// Takes the firmware's devices away.
    fn clean_up(&mut self) {
        while let Some(terminal) = self.terminals.pop() {
            self.withdraw(&terminal);
        }
        if self.behaviour.trace.is_some() {
            fs::remove_file(self.trace_file()).unwrap();
        }
    }

    /// The firmware ends, and the kernel notices once the last output has been read, as our driver does within
    /// 100 ms at most.
    pub(crate) fn exit(&mut self) {
        for terminal in &self.terminals {
            // poll, unlike FIONREAD, waits for what is still on its way between the two ends.
            let unread = || {
                let mut ready = [PollFd::new(&terminal.slave, PollFlags::IN)];
                rustix::event::poll(&mut ready, Some(&Timespec::default())).unwrap() > 0
            };
            while unread() {
                std::thread::yield_now();
            }
        }
        self.end("offline");
    }

    /// The firmware announces an endpoint, and writes on it before anybody can have opened it.
    pub(crate) fn announce(&mut self, name: &'static str, text: &[u8]) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        // What comes before the terminal is opened waits untouched in the driver's buffers.
        let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        rustix::io::write(&master, text).unwrap();

        let address = self.next_address;
        self.next_address += 1;
        let device = format!("{}.{name}.{address}.{address}", self.virtio().file_name().unwrap().display());
        let dir = self.virtio().join(&device);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("name"), format!("{name}\n")).unwrap();
        fs::write(dir.join("dst"), format!("{address:#x}\n")).unwrap();
        fs::write(dir.join("src"), "0x400\n").unwrap();
        fs::write(dir.join("driver_override"), "(null)\n").unwrap();
        let pts = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let number = pts.to_str().unwrap().rsplit('/').next().unwrap();
        let file = if is_terminal(name) { "ttyRPMSG" } else { "rpmsg" };
        let node = self.root.join(format!("dev/{file}{number}"));
        symlink(pts.to_str().unwrap(), &node).unwrap();
        // Each driver knows one name.
        if matches!(name, "rpmsg-tty" | "rpmsg-raw") {
            bind(&dir, &node);
        }
        symlink(&dir, self.root.join("sys/bus/rpmsg/devices").join(&device)).unwrap();
        self.terminals.push(Terminal { device, master, slave, node });
    }

    /// The firmware takes an endpoint back, or ends.
    pub(crate) fn withdraw(&self, terminal: &Terminal) {
        fs::remove_file(self.root.join("sys/bus/rpmsg/devices").join(&terminal.device)).unwrap();
        fs::remove_dir_all(self.virtio().join(&terminal.device)).unwrap();
        fs::remove_file(&terminal.node).unwrap();
    }

    /// The firmware adds to its trace buffer.
    pub(crate) fn trace(&self, text: &str) {
        let file = fs::OpenOptions::new().create(true).append(true).open(self.trace_file());
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The trace buffer has this, which does not show in a file that is open.
    pub(crate) fn trace_unseen(&self, text: &str) {
        let new = self.trace_file().with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.trace_file()).unwrap();
    }

    fn trace_file(&self) -> PathBuf {
        self.root.join("sys/kernel/debug/remoteproc").join(self.dir.file_name().unwrap()).join("trace0")
    }

    /// The device with which rpmsg reaches the firmware.
    fn virtio(&self) -> PathBuf {
        let number = self.dir.file_name().unwrap().to_str().unwrap().trim_start_matches("remoteproc");
        self.dir.join(format!("rproc-virtio.{number}.auto/virtio{number}"))
    }

    /// Somebody has written this device's name to the terminal driver. Unlike the kernel's, the write returns
    /// before that is done, so it can come twice.
    pub(crate) fn bind(&self, device: &str) {
        let dir = self.virtio().join(device);
        let Some(terminal) = self.terminals.iter().find(|t| t.device == device) else { return };
        if dir.join("driver").exists() {
            return;
        }
        let driver = if terminal.is_terminal() { "rpmsg_tty" } else { "rpmsg_chrdev" };
        while fs::read_to_string(dir.join("driver_override")).unwrap() != driver {
            std::thread::yield_now();
        }
        bind(&dir, &terminal.node);
    }
}

fn is_open_for_writing(path: &Path) -> bool {
    let path = path.canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let descriptors = processes.filter_map(|p| Some(fs::read_dir(p.path().join("fd")).ok()?.flatten()));
    descriptors.flatten().filter(|d| fs::read_link(d.path()).is_ok_and(|target| target == path)).any(|d| {
        let info = d.path().parent().unwrap().with_file_name("fdinfo").join(d.file_name());
        let info = fs::read_to_string(info).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("0").trim();
        // The access mode is in the last octal digit: 0 is reading.
        !flags.ends_with(['0', '4'])
    })
}

/// Whether the kernel makes a terminal of what has this name, and no character device.
fn is_terminal(name: &str) -> bool {
    name.starts_with("rpmsg-tty") || name.starts_with("rpmsg-virtual-tty-channel")
}

fn bind(dir: &Path, node: &Path) {
    let name = node.file_name().unwrap();
    let class = if name.to_str().unwrap().starts_with("tty") { "tty" } else { "rpmsg" };
    fs::create_dir_all(dir.join(class).join(name)).unwrap();
    fs::create_dir(dir.join("driver")).unwrap();
}
