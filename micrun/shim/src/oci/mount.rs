//! Mounting the root file system that containerd describes in Create, and taking it away again.

use std::path::{Path, PathBuf};

use containerd_shim_protos::types::mount::Mount;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{Error, Result};

/// mount(8)'s option words that are flags of mount(2); all others are data for the file system.
const FLAGS: [(&str, MsFlags, bool); 17] = [
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("atime", MsFlags::MS_NOATIME, false),
    ("bind", MsFlags::MS_BIND, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("nodev", MsFlags::MS_NODEV, true),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("suid", MsFlags::MS_NOSUID, false),
];

/// A mounted root file system; it is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Rootfs {
    target: PathBuf,
    mounts: usize,
}

impl Rootfs {
    /// Mounts `mounts`, in order, on `target`. An empty list leaves the directory as it is.
    pub(crate) fn mount(mounts: &[Mount], target: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&target).map_err(Error::io("create", &target))?;
        let mut rootfs = Self { target, mounts: 0 };
        for entry in mounts {
            mount_one(entry, &rootfs.target)?;
            rootfs.mounts += 1;
        }
        Ok(rootfs)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.target
    }

    /// Leaves it mounted, for [`unmount_all`].
    pub(crate) fn keep(mut self) {
        self.mounts = 0;
    }
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        for _ in 0..self.mounts {
            unmount(&self.target);
        }
    }
}

/// Detaches all that is mounted on `target`, one on the other.
pub(crate) fn unmount_all(target: &Path) {
    loop {
        match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(nix::Error::EINVAL | nix::Error::ENOENT) => return,
            Err(errno) => return log::warn!("cannot unmount {}: {errno}", target.display()),
        }
    }
}

/// Detaches what was mounted last on `target`; nothing mounted is no error.
fn unmount(target: &Path) {
    use nix::errno::Errno;
    match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(errno) => log::warn!("cannot unmount {}: {errno}", target.display()),
    }
}

fn mount_one(entry: &Mount, target: &Path) -> Result<()> {
    let fail = |errno: nix::Error| Error::Mount {
        kind: entry.type_.clone(),
        target: target.to_owned(),
        source: errno.into(),
    };
    let (flags, data) = split_options(&entry.options);
    let source = Path::new(&entry.source);
    let kind = (!flags.contains(MsFlags::MS_BIND)).then_some(entry.type_.as_str());
    mount(Some(source), target, kind, flags, Some(data.as_str())).map_err(fail)?;
    // A bind mount takes no other flag at once; mount(2), "Remounting an existing mount".
    if flags.contains(MsFlags::MS_BIND | MsFlags::MS_RDONLY) {
        mount(None::<&str>, target, None::<&str>, flags | MsFlags::MS_REMOUNT, None::<&str>).map_err(fail)?;
    }
    Ok(())
}

fn split_options(options: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(word, ..)| word == option) {
            Some((_, flag, on)) => flags.set(*flag, *on),
            None => data.push(option.as_str()),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_into_flags_and_data() {
        let words: Vec<String> =
            ["ro", "nosuid", "lowerdir=/a:/b", "index=off", "rw"].map(String::from).into();
        let (flags, data) = split_options(&words);
        assert_eq!(flags, MsFlags::MS_NOSUID);
        assert_eq!(data, "lowerdir=/a:/b,index=off");
    }
}
