//! The container's own cgroup, in which the emulator of the qemu pedestal lives: limits and usage are the kernel's.
//!
//! The shim makes it, because the shim may do so anyway; the daemon gets its `cgroup.procs` files, open, with the
//! start command, and needs no right to the hierarchy. Both versions of cgroups are spoken (cgroups(7), the kernel's
//! `admin-guide/cgroup-v1` and `cgroup-v2.rst`); a library for it would bring a D-Bus client along.
//! It may use `oci` and `os`.

mod above;
mod io;
mod join;
mod layout;
mod limits;
mod path;
mod scope;
mod stats;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use join::join;
pub(crate) use layout::{Layout, Version};
use limits::Value;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
pub(crate) use path::check as check_path;
use scope::Scope;
pub(crate) use stats::daemon_metrics;

use crate::error::{Error, Result};
use crate::oci::resources::Resources;
use crate::os::blocking;

/// How often removal is tried: the kernel may still be at the last process's end.
const REMOVALS: u32 = 50;
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// In a scope of systemd, the emulator's cgroup (as crun calls it) and that of the scope's holder.
const CONTAINED: &str = "container";
const HOLDER: &str = "holder";

/// A container's cgroup, which may be one directory in each of several hierarchies.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    layout: Layout,
    /// Below the root of each hierarchy.
    path: PathBuf,
    /// The unit in which it lies.
    scope: Option<Scope>,
}

impl Cgroup {
    /// The cgroup of that `linux.cgroupsPath`, whether it exists or not.
    pub(crate) fn of(layout: Layout, cgroups_path: &str) -> Result<Self> {
        let (path, unit) = path::parse(cgroups_path)?;
        // In version 1 a directory keeps its limits, whoever has made it.
        let unit = unit.filter(|_| matches!(layout, Layout::V2(_)) && scope::booted());
        let scope = unit.map(Scope::new);
        let path = if scope.is_some() { path.join(CONTAINED) } else { path };
        Ok(Self { layout, path, scope })
    }

