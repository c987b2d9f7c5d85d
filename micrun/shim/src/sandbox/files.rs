//! The files that the containers of a pod have in common, as containerd's CRI plugin makes them for a pod with a pause
//! container: it leaves those of other sandboxes to who makes them (containerd#9635).

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::oci::shared::{MEMORY, Shared};

/// The folder beside that of the containers.
const FOLDER: &str = "pods";
const SHM: &str = "shm";
/// As the CRI plugin has it.
const SHM_OPTIONS: &str = "mode=1777,size=65536k";
/// A pod's root, who may be nobody of the machine, has to get through.
const MODE: u32 = 0o711;

/// A pod's folder; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Files(PathBuf);

impl Files {
    /// The folder of a sandbox, whether it is there or not. `state_root` is that of all containers.
    pub(crate) fn of(state_root: &Path, id: &str) -> Self {
        Self(state_root.with_file_name(FOLDER).join(id))
    }

    /// Makes the folder and all that is in it; gives what a container sees of it. Waiting must be allowed.
    pub(super) fn make(self, config: &Config) -> Result<(Self, Vec<Shared>)> {
        DirBuilder::new().recursive(true).mode(MODE).create(&self.0).map_err(Error::io("create", &self.0))?;
        let mut shared = Vec::new();
        for (name, target, text) in [
            ("hostname", "/etc/hostname", hostname(config)?),
            ("hosts", "/etc/hosts", of_machine("/etc/hosts")?),
            ("resolv.conf", "/etc/resolv.conf", resolver(config)?),
        ] {
            let source = self.0.join(name);
            std::fs::write(&source, text).map_err(Error::io("write", &source))?;
            shared.push(Shared { source, target });
        }
        shared.push(Shared { source: self.memory(config)?, target: MEMORY });
        Ok((self, shared))
    }

    /// What the pod's processes share memory in goes with their IPC namespace.
    fn memory(&self, config: &Config) -> Result<PathBuf> {
        if config.ipc == Mode::Node {
            return Ok(MEMORY.into());
        }
        let path = self.0.join(SHM);
        DirBuilder::new().create(&path).map_err(Error::io("create", &path))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some(SHM), &path, Some("tmpfs"), flags, Some(SHM_OPTIONS))
            .map_err(|errno| Error::io("mount", &path)(errno.into()))?;
        Ok(path)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // It may not be mounted.
        let _ = umount2(&self.0.join(SHM), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                log::warn!("cannot remove the files of a pod at {}: {error}", self.0.display());
            }
            _ => {}
        }
    }
}

fn hostname(config: &Config) -> Result<String> {
    if !config.hostname.is_empty() && config.network != Mode::Node {
        return Ok(format!("{}\n", config.hostname));
    }
    let name =
        nix::unistd::gethostname().map_err(|errno| Error::io("read", "the host name")(errno.into()))?;
    Ok(format!("{}\n", name.display()))
}

/// What CRI says, or the machine's.
fn resolver(config: &Config) -> Result<String> {
    let text = config.dns.text();
    if text.is_empty() { of_machine("/etc/resolv.conf") } else { Ok(text) }
}

/// A file of the machine; empty if it has none.
fn of_machine(path: &str) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(Error::io("read", path)),
    }
}
