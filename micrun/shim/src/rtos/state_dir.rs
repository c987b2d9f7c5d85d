//! A container's directory below `/run/micrun`: the checked firmware, what the daemon reads beside it, and a
//! note of whose it is.

use std::fs::{DirBuilder, File};
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use micrun_firmware::HostConf;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, describe};

const OWNER: &str = "state.json";
/// Version of [`Owner`] on disk. 2 has the cgroup.
const VERSION: u32 = 2;

/// Where the directories are; by default upstream's place, which its tools know.
pub(crate) fn root(conf: &HostConf) -> PathBuf {
    conf.state_dir().join("containers")
}

/// Whose directory it is, and what to take away when nobody else can.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Owner {
    version: u32,
    /// containerd's namespace.
    pub namespace: String,
    /// Container id, which is the client's name at the daemon.
    pub id: String,
    /// Where its cgroup is, as `linux.cgroupsPath` names it.
    #[serde(default)]
    pub cgroups_path: String,
    /// The shim's process.
    pub pid: u32,
    /// Its start time in clock ticks since boot (proc(5), `stat` field 22), which tells it from a later
    /// process with the same number.
    pub started: u64,
}

impl Owner {
    /// This process, on behalf of a container.
    pub(crate) fn this_process(namespace: &str, id: &str, cgroups_path: &str) -> Self {
        let pid = std::process::id();
        let started = start_time(pid).unwrap_or_default();
        Self {
            version: VERSION,
            namespace: namespace.to_owned(),
            id: id.to_owned(),
            cgroups_path: cgroups_path.to_owned(),
            pid,
            started,
        }
    }

    /// Whether the process still lives.
    pub(crate) fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

/// A container's directory. What makes, fills or removes it waits for the file system.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// The directory of a container, whether it exists or not.
    pub(crate) fn of(root: &Path, id: &str) -> Self {
        Self { path: root.join(id) }
    }

    /// Makes it, for root alone. [`Error::AlreadyExists`] when it belongs to a container of a living shim,
    /// [`Error::Newer`] when a later shim made it.
    pub(crate) fn create(root: &Path, owner: &Owner) -> Result<Self> {
        let dir = Self::of(root, &owner.id);
        if let Some(other) = dir.owner()?
            && other.alive()
        {
            return Err(Error::AlreadyExists(format!("{}` of namespace `{}", other.id, other.namespace)));
        }
        dir.remove()?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir.path)
            .map_err(Error::io("create", &dir.path))?;
        let written = dir.write(OWNER, |file| {
            serde_json::to_writer(file, owner).map_err(|source| Error::Json { path: OWNER.into(), source })
        });
        match written {
            Ok(_) => Ok(dir),
            Err(error) => {
                // Nobody else would know whose it is.
                dir.remove()?;
                Err(error)
            }
        }
    }

    /// Who made it, if it is there and readable. What a later shim wrote is an error: it may mean what this one
    /// does not know, and a container must not be half cleaned up.
    pub(crate) fn owner(&self) -> Result<Option<Owner>> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Ok(text) = std::fs::read(self.path.join(OWNER)) else { return Ok(None) };
        match serde_json::from_slice(&text) {
            Ok(Versioned { version }) if version > VERSION => {
                Err(Error::Newer { what: "container's state.json", found: version, known: VERSION })
            }
            _ => Ok(serde_json::from_slice(&text).ok()),
        }
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a file of what `contents` writes, whole or not at all; gives its path and what `contents` gives. It need
    /// not survive the machine, whose end is that of every container, so it is not synchronised.
    pub(crate) fn write<T, E>(
        &self,
        name: &str,
        contents: impl FnOnce(&mut File) -> Result<T, E>,
    ) -> Result<(PathBuf, T)>
    where
        Error: From<E>,
    {
        let path = self.path.join(name);
        let temporary = self.path.join(format!(".{name}.tmp"));
        let mut file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let given = contents(&mut file)?;
        std::fs::rename(&temporary, &path).map_err(Error::io("write", &path))?;
        Ok((path, given))
    }

    /// Has the path of a file in it lead to an open file of this process, as long as that is open.
    pub(crate) fn link(&self, name: &str, to: &File) -> Result<()> {
        let path = self.path.join(name);
        let open = format!("/proc/{}/fd/{}", std::process::id(), to.as_raw_fd());
        std::os::unix::fs::symlink(open, &path).map_err(Error::io("create", &path))
    }

    /// The same directory, for as long as its container is in the making.
    pub(crate) fn draft(self) -> Draft {
        Draft { dir: self, kept: false }
    }

    /// Removes it and what it holds; no error if it is gone.
    pub(crate) fn remove(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// The directory of a container in the making. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    dir: StateDir,
    kept: bool,
}

impl Draft {
    /// Leaves it to its container.
    pub(crate) fn keep(mut self) -> StateDir {
        self.kept = true;
        self.dir.clone()
    }
}

impl Deref for Draft {
    type Target = StateDir;

    fn deref(&self) -> &StateDir {
        &self.dir
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept
            && let Err(leftover) = self.dir.remove()
        {
            log::warn!("{}", describe(&leftover));
        }
    }
}

/// Field 22 of `/proc/PID/stat`; the command in field 2 may hold anything, so it is counted from its end.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}
