//! overlayfs by the newer mount system calls, which take the layers one by one (`lowerdir+`, Linux 6.8): for lists that
//! no page holds.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use super::options::{Options, refused};
use super::{overlay, point};
use crate::error::Result;

/// The most bytes of a value that `fsconfig(2)` takes.
const VALUE_MOST: usize = 255;

/// Flags of mount(2) that are the file system's.
const OF_FILE_SYSTEM: [(MsFlags, &str); 4] = [
    (MsFlags::MS_DIRSYNC, "dirsync"),
    (MsFlags::MS_MANDLOCK, "mand"),
    (MsFlags::MS_RDONLY, "ro"),
    (MsFlags::MS_SYNCHRONOUS, "sync"),
];

/// Flags of mount(2) that are the mount's.
const OF_MOUNT: [(MsFlags, MountAttrFlags); 5] = [
    (MsFlags::MS_NODEV, MountAttrFlags::MOUNT_ATTR_NODEV),
    (MsFlags::MS_NODIRATIME, MountAttrFlags::MOUNT_ATTR_NODIRATIME),
    (MsFlags::MS_NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    (MsFlags::MS_NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
    (MsFlags::MS_RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
];

/// Makes an overlay that is mounted nowhere yet.
pub(super) fn overlay(source: &str, options: &Options) -> Result<OwnedFd> {
    let total = options.data.join(",").len();
    let too_long = |why: String| {
        let limit = overlay::MOST;
        refused("overlay", format!("they have {total} bytes, but mount(2) takes {limit} at most, and {why}"))
    };
    let Some(layers) = overlay::layers(&options.data) else {
        return Err(too_long("there is no plain list of layers among them".into()));
    };
    let mut parameters = Vec::new();
    for layer in layers {
        parameters.push(("lowerdir+", Some(Value::path(layer)?)));
    }
    for option in options.data.iter().filter(|option| !option.starts_with(overlay::LOWER)) {
        parameters.push(match option.split_once('=') {
            None => (option.as_str(), None),
            Some((key @ ("upperdir" | "workdir"), path)) => (key, Some(Value::path(path)?)),
            Some((key, value)) if value.len() <= VALUE_MOST => (key, Some(Value::Plain(value.into()))),
            Some((key, _)) => return Err(too_long(format!("`{key}` is longer than {VALUE_MOST}"))),
        });
    }
    make(source, &parameters, options.flags).map_err(|errno| {
        too_long(format!(
            "no directory that all layers share makes them fit; taking the layers one by one needs Linux 6.8, \
             and this kernel says: {errno}"
        ))
    })
}

/// A value of a parameter.
enum Value {
    Plain(PathBuf),
    /// What is too long, or would need backslashes, is open meanwhile.
    Open(File),
}

impl Value {
    fn path(escaped: &str) -> Result<Self> {
        if escaped.len() <= VALUE_MOST && !escaped.contains('\\') {
            return Ok(Self::Plain(escaped.into()));
        }
        point::name(Path::new(&*overlay::unescape(escaped))).map(Self::Open)
    }

    fn text(&self) -> PathBuf {
        match self {
            Self::Plain(path) => path.clone(),
            Self::Open(file) => point::link(file.as_fd()),
        }
    }
}

fn make(source: &str, parameters: &[(&str, Option<Value>)], flags: MsFlags) -> Result<OwnedFd, Errno> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", source)?;
    for (key, value) in parameters {
        match value {
            Some(value) => fsconfig_set_string(&context, *key, value.text())?,
            None => fsconfig_set_flag(&context, *key)?,
        }
    }
    for (_, word) in OF_FILE_SYSTEM.iter().filter(|(flag, _)| flags.contains(*flag)) {
        fsconfig_set_flag(&context, *word)?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes(flags))
}

/// The flags of a mount; of those about access times, which are one number here, `strictatime` goes first, as in mount(2).
fn attributes(flags: MsFlags) -> MountAttrFlags {
    let access_times = if flags.contains(MsFlags::MS_STRICTATIME) {
        MountAttrFlags::MOUNT_ATTR_STRICTATIME
    } else if flags.contains(MsFlags::MS_NOATIME) {
        MountAttrFlags::MOUNT_ATTR_NOATIME
    } else {
        MountAttrFlags::MOUNT_ATTR_RELATIME
    };
    let others = OF_MOUNT.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, attribute)| *attribute);
    others.fold(access_times, MountAttrFlags::union)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_of_mount() {
        assert_eq!(attributes(MsFlags::empty()), MountAttrFlags::MOUNT_ATTR_RELATIME);
        let both = MsFlags::MS_STRICTATIME | MsFlags::MS_NOATIME | MsFlags::MS_NOSUID;
        let expected = MountAttrFlags::MOUNT_ATTR_STRICTATIME | MountAttrFlags::MOUNT_ATTR_NOSUID;
        assert_eq!(attributes(both), expected);
    }

    #[test]
    fn what_neither_way_takes_is_refused_with_its_size() {
        let long = "x".repeat(5000);
        for (option, part) in [
            (vec![format!("upperdir=/{long}")], "there is no plain list of layers among them"),
            (vec![format!("lowerdir=/{long}:/b")], "cannot open `/xxx"),
            (
                vec!["lowerdir=/a:/b".into(), format!("context={long}")],
                "5023 bytes, but mount(2) takes 4095 at most, and `context`",
            ),
        ] {
            let message = overlay("overlay", &Options::with(option)).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