    /// Where a process is. In version 1 this is its place in the hierarchy of the memory controller: whoever makes
    /// containers puts them in the same place everywhere.
    pub(crate) fn of_process(layout: Layout, pid: u32) -> Result<Self> {
        let table = format!("/proc/{pid}/cgroup");
        let text = std::fs::read_to_string(&table).map_err(Error::io("read", &table))?;
        let v2 = matches!(layout, Layout::V2(_));
        // cgroups(7): `NUMBER:CONTROLLERS:PATH`, without controllers for version 2.
        let path = text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let named = controllers.split(',').any(|controller| controller == "memory");
            (if v2 { controllers.is_empty() } else { named }).then(|| path.trim_start_matches('/'))
        });
        Ok(Self { layout, path: path.ok_or(Error::NoCgroups)?.into(), scope: None })
    }

    /// Its place in the hierarchy, without a slash at the beginning.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it lies in a scope, which systemd removes when its last process has ended.
    pub(crate) fn is_of_systemd(&self) -> bool {
        self.path.iter().any(|name| Path::new(name).extension() == Some(OsStr::new("scope")))
    }

    /// Where the kernel tells that memory has run out, and whether that file must be registered for it (version 1).
    pub(crate) fn oom_file(&self) -> Option<(PathBuf, bool)> {
        let dir = self.dir("memory")?;
        Some(match self.version() {
            Version::V1 => (dir.join("memory.oom_control"), true),
            Version::V2 => (dir.join("memory.events"), false),
        })
    }

    /// Makes it, without limits. One that a killed container left, without processes, is replaced.
    pub(crate) async fn create(&mut self) -> Result<()> {
        let holder = match &mut self.scope {
            Some(scope) => Some(scope.start().await?),
            None => None,
        };
        let this = self.clone();
        let made = blocking::run(move || this.create_beside(holder)).await;
        if made.is_err() {
            self.end_scope().await;
        }
        made
    }

    /// Makes its directories, all or none.
    fn create_beside(&self, holder: Option<u32>) -> Result<()> {
        let beside = holder.map_or(Ok(()), |holder| self.put_beside(holder));
        let made = beside.and_then(|()| self.dirs().iter().try_for_each(|dir| self.create_in(dir)));
        if made.is_err() {
            are_gone(&self.dirs());
        }
        made
    }

    /// Moves the scope's holder into a cgroup of its own: only those without children hold processes.
    fn put_beside(&self, holder: u32) -> Result<()> {
        for dir in self.dirs() {
            let own = dir.with_file_name(HOLDER);
            DirBuilder::new().create(&own).map_err(Error::io("create", &own))?;
            let procs = own.join("cgroup.procs");
            std::fs::write(&procs, holder.to_string()).map_err(Error::io("write", procs))?;
        }
        Ok(())
    }

    fn create_in(&self, dir: &Path) -> Result<()> {
        match std::fs::remove_dir(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::CgroupInUse { path: dir.to_owned(), source: error });
            }
            _ => {}
        }
        let parents: Vec<&Path> = dir.ancestors().take(self.path.components().count() + 1).collect();
        // From the root, which exists, to the directory itself.
        for pair in parents.windows(2).rev() {
            let [child, parent] = pair else { continue };
            if self.version() == Version::V2 {
                delegate(parent);
            }
            match DirBuilder::new().mode(0o755).create(child) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::io("create", *child)(error));
                }
                _ => {}
            }
            inherit_cpuset(parent, child)?;
        }
        Ok(())
    }

    /// Its `cgroup.procs` files, open for writing.
    pub(crate) fn join_files(&self) -> Result<Vec<OwnedFd>> {
        let open = |dir: &PathBuf| {
            let path = dir.join("cgroup.procs");
            let file = OpenOptions::new().write(true).open(&path).map_err(Error::io("open", path))?;
            Ok(file.into())
        };
        self.dirs().iter().map(open).collect()
    }

    /// Moves a process into it.
    pub(crate) fn add(&self, pid: u32) -> Result<()> {
        self.dirs().iter().try_for_each(|dir| {
            let procs = dir.join("cgroup.procs");
            std::fs::write(&procs, pid.to_string()).map_err(Error::io("write", procs))
        })
    }

    /// Sets limits: all that `resources` names, or none. A lower one for memory waits until the kernel has that much.
    pub(crate) async fn limit(&self, resources: &Resources, overhead_mb: u32) -> Result<()> {
        let values = limits::values(self.version(), resources, overhead_mb);
        let this = self.clone();
        blocking::run(move || this.write_all(values)).await
    }

    /// Writes limits, all or none.
    fn write_all(&self, values: Vec<Value>) -> Result<()> {
        let mut done = Vec::new();
        for value in values {
            match self.write(&value) {
                Ok(before) => done.push(before),
                Err(error) => {
                    for before in done.iter().rev() {
                        if let Err(error) = self.write(before) {
                            log::error!("a limit stays changed: {}", crate::error::describe(&error));
                        }
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes a limit; gives what was there before.
    fn write(&self, value: &Value) -> Result<Value> {
        let Some(dir) = self.dir(value.controller) else {
            return Err(Error::Limit {
                what: value.file,
                text: value.text.clone(),
                source: std::io::Error::new(ErrorKind::Unsupported, "the kernel has no such controller"),
            });
        };
        let path = dir.join(value.file);
        let refused = |source| Error::Limit { what: value.file, text: value.text.clone(), source };
        let before = std::fs::read_to_string(&path).map_err(refused)?.trim().to_owned();
        std::fs::write(&path, &value.text).map_err(refused)?;
        Ok(Value { text: before, ..value.clone() })
    }

    /// Bytes that it uses now, if memory is accounted for.
    pub(crate) fn memory_in_use(&self) -> Option<u64> {
        let file = match self.version() {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        stats::number(&self.dir("memory")?, file)
    }

    /// How many processes in it the kernel has killed for want of memory; `None` if it is gone.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        let file = match self.version() {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        stats::table(&self.dir("memory")?, file).get("oom_kill").copied()
    }

    /// Removes it; no error if it is gone. What still runs in it is killed: an emulator whose daemon has died, and which
    /// nobody else would end before the next daemon. What cannot be removed is logged.
    pub(crate) async fn remove(&self) {
        let this = self.clone();
        if !remove_dirs(self.dirs(), move || this.kill()).await {
            log::warn!("the cgroup {} cannot be removed: it still has processes", self.path.display());
        }
        self.end_scope().await;
    }

    async fn end_scope(&self) {
        if let Some(scope) = &self.scope {
            scope.stop().await;
        }
    }

    fn kill(&self) {
        for dir in self.dirs() {
            let procs = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            // 0 is a process of another PID namespace, and to kill(2) this one's own group.
            for pid in procs.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 0) {
                // It may be gone by now.
                let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    fn version(&self) -> Version {
        match self.layout {
            Layout::V1(_) => Version::V1,
            Layout::V2(_) => Version::V2,
        }
    }

    /// Its directory in the hierarchy of a controller.
    fn dir(&self, controller: &str) -> Option<PathBuf> {
        match &self.layout {
            Layout::V1(controllers) => controllers.get(controller).map(|root| root.join(&self.path)),
            Layout::V2(root) => Some(root.join(&self.path)),
        }
    }

    /// Its directories, each once.
    fn dirs(&self) -> BTreeSet<PathBuf> {
        layout::CONTROLLERS.iter().filter_map(|controller| self.dir(controller)).collect()
    }
}

/// Removes what an OCI runtime that was killed at work leaves of a container's cgroup, in every hierarchy. What keeps
/// its processes is somebody else's as well, and stays.
pub(crate) async fn remove_empty(cgroups_path: &str) -> Result<()> {
    let (path, _) = path::parse(cgroups_path)?;
    let dirs = layout::mount_points()?.iter().map(|point| point.join(&path)).collect();
    remove_dirs(dirs, || {}).await;
    Ok(())
}

/// Removes them once they are empty, with `between` after each attempt in vain; false if they never were.
async fn remove_dirs(dirs: BTreeSet<PathBuf>, between: impl Fn() + Clone + Send + 'static) -> bool {
    for attempt in 0..REMOVALS {
        if attempt > 0 {
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
        let (dirs, between) = (dirs.clone(), between.clone());
        let gone = blocking::run(move || {
            Ok(are_gone(&dirs) || {
                between();
                false
            })
        })
        .await;
        if gone.unwrap_or(false) {
            return true;
        }
    }
    false
}

/// Removes those that are empty, and tells whether that was all.
fn are_gone(dirs: &BTreeSet<PathBuf>) -> bool {
    let stays =
        |dir: &&PathBuf| std::fs::remove_dir(dir).is_err_and(|error| error.kind() != ErrorKind::NotFound);
    dirs.iter().filter(stays).count() == 0
}

/// Hands the controllers down to the children. One that the kernel lacks, or that a service manager keeps to
/// itself, is missed when its limit is set.
fn delegate(parent: &Path) {
    let path = parent.join("cgroup.subtree_control");
    for controller in layout::UNIFIED {
        let _ = std::fs::write(&path, format!("+{controller}"));
    }
}

/// A new cpuset of version 1 is empty, and takes no process until it has CPUs and memory.
fn inherit_cpuset(parent: &Path, child: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = child.join(file);
        let Ok(own) = std::fs::read_to_string(&path) else { continue };
        // Version 2 has another file for what applies, and empty means the parent's.
        if own.trim().is_empty() && !child.join("cgroup.controllers").exists() {
            let inherited = std::fs::read(parent.join(file)).map_err(Error::io("read", parent.join(file)))?;
            std::fs::write(&path, inherited).map_err(Error::io("write", path))?;
        }
    }
    Ok(())
}
