//! FIFOs that containerd or its client made. Both ends of each are held, so that a containerd that restarts is
//! no end of file (containerd, `cmd/containerd-shim-runc-v2/process/io.go`).

use std::io;
use std::path::Path;

use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

/// Opens a FIFO to read. As long as the second is there, the first has no end.
pub(super) fn input(path: &Path) -> io::Result<(Receiver, Sender)> {
    let reader = OpenOptions::new().open_receiver(path)?;
    // Succeeds because the line above is a reader.
    let keep_open = OpenOptions::new().open_sender(path)?;
    Ok((reader, keep_open))
}

/// Opens a FIFO to write, and to read as well, so that it works without a reader.
pub(super) fn output(path: &Path) -> io::Result<Sender> {
    OpenOptions::new().read_write(true).open_sender(path)
}
