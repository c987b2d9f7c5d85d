//! The cgroup that the shim itself is to be in: the option `ShimCgroup`.

use std::path::{Component, Path};

use super::layout;
use crate::error::{Error, Result};

/// Moves the calling process into the cgroup of this path below the root, in each hierarchy that has it.
///
/// Whoever names it has made it, with its limits: none is made here, as by containerd's own shim.
pub(crate) fn join(path: &str) -> Result<()> {
    let refuse = |reason| Err(Error::ShimCgroup { path: path.to_owned(), reason });
    let below = Path::new(path.trim_start_matches('/'));
    if !below.components().all(|part| matches!(part, Component::Normal(_))) {
        return refuse("it must not contain `..`");
    }
    let groups = layout::mount_points()?.into_iter().map(|point| point.join(below));
    let groups: Vec<_> = groups.filter(|group| group.is_dir()).collect();
    if groups.is_empty() {
        return refuse("no hierarchy of this host has it; make it first");
    }
    for group in groups {
        let procs = group.join("cgroup.procs");
        // 0 is the one who writes.
        std::fs::write(&procs, "0").map_err(Error::io("write", procs))?;
    }
    Ok(())
}
