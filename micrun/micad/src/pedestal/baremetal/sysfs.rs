//! Remoteprocs as Linux shows them: Documentation/ABI/testing/sysfs-class-remoteproc of the kernel, and what
//! our own driver adds to its device (`drivers/mica_rproc`).

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::error::file;

/// The directory below which `sys`, `dev` and `lib/firmware` are: `/`, but for tests.
#[derive(Debug, Clone)]
pub(crate) struct System(PathBuf);

impl System {
    pub(crate) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The file at this absolute path of the system.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// Whether the kernel that runs us is behind it.
    pub(super) fn is_real(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// All remoteprocs, in the order of their numbers.
    pub(crate) fn remoteprocs(&self) -> Result<Vec<Remoteproc>> {
        let class = self.path("/sys/class/remoteproc");
        let entries = match std::fs::read_dir(&class) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(file("read", &class))?,
        };
        let mut found: Vec<Remoteproc> =
            entries.flatten().filter_map(|entry| Remoteproc::open(&entry.path())).collect();
        found.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
        Ok(found)
    }

    /// The remoteproc with this id and name, if it still exists.
    pub(super) fn remoteproc(&self, id: &str, name: &str) -> Option<Remoteproc> {
        Remoteproc::open(&self.path("/sys/class/remoteproc").join(id)).filter(|found| found.name == name)
    }
}

/// What a remoteproc does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Offline,
    /// Sleeps with Linux.
    Suspended,
    /// Runs firmware that Linux has started.
    Running,
    /// Its firmware has crashed, and nobody has cleaned up.
    Crashed,
    /// It is being removed.
    Deleted,
    /// Runs firmware of the boot loader, known to Linux.
    Attached,
    /// Runs firmware of the boot loader, not known to Linux.
    Detached,
}

impl State {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "offline" => Self::Offline,
            "suspended" => Self::Suspended,
            "running" => Self::Running,
            "crashed" => Self::Crashed,
            "deleted" => Self::Deleted,
            "attached" => Self::Attached,
            "detached" => Self::Detached,
            _ => return None,
        })
    }

    /// The kernel's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Suspended => "suspended",
            Self::Running => "running",
            Self::Crashed => "crashed",
            Self::Deleted => "deleted",
            Self::Attached => "attached",
            Self::Detached => "detached",
        }
    }
}

/// One remoteproc.
#[derive(Debug, Clone)]
pub(crate) struct Remoteproc {
    /// Its directory.
    dir: PathBuf,
    /// `remoteprocN`. The number depends on the order in which drivers came.
    pub(crate) id: String,
    /// The name that its driver gave it.
    pub(crate) name: String,
}

impl Remoteproc {
    fn open(dir: &Path) -> Option<Self> {
        let id = dir.file_name()?.to_str()?.to_owned();
        // The real place: everything that belongs to the remoteproc is below it.
        let dir = dir.canonicalize().ok()?;
        let name = read(&dir.join("name")).ok()?;
        Some(Self { dir, id, name })
    }

    /// Its real directory, an ancestor of the devices that its firmware has.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory's name of the device behind it, which the kernel's messages may begin with.
    pub(super) fn device_name(&self) -> Option<String> {
        let device = self.dir.join("device").canonicalize().ok()?;
        Some(device.file_name()?.to_str()?.to_owned())
    }

    /// For messages: `remoteproc0 (mica-cpu3)`.
    pub(crate) fn title(&self) -> String {
        format!("{} ({})", self.id, self.name)
    }

    /// What it does now; `None` for a word that no documented kernel says.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        self.read("state").map(|word| State::parse(&word))
    }

    /// Whether its firmware has crashed, and nobody has cleaned up.
    pub(super) fn is_crashed(&self) -> bool {
        matches!(self.state(), Ok(Some(State::Crashed)))
    }

    /// Reads an attribute.
    pub(super) fn read(&self, attribute: &str) -> Result<String> {
        let path = self.dir.join(attribute);
        read(&path).map_err(file("read", path))
    }

    /// Writes an attribute. The kernel has done what it means when this returns.
    pub(super) fn write(&self, attribute: &str, value: &str) -> io::Result<()> {
        write(&self.dir.join(attribute), value)
    }

    /// Whether user space may start and stop it (drivers can reserve that for the kernel).
    pub(crate) fn is_controllable(&self) -> bool {
        let mode = std::fs::metadata(self.dir.join("state")).map(|m| m.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o222 != 0)
    }

    /// The directory of the device behind it.
    pub(super) fn device_dir(&self) -> PathBuf {
        let device = self.dir.join("device");
        device.canonicalize().unwrap_or(device)
    }

    /// Whether its driver can show the firmware's registers and memory, as ours does.
    pub(super) fn is_debuggable(&self) -> bool {
        ["registers", "memory"].iter().all(|file| self.dir.join("device").join(file).exists())
    }

    /// Reads an attribute of the device behind it; `None` if its driver has none of that name.
    pub(crate) fn device_attribute(&self, attribute: &str) -> Option<String> {
        read(&self.dir.join("device").join(attribute)).ok()
    }

    /// Writes an attribute of the device behind it.
    pub(super) fn write_device_attribute(&self, attribute: &str, value: &str) -> io::Result<()> {
        write(&self.dir.join("device").join(attribute), value)
    }

    /// Whether its driver announces by an event that firmware has ended, as ours does.
    pub(super) fn announces_end(&self) -> bool {
        self.device_attribute("exit_reason").is_some()
    }

    /// Whether the driver says that it has frozen the firmware.
    pub(super) fn is_paused(&self) -> bool {
        self.device_attribute("paused").is_some_and(|text| text == "1")
    }

    /// The core it stands for, if its driver tells.
    pub(crate) fn cpu(&self) -> Option<u32> {
        self.device_attribute("cpu")?.parse().ok()
    }
}

/// Reads a file of one line.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = std::fs::read_to_string(path)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// Writes a file in one write, as sysfs wants.
pub(super) fn write(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(value.as_bytes())
}
