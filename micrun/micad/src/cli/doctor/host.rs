//! The machine that is examined. All of its files are looked for below one directory, which tests choose.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Parser;
use libmica::ext::ClientList;
use micrun_firmware::HostConf;
use micrun_firmware::host_conf::Locations;
use nix::fcntl::OFlag;

use super::finding::Finding;
use super::program::{self, Mute};
use super::registration::Part;
use crate::cgroup;
use crate::config::{Config, Options};

/// No file that is of interest is larger.
const MOST: u64 = 4 << 20;

/// Where the hierarchies of cgroups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What a program has said, or why nothing.
type Said = Rc<Result<String, Mute>>;

/// What is known about the machine before any check.
pub(super) struct Host {
    root: PathBuf,
    /// The directories for programs.
    path: Option<OsString>,
    /// Where the daemon's sockets are.
    pub(super) runtime_dir: PathBuf,
    /// micad's configuration, or why it is the default one.
    pub(super) config: Config,
    /// Where that is.
    pub(super) config_file: PathBuf,
    /// What is wrong with it, or odd.
    pub(super) config_finding: Finding,
    /// The running daemon.
    pub(super) micad: Option<Process>,
    /// The running containerd.
    pub(super) containerd: Option<Process>,
    /// The files of its configuration, once somebody has asked for them.
    pub(super) containerd_config: OnceCell<Result<Vec<Part>, Finding>>,
    /// What programs have said of their versions.
    versions: RefCell<BTreeMap<PathBuf, Said>>,
    /// What the daemon has said when it was asked.
    pub(super) answers: Answers,
}

/// What the daemon has said.
pub(super) struct Answers {
    /// To `version`.
    pub(super) version: libmica::Result<libmica::ext::Version>,
    /// To `list`.
    pub(super) list: libmica::Result<ClientList>,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: u32,
    /// Its command line.
    pub(super) arguments: Vec<String>,
    /// Its environment, which only root can read of another user's process.
    environment: io::Result<BTreeMap<String, String>>,
}

impl Process {
    /// The value of an option on its command line: `--NAME VALUE` or `--NAME=VALUE`, or `-SHORT VALUE`.
    pub(super) fn option(&self, names: &[&str]) -> Option<&str> {
        let mut words = self.arguments.iter().skip(1);
        while let Some(word) = words.next() {
            if names.contains(&word.as_str()) {
                return words.next().map(String::as_str);
            }
            if let Some((name, value)) = word.split_once('=')
                && names.contains(&name)
            {
                return Some(value);
            }
        }
        None
    }

    /// A variable of its environment, if that can be read.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.as_ref().ok()?.get(name).map(String::as_str)
    }
}

impl Host {
    /// Looks at what runs on the machine below `root`, and at micad's configuration. `runtime_dir` is where the user says that
    /// the daemon's sockets are. The daemon is yet to be asked.
    pub(super) fn examine(root: &Path, runtime_dir: &Path) -> Self {
        let mut host = Self {
            root: root.to_owned(),
            path: std::env::var_os("PATH"),
            runtime_dir: runtime_dir.to_owned(),
            config: Config::default(),
            config_file: Config::FILE.into(),
            config_finding: Finding::ok(""),
            micad: None,
            containerd: None,
            containerd_config: OnceCell::new(),
            versions: RefCell::default(),
            answers: Answers { version: Err(unasked()), list: Err(unasked()) },
        };
        host.micad = host.process("micad");
        host.containerd = host.process("containerd");
        host.read_config();
        if runtime_dir == Path::new(libmica::names::RUNTIME_DIR) {
            host.runtime_dir.clone_from(&host.config.runtime_dir);
        }
        host
    }

    /// The file at this absolute path of the machine.
    pub(super) fn at(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// The user whose files its system's are: root, but for tests.
    pub(super) fn owner(&self) -> u32 {
        self.root.metadata().map_or(0, |data| data.uid())
    }

    /// A file's bytes. No pipe that somebody has put there holds this up.
    pub(super) fn bytes(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let nonblocking = OFlag::O_NONBLOCK.bits();
        let file: File = OpenOptions::new().read(true).custom_flags(nonblocking).open(self.at(path))?;
        let mut bytes = Vec::new();
        match file.take(MOST).read_to_end(&mut bytes) {
            // A pipe has no more now.
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
            _ => Ok(bytes),
        }
    }

    /// A file's text.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(path)?).into_owned())
    }

    /// A file's text without what is around it; `None` if there is none. For what everybody can read: sysfs, procfs.
    pub(super) fn word(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(self.text(path).ok()?.trim().to_owned())
    }

    /// Whether it is there. What cannot be seen is an error.
    pub(super) fn has(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        self.at(path).try_exists()
    }

    /// The names in a directory, in order. One that does not exist is empty.
    pub(super) fn names(&self, dir: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.at(dir)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// A program on containerd's `PATH`, where the shim and the OCI runtime are looked for; on this command's own if
    /// containerd's is not known.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let of_containerd = self.containerd_path().map(OsStr::new);
        program::find(name, of_containerd.or(self.path.as_deref()))
    }

