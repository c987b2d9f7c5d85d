//! A board: its directory tree, the thread that is its kernel, and a daemon that sees nothing else.

use std::fs;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use libmica::{Client, CreateMessage};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::harness::{Console, Daemon, PATIENCE, eventually};
use crate::kernel::{Behaviour, Remoteproc};

/// What the client's firmware consists of: for the kernel to judge, not for the daemon.
pub(crate) const FIRMWARE: &[u8] = b"\x7fELF firmware of a microcontroller";

/// Those of the kernel, for terminals and for channels.
const DRIVERS: [&str; 2] = ["rpmsg_tty", "rpmsg_chrdev"];

pub(crate) struct Board {
    pub(crate) daemon: Daemon,
    root: PathBuf,
    remoteprocs: Arc<Vec<Mutex<Remoteproc>>>,
}

impl Board {
    /// A board with these remoteprocs: the name of each, and the attributes that its driver adds.
    pub(crate) fn new(remoteprocs: &[(&str, &[(&str, &str)])]) -> Self {
        Self::prepared(remoteprocs, &[], |_| {})
    }

    /// A board that `prepare` has changed before the daemon starts.
    pub(crate) fn prepared(
        remoteprocs: &[(&str, &[(&str, &str)])],
        arguments: &[&str],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
        let root = dir.path().join("board");
        for path in [
            "dev",
            "lib/firmware",
            "sys/class/remoteproc",
            "sys/bus/rpmsg/devices",
            "sys/bus/rpmsg/drivers/rpmsg_chrdev",
            "sys/bus/rpmsg/drivers/rpmsg_tty",
            "sys/module/firmware_class/parameters",
        ] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("sys/module/firmware_class/parameters/path"), "\n").unwrap();
        for driver in DRIVERS {
            fs::write(root.join("sys/bus/rpmsg/drivers").join(driver).join("bind"), "").unwrap();
        }
        fs::write(root.join("dev/kmsg"), "3,1,1,-;remoteproc remoteproc0: of an earlier time\n").unwrap();
        fs::write(dir.path().join("fw.elf"), FIRMWARE).unwrap();
        let all = remoteprocs.iter().enumerate().map(|(i, (name, device))| plug(&root, i, name, device));
        let all = Arc::new(all.map(Mutex::new).collect::<Vec<_>>());
        prepare(&root);
        serve(&root, Arc::clone(&all));
        let option = format!("--sysfs-root={}", root.display());
        let arguments: Vec<&str> = [option.as_str(), "-v"].iter().chain(arguments).copied().collect();
        Self { daemon: Daemon::start_in(dir, &arguments), root, remoteprocs: all }
    }

    /// A board with one remoteproc of a foreign driver, as STM32MP1 has it.
    pub(crate) fn stm32(behaviour: Behaviour) -> Self {
        let board = Self::new(&[("m4", &[])]);
        board.remoteproc(0).behaviour = behaviour;
        board
    }

    /// A machine with our driver on CPU 3, whose monitor is there or not.
    pub(crate) fn spare_core(monitor: &str, behaviour: Behaviour) -> Self {
        let board = Self::new(&[(
            "mica-cpu3",
            &[
                ("cpu", "3"),
                ("core_state", "off"),
                ("exit_reason", "none"),
                ("exit_status", "0"),
                ("monitor", monitor),
                ("paused", "0"),
            ],
        )]);
        board.remoteproc(0).behaviour = behaviour;
        board
    }

    pub(crate) fn remoteproc(&self, index: usize) -> MutexGuard<'_, Remoteproc> {
        self.remoteprocs[index].lock().unwrap()
    }

    /// Sets an attribute of a remoteproc's device.
    pub(crate) fn set_device(&self, index: usize, attribute: &str, value: &str) {
        let dir = self.remoteproc(index).dir.join("device");
        let new = dir.join("new");
        fs::write(&new, format!("{value}\n")).unwrap();
        fs::rename(new, dir.join(attribute)).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The kernel says something.
    pub(crate) fn kernel_says(&self, record: &str) {
        let mut log = fs::OpenOptions::new().append(true).open(self.path("dev/kmsg")).unwrap();
        writeln!(log, "{record}").unwrap();
    }

    /// A client's create message.
    pub(crate) fn message(&self, name: &str, cpu: &str) -> CreateMessage {
        CreateMessage {
            name: name.to_owned(),
            path: self.daemon.path("fw.elf"),
            pedestal: "baremetal".to_owned(),
            cpu: cpu.to_owned(),
            ..CreateMessage::default()
        }
    }

    /// Creates and starts a client.
    pub(crate) async fn boot(&self, name: &str, cpu: &str) -> Client {
        let client = self.daemon.client();
        client.create(&self.message(name, cpu)).await.unwrap();
        client.start(name).await.unwrap_or_else(|e| panic!("{e}: {}", self.daemon.log()));
        client
    }

    /// The terminal of this name, once it is there.
    pub(crate) async fn console(&self, client: &str, service: &str) -> Console {
        Console::open(&self.device(client, service).await)
    }

    /// Where the terminal of this name is, once the status says so.
    pub(crate) async fn device(&self, client: &str, service: &str) -> PathBuf {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.daemon.client().status(client).await.unwrap();
            if let Some(found) = status.services.into_iter().find(|s| s.name == service) {
                return found.device.unwrap();
            }
            assert!(tokio::time::Instant::now() < deadline, "no {service}: {}", self.daemon.log());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The firmware writes on its terminal `index`.
    pub(crate) fn print(&self, remoteproc: usize, index: usize, text: &[u8]) {
        let terminals = &self.remoteproc(remoteproc).terminals;
        let mut text = text;
        while !text.is_empty() {
            let written = rustix::io::write(&terminals[index].master, text).unwrap();
            text = &text[written..];
        }
    }

    /// What the firmware gets on its terminal `index`.
    pub(crate) fn receive(&self, remoteproc: usize, index: usize, count: usize) -> Vec<u8> {
        let master = self.remoteproc(remoteproc).terminals[index].master.try_clone().unwrap();
        let mut received = Vec::new();
        let mut chunk = [0; 4096];
        while received.len() < count {
            let n = rustix::io::read(&master, &mut chunk).unwrap();
            received.extend(&chunk[..n]);
        }
        received
    }

    /// What the firmware directory holds.
    pub(crate) fn firmware_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("lib/firmware")).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Waits until none of the daemon's processes is left.
    pub(crate) async fn no_process_left(&self) {
        let pid = self.daemon.pid();
        let children = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        eventually("the daemon has no children", || children().is_empty()).await;
    }
}

