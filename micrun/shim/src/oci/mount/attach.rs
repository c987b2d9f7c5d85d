//! One mount, as containerd describes it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use containerd_shim_protos::types::mount::Mount;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use rustix::mount::{MoveMountFlags, move_mount};

use super::fuse::Helper;
use super::loop_device::LoopDevice;
use super::options::{Options, refused};
use super::overlay::Way;
use super::point::Point;
use super::{apart, idmap, overlay, piecewise, unmount};
use crate::error::{Error, Result};

const OVERLAY: &str = "overlay";
const NOTHING: Option<&str> = None;

/// What a mount may not do, and a read-only view of it may not do either: a remount would forget it.
const KEPT: [(FsFlags, MsFlags); 3] = [
    (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
    (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
];

/// Mounts on `root` or below it. Gives the mount point, unless an existing mount was only changed. What fails leaves
/// nothing mounted.
pub(super) fn attach(entry: &Mount, root: &Path) -> Result<Option<PathBuf>> {
    let kind = entry.type_.as_str();
    let point = Point::open(root, &entry.target)?;
    let path = point.path()?;
    if let Some(helper) = Helper::of(kind) {
        helper.mount(entry, &path)?;
        return Ok(Some(path));
    }
    let options = Options::parse(kind, &entry.options)?;
    let is_new = !options.has(MsFlags::MS_REMOUNT);
    if is_new || !options.data.is_empty() {
        match &options.idmap {
            None => plainly(entry, &options, &point)?,
            Some(map) => {
                let layers = layers_to_map(kind, &options)?;
                let attach = |point: &Point| plainly(entry, &options, point);
                let tree = idmap::detached(map, layers.as_deref(), (root, &entry.target), attach)?;
                place(&tree, &point, entry)?;
            }
        }
    }
    let finished = finish(entry, &options, root);
    if is_new && finished.is_err() {
        unmount::detach(&path);
    }
    finished.map(|()| is_new.then_some(path))
}

/// Mounts, but for the propagation type and the mapping of owners.
fn plainly(entry: &Mount, options: &Options, point: &Point) -> Result<()> {
    let mut options = Options { data: options.data.clone(), idmap: None, ..*options };
    let mut device = None;
    if options.on_loop {
        let direct = options.take("direct-io");
        let read_only = options.has(MsFlags::MS_RDONLY);
        device = Some(LoopDevice::attach(Path::new(&entry.source), read_only, direct)?);
    }
    let source = device.as_ref().map_or(Path::new(&entry.source), |device| &device.path);
    let call = |data: &str| {
        let kind = (!options.has(MsFlags::MS_BIND)).then_some(entry.type_.as_str());
        let mounted = mount(Some(source), &point.link(), kind, options.flags, Some(data));
        mounted.map_err(|errno| failed(entry, point, errno.into()))
    };
    match Way::of(&options.data) {
        Way::Whole(data) => call(&data),
        Way::Within(directory, data) if entry.type_ == OVERLAY => apart::within(&directory, || call(&data)),
        Way::Piecewise if entry.type_ == OVERLAY => {
            place(&piecewise::overlay(&entry.source, &options)?, point, entry)
        }
        Way::Within(..) | Way::Piecewise => {
            let (size, limit) = (options.data.join(",").len(), overlay::MOST);
            Err(refused(&entry.type_, format!("they have {size} bytes, but mount(2) takes {limit} at most")))
        }
    }
}

/// What of an overlay has its owners mapped: each layer but the uppermost, whose files already have them.
fn layers_to_map<'a>(kind: &str, options: &'a Options) -> Result<Option<Vec<&'a str>>> {
    if kind != OVERLAY {
        return Ok(None);
    }
    let layers = overlay::layers(&options.data);
    layers.map(Some).ok_or_else(|| {
        refused(kind, "`uidmap=` and `gidmap=` need a plain list of layers (`lowerdir=`)".into())
    })
}

/// Mounts what is mounted nowhere yet.
fn place(tree: &OwnedFd, point: &Point, entry: &Mount) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", point, "", flags).map_err(|errno| failed(entry, point, errno.into()))
}

/// What takes a call of its own, on a mount that is there: the propagation type, and a read-only view of a directory.
fn finish(entry: &Mount, options: &Options, root: &Path) -> Result<()> {
    let read_only_view = options.has(MsFlags::MS_BIND | MsFlags::MS_RDONLY);
    if options.propagation.is_empty() && !read_only_view {
        return Ok(());
    }
    // Opened again: what is on top now is the new mount.
    let point = Point::open(root, &entry.target)?;
    let change = |flags| {
        let changed = mount(NOTHING, &point.link(), NOTHING, flags, NOTHING);
        changed.map_err(|errno| failed(entry, &point, errno.into()))
    };
    if !options.propagation.is_empty() {
        change(options.propagation)?;
    }
    if read_only_view {
        let now = fstatvfs(&point).map_err(|errno| failed(entry, &point, errno.into()))?.flags();
        let kept = KEPT.iter().filter(|(flag, _)| now.contains(*flag)).map(|(_, flag)| *flag);
        change(kept.fold(options.flags | MsFlags::MS_REMOUNT, MsFlags::union))?;
    }
    Ok(())
}

fn failed(entry: &Mount, point: &Point, source: io::Error) -> Error {
    let target = point.path().unwrap_or_default();
    Error::Mount { kind: entry.type_.clone(), target, source }
}
