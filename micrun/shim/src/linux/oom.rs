//! Learns from the kernel that a container has run out of memory.
//!
//! Version 2 counts in `memory.events`, which polls as urgent when a number has changed; version 1 writes to an
//! eventfd that was registered for `memory.oom_control` (the kernel's `admin-guide/cgroup-v2.rst` and
//! `cgroup-v1/memory.rst`).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::event::{EventfdFlags, eventfd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result, describe};
use crate::os::blocking;
use crate::os::kernel_log::KernelLog;
use crate::os::watch::register_for;
use crate::task::context::Context;
use crate::task::events::Event;

/// Publishes a `TaskOOM` each time.
#[derive(Debug)]
pub(super) struct Watch {
    cgroup: Cgroup,
    task: JoinHandle<()>,
    /// How many kills are accounted for: those before the container, and those that were told.
    known: Arc<AtomicU64>,
    /// Those before the container.
    before: u64,
    /// If systemd removes the cgroup, it may do so before anybody has read what happened in it.
    log: Option<KernelLog>,
}

impl Watch {
    /// From now on; `None` if memory is not accounted for.
    pub(super) fn begin(context: &Arc<Context>, id: &str, cgroup: &Cgroup) -> Result<Option<Self>> {
        let Some((path, registered)) = cgroup.oom_file() else { return Ok(None) };
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let (fd, interest) = if registered {
            let fd = register(&path, &file).map_err(Error::io("watch", &path))?;
            (fd, Interest::READABLE)
        } else {
            (file.try_clone().map_err(Error::io("watch", &path))?, Interest::PRIORITY)
        };
        let fd = register_for(fd, interest).map_err(Error::io("watch", &path))?;
        let before = cgroup.oom_kills().unwrap_or_default();
        let known = Arc::new(AtomicU64::new(before));
        let (context, id, this, told) =
            (Arc::clone(context), id.to_owned(), cgroup.clone(), Arc::clone(&known));
        let task = tokio::spawn(async move {
            // Reading it arms version 2 for the next change; that of version 1 is the number of events.
            while happened(&fd, interest).await.is_ok() && path.exists() {
                // Version 1 tells before it kills.
                let kills =
                    if registered { told.load(Relaxed) + 1 } else { this.oom_kills().unwrap_or_default() };
                if kills > told.load(Relaxed) {
                    told.store(kills, Relaxed);
                    tell(&context, &id);
                }
            }
        });
        let log = cgroup.is_of_systemd().then(KernelLog::from_now).flatten();
        Ok(Some(Self { cgroup: cgroup.clone(), task, known, before, log }))
    }

    /// Tells what is still to be told: the container's own process has ended. The kernel reports at most each 10 ms
    /// (`CGROUP_FILE_NOTIFY_MIN_INTV`), and never of a cgroup that has been removed meanwhile.
    pub(super) async fn end(self, context: &Context, id: &str) {
        self.task.abort();
        // It was at rest, or it is by now.
        let _ = self.task.await;
        let known = self.known.load(Relaxed);
        let killed = match (self.cgroup.oom_kills(), self.log) {
            (Some(kills), _) => kills > known,
            (None, Some(log)) if known == self.before => is_told(log, self.cgroup).await,
            (None, _) => false,
        };
        if killed {
            tell(context, id);
        }
    }
}

fn tell(context: &Context, id: &str) {
    log::warn!(container = id; "{id} is out of memory: the kernel kills one of its processes");
    context.events.publish(Event::oom(id));
}

/// Whether the kernel's log tells that a process of the cgroup was killed. `mem_cgroup_print_oom_context` and
/// `dump_oom_victim` (`mm/memcontrol.c`, `mm/oom_kill.c`) write `oom-kill:...,task_memcg=/PATH,task=...`.
async fn is_told(log: KernelLog, cgroup: Cgroup) -> bool {
    let found = blocking::run(move || {
        let victim = format!(",task_memcg=/{}", cgroup.path().display());
        Ok(log.records().any(|record| {
            let rest = record.split_once(&victim).map(|(_, rest)| rest);
            record.contains("oom-kill:") && rest.is_some_and(|rest| rest.starts_with([',', '/']))
        }))
    });
    found.await.unwrap_or_else(|error| {
        log::warn!("{}", describe(&error));
        false
    })
}

/// An eventfd that version 1 writes to.
fn register(path: &Path, file: &File) -> io::Result<File> {
    let events = File::from(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let order = format!("{} {}", events.as_raw_fd(), file.as_raw_fd());
    std::fs::write(path.with_file_name("cgroup.event_control"), order)?;
    Ok(events)
}

async fn happened(fd: &AsyncFd<File>, interest: Interest) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut ready = fd.ready(interest).await?;
    ready.clear_ready();
    // An eventfd has no place to read from, and a file of the kernel's is read anew from its beginning.
    let read =
        if interest.is_priority() { fd.get_ref().read_at(&mut buffer, 0) } else { read(fd, &mut buffer) };
    match read {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

fn read(fd: &AsyncFd<File>, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut fd.get_ref(), &mut buffer[..8])
}
