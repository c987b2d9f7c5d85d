//! The console socket, over which a runtime hands out the terminal that it made (runc, `docs/terminals.md`).

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::net::UnixListener;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::os::tty::Tty;

/// How long the terminal may take after the runtime has done its work.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A listening socket; its file is gone when this is.
#[derive(Debug)]
pub(super) struct ConsoleSocket {
    /// Its path, short enough for any runtime.
    path: PathBuf,
    listener: UnixListener,
}

impl ConsoleSocket {
    /// Listens below `dir`.
    pub(super) fn listen(dir: &Path) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::io("create", dir))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("tty-{}-{number}", std::process::id()));
        // A shim with the same number may have died here.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(Error::io("listen on", &path))?;
        Ok(Self { path, listener })
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the terminal that was sent.
    pub(super) async fn receive(self) -> Result<Tty> {
        let receive = async {
            let (stream, _) = self.listener.accept().await?;
            loop {
                stream.readable().await?;
                match stream.try_io(tokio::io::Interest::READABLE, || take(&stream)) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    result => return result,
                }
            }
        };
        let late = || Err(io::Error::from(ErrorKind::TimedOut));
        let result = timeout(ARRIVAL, receive).await.unwrap_or_else(|_| late());
        result.map_err(Error::io("receive the terminal from", &self.path))
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn take(stream: &tokio::net::UnixStream) -> io::Result<Tty> {
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sent = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let master = sent.next().ok_or_else(|| io::Error::other("no descriptor came with the message"))?;
    Tty::from_master(master)
}
