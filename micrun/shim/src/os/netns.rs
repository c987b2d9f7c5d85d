//! A network namespace for what has no process of its own.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

use crate::error::{Error, Result};

/// What `/proc/PID/task/TID/comm` shows.
const NAME: &str = "network";
/// The stack of the thread, in bytes. It sleeps.
const STACK: usize = 64 << 10;

/// A new network namespace, which is there as long as this.
///
/// A thread is in it and sleeps: the kernel shows its namespaces below `/proc` by its number as it shows those of a
/// process. A process would cost fifty times the memory.
#[derive(Debug)]
pub(crate) struct NetworkNamespace {
    thread: u32,
    /// The thread ends when this is closed.
    _open: mpsc::Sender<Infallible>,
}

impl NetworkNamespace {
    /// Makes one. To be called where waiting is allowed.
    pub(crate) fn new() -> Result<Self> {
        let failed = || Error::io("make", "a network namespace");
        let (open, closed) = mpsc::channel::<Infallible>();
        let (tell, told) = mpsc::channel();
        let hold = move || {
            let made = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid());
            let is_made = made.is_ok();
            // Nobody listens if the one who asked has gone; then `closed` is closed as well.
            let _ = tell.send(made);
            if is_made {
                let _ = closed.recv();
            }
        };
        let thread = thread::Builder::new().name(NAME.to_owned()).stack_size(STACK);
        thread.spawn(hold).map_err(failed())?;
        let made = told.recv().map_err(|_| failed()(io::ErrorKind::Other.into()))?;
        let thread = made.map_err(|errno| failed()(errno.into()))?.as_raw().unsigned_abs();
        Ok(Self { thread, _open: open })
    }

    /// The number by which `/proc` has it.
    pub(crate) fn id(&self) -> u32 {
        self.thread
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn it_is_there_until_it_is_dropped() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: new namespaces need root");
            return;
        }
        let (one, two) = (NetworkNamespace::new().unwrap(), NetworkNamespace::new().unwrap());
        let path = |network: &NetworkNamespace| PathBuf::from(format!("/proc/{}/ns/net", network.id()));
        let places = [path(&one), path(&two), "/proc/self/ns/net".into()];
        let [first, second, own] = places.clone().map(|place| fs::read_link(place).unwrap());
        assert!(first != own && second != own && first != second);
        drop(one);
        while places[0].exists() {
            thread::yield_now();
        }
        assert_eq!(fs::read_link(&places[1]).unwrap(), second);
    }
}
