//! FIFOs that containerd or its client made. Both ends of each are held, so that a containerd that restarts is
//! no end of file (containerd, `cmd/containerd-shim-runc-v2/process/io.go`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use super::input::hung_up;

/// Opens a FIFO to read. As long as the second is there, the first has no end.
pub(super) fn input(path: &Path) -> io::Result<(Receiver, Sender)> {
    let reader = OpenOptions::new().open_receiver(path)?;
    // Succeeds because the line above is a reader.
    let keep_open = OpenOptions::new().open_sender(path)?;
    Ok((reader, keep_open))
}

/// Whether anybody but us, who `keep` it open, has the FIFO open for writing, or has left something in it to be read.
///
/// The kernel does not count writers for others, so ours is closed for a moment. Nobody may read the FIFO meanwhile: this
/// must run on the thread that does, which then finds that nothing has happened.
pub(crate) fn is_in_use(fifo: &OwnedFd, keep: &mut Option<Sender>) -> io::Result<bool> {
    let Some(kept) = keep.take() else { return Ok(!hung_up(fifo)?) };
    drop(kept);
    let alone = hung_up(fifo);
    let same = format!("/proc/self/fd/{}", fifo.as_raw_fd());
    *keep = Some(OpenOptions::new().open_sender(same)?);
    Ok(!alone?)
}

/// Opens a FIFO to write, and to read as well, so that it works without a reader.
pub(super) fn output(path: &Path) -> io::Result<Sender> {
    OpenOptions::new().read_write(true).open_sender(path)
}
