//! A file that output is appended to.
//!
//! A disk may be slow, full or gone, and there is no waiting for it without blocking: a thread does that, at the
//! other end of a pipe.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use tokio::net::unix::pipe::Sender;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::PATIENCE;

/// As much as a pipe holds.
const BUFFER: usize = 64 * 1024;
/// The thread reads and writes; it needs no more.
const STACK: usize = 64 * 1024;

/// Resolves, by its sender being dropped, when everything is in the file.
pub(super) type Written = oneshot::Receiver<()>;

/// Opens the file at `path`; `create` makes it and its directories if need be.
pub(super) async fn output(path: &Path, create: bool) -> io::Result<(Sender, Written)> {
    let (mut reader, writer) = io::pipe()?;
    let (opened, opening) = oneshot::channel();
    let (done, written) = oneshot::channel();
    let path = path.to_owned();
    let work = move || {
        // Whoever waits for the word may have given up.
        match LogFile::open(&path, create) {
            Ok(mut log) => {
                if opened.send(Ok(())).is_ok() {
                    log.take(&mut reader);
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        }
        drop(done);
    };
    thread::Builder::new().name("stdio-file".into()).stack_size(STACK).spawn(work)?;
    let late = |_| io::Error::new(ErrorKind::TimedOut, format!("the disk did not answer in {PATIENCE:?}"));
    // The thread always sends.
    timeout(PATIENCE, opening).await.map_err(late)?.map_err(io::Error::other)??;
    Ok((Sender::from_owned_fd(OwnedFd::from(writer))?, written))
}

struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode of `file`, unless it is no file that can be rotated.
    identity: Option<(u64, u64)>,
    /// Bytes that could not be written since the last success.
    lost: usize,
}

impl LogFile {
    fn open(path: &Path, create: bool) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|_| create) {
            DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
        }
        let file = append_to(path, create)?;
        let identity = identity(&file.metadata()?);
        Ok(Self { path: path.to_owned(), file, identity, lost: 0 })
    }

    /// Writes all that comes until the end.
    fn take(&mut self, pipe: &mut PipeReader) {
        let mut buffer = vec![0; BUFFER];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return self.end(),
                Ok(count) => self.append(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return log::error!("reading output for {} failed: {error}", self.path.display());
                }
            }
        }
    }

    fn append(&mut self, mut bytes: &[u8]) {
        self.follow();
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if self.lost == 0 {
                        log::error!("output for {} is being lost: {error}", self.path.display());
                    }
                    self.lost += bytes.len();
                    return;
                }
            }
        }
        if self.lost > 0 {
            log::error!("{} can be written again; {} bytes were lost", self.path.display(), self.lost);
            self.lost = 0;
        }
    }

    /// Says what has not been said: nothing more will be written.
    fn end(&self) {
        if self.lost > 0 {
            log::error!("{} has ended; {} bytes of output were lost", self.path.display(), self.lost);
        }
    }

    /// Goes on in a new file once a rotation has taken the old one's name. Until the new one can be opened,
    /// the old one is used.
    fn follow(&mut self) {
        let Some(current) = self.identity else { return };
        if std::fs::metadata(&self.path).ok().as_ref().and_then(identity) == Some(current) {
            return;
        }
        if let Ok(next) = Self::open(&self.path, true) {
            (self.file, self.identity) = (next.file, next.identity);
        }
    }
}

fn append_to(path: &Path, create: bool) -> io::Result<File> {
    File::options().append(true).create(create).mode(0o644).open(path)
}

fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}