    /// A program on this command's own `PATH`.
    pub(super) fn own_program(&self, name: &str) -> Option<PathBuf> {
        program::find(name, self.path.as_deref())
    }

    /// What a program says of its version by this option. It is asked once.
    pub(super) fn version_of(&self, program: &Path, option: &str) -> Said {
        let known = self.versions.borrow().get(program).cloned();
        known.unwrap_or_else(|| {
            let said = Rc::new(program::run(program, &[option]));
            self.versions.borrow_mut().insert(program.to_owned(), Rc::clone(&said));
            said
        })
    }

    /// The directories of a process's cgroup in the hierarchy of a controller, from its own to the topmost. Version 2 has no
    /// controller's name.
    pub(super) fn cgroups(&self, process: &Process, controller: &str) -> Vec<PathBuf> {
        let table = self.text(format!("/proc/{}/cgroup", process.pid)).unwrap_or_default();
        let place = cgroup::place(&table, controller);
        place.map_or(Vec::new(), |place| cgroup::lineage(&Path::new(CGROUPS).join(controller), place))
    }

    /// containerd's `PATH`, if it runs and can be read.
    pub(super) fn containerd_path(&self) -> Option<&str> {
        self.containerd.as_ref()?.variable("PATH")
    }

    /// The running program's file; it need not be on `PATH`.
    pub(super) fn executable(&self, process: &Process) -> Option<PathBuf> {
        std::fs::read_link(self.at(format!("/proc/{}/exe", process.pid))).ok()
    }

    /// The shim's configuration, as a shim of the running containerd reads it.
    pub(super) fn shim_conf(&self) -> micrun_firmware::Result<HostConf> {
        HostConf::load(&self.shim_locations())
    }

    /// Where that is, below the root.
    pub(super) fn shim_locations(&self) -> Locations {
        let mut locations = self.shim_places();
        locations.file = self.at(&locations.file);
        locations.dir = self.at(&locations.dir);
        locations
    }

    /// Where that is on the machine.
    pub(super) fn shim_places(&self) -> Locations {
        let environment = self.containerd.iter().filter_map(|it| it.environment.as_ref().ok()).flatten();
        Locations::from_env(environment.map(|(name, value)| (name.clone(), value.clone())))
    }

    /// Since when the process with this number runs, in clock ticks after boot.
    pub(super) fn start_time(&self, pid: u32) -> Option<u64> {
        let stat = self.text(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(19)?.parse().ok()
    }

    /// The oldest process of a program, by its number.
    pub(super) fn process(&self, name: &str) -> Option<Process> {
        let pids = self.names("/proc").ok()?;
        let mut pids: Vec<u32> = pids.iter().filter_map(|name| name.parse().ok()).collect();
        pids.sort_unstable();
        let pid = pids.into_iter().find(|pid| {
            self.word(format!("/proc/{pid}/comm")).as_deref() == Some(name)
                // A thread or a process in the making of another program may bear the name.
                && self.word(format!("/proc/{pid}/cmdline")).is_some_and(|line| !line.is_empty())
        })?;
        let split =
            |text: &str| text.split('\0').map(str::to_owned).filter(|word| !word.is_empty()).collect();
        let environment = self.text(format!("/proc/{pid}/environ")).map(|text| {
            let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        });
        let arguments: Vec<String> =
            self.text(format!("/proc/{pid}/cmdline")).map_or(Vec::new(), |it| split(&it));
        Some(Process { pid, arguments, environment })
    }

    /// Reads micad's configuration as the running daemon would, or the next one.
    fn read_config(&mut self) {
        let arguments = self.micad.as_ref().map_or(&[][..], |micad| &micad.arguments);
        let options = Options::try_parse_from(arguments).unwrap_or_else(|_| Options::parse_from(["micad"]));
        let shown = options.config.clone().unwrap_or_else(|| Config::FILE.into());
        self.config_file.clone_from(&shown);
        if let Err(e) = self.has(&shown) {
            self.config_finding = Finding::unread(&shown, &e);
            return;
        }
        match Config::load_below(&self.root, &options) {
            Ok((config, warnings)) => {
                self.config = config;
                self.config_finding = if warnings.is_empty() {
                    Finding::ok(shown.display().to_string())
                } else {
                    Finding::warning(warnings.join("; "), "correct or remove what is not known")
                };
            }
            Err(crate::Error::File { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
                self.config_finding = Finding::unread(&shown, &source);
            }
            Err(e) => {
                let remedy = "correct it: micad does not start with it (docs/MICAD.md lists the keys)";
                self.config_finding = Finding::error(e.sentence(), remedy);
            }
        }
    }
}

/// What stands for an answer until the daemon was asked.
fn unasked() -> libmica::Error {
    libmica::Error::DaemonNotRunning { socket: PathBuf::new() }
}
