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

use rustix::event::{EventfdFlags, eventfd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::os::watch::register_for;
use crate::task::context::Context;
use crate::task::events::Event;

/// Publishes a `TaskOOM` each time, until the cgroup is gone.
pub(super) fn watch(context: &Arc<Context>, id: &str, cgroup: &Cgroup) -> Result<()> {
    let Some((path, registered)) = cgroup.oom_file() else { return Ok(()) };
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    let (fd, interest) = if registered {
        let fd = register(&path, &file).map_err(Error::io("watch", &path))?;
        (fd, Interest::READABLE)
    } else {
        (file.try_clone().map_err(Error::io("watch", &path))?, Interest::PRIORITY)
    };
    let fd = register_for(fd, interest).map_err(Error::io("watch", &path))?;
    let (context, id, cgroup) = (Arc::clone(context), id.to_owned(), cgroup.clone());
    tokio::spawn(async move {
        let mut told = cgroup.oom_kills();
        // Reading it arms version 2 for the next change; that of version 1 is the number of events.
        while happened(&fd, interest).await.is_ok() && path.exists() {
            let kills = cgroup.oom_kills();
            // Version 1 tells before it kills.
            if registered || kills > told {
                log::warn!(container = id; "{id} is out of memory: the kernel kills one of its processes");
                context.events.publish(Event::oom(&id));
            }
            told = kills;
        }
    });
    Ok(())
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