/// Makes the files of a remoteproc.
fn plug(root: &Path, index: usize, name: &str, device: &[(&str, &str)]) -> Remoteproc {
    let parent = root.join(format!("sys/devices/platform/mlahb/4c000000.rproc-{index}"));
    let dir = parent.join(format!("remoteproc/remoteproc{index}"));
    fs::create_dir_all(&dir).unwrap();
    for (attribute, value) in
        [("name", name), ("state", "offline"), ("firmware", "rproc-fw"), ("recovery", "enabled")]
    {
        fs::write(dir.join(attribute), format!("{value}\n")).unwrap();
    }
    for (attribute, value) in device {
        fs::write(parent.join(attribute), format!("{value}\n")).unwrap();
    }
    symlink("../..", dir.join("device")).unwrap();
    symlink(&dir, root.join(format!("sys/class/remoteproc/remoteproc{index}"))).unwrap();
    Remoteproc::new(root, dir)
}

/// Starts the thread that is the kernel: it reacts to what is written. It ends with the test's process.
fn serve(root: &Path, remoteprocs: Arc<Vec<Mutex<Remoteproc>>>) {
    let notify = inotify::init(CreateFlags::CLOEXEC).unwrap();
    let watch = |dir: &Path| inotify::add_watch(&notify, dir, WatchFlags::CLOSE_WRITE).unwrap();
    let drivers = DRIVERS.map(|driver| root.join("sys/bus/rpmsg/drivers").join(driver));
    let bound = drivers.each_ref().map(|driver| watch(driver));
    let watched: Vec<i32> = remoteprocs.iter().map(|r| watch(&r.lock().unwrap().dir)).collect();
    std::thread::spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&notify, &mut buffer);
        loop {
            let event = events.next().unwrap();
            assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
            if let Some(driver) = bound.iter().position(|wd| *wd == event.wd()) {
                let device = fs::read_to_string(drivers[driver].join("bind")).unwrap();
                remoteprocs.iter().for_each(|r| r.lock().unwrap().bind(&device));
            } else if let Some(name) = event.file_name() {
                let index = watched.iter().position(|wd| *wd == event.wd()).unwrap();
                remoteprocs[index].lock().unwrap().written(name.to_str().unwrap());
            }
        }
    });
}
