//! Files that the async runtime watches.

use std::fs::File;
use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime tell when a file can be read or written.
pub(crate) fn register(file: File) -> io::Result<AsyncFd<File>> {
    register_for(file, Interest::READABLE | Interest::WRITABLE)
}

/// Has the runtime tell when something else happens to a file.
#[expect(unsafe_code, reason = "tokio leaves it to the caller that the descriptor stays the same")]
pub(crate) fn register_for(file: File, interest: Interest) -> io::Result<AsyncFd<File>> {
    // SAFETY: a `File` owns its descriptor and names the same one until it is dropped with the `AsyncFd`.
    Ok(unsafe { AsyncFd::register_with_interest(file, interest) }?)
}
