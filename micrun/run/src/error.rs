//! What can go wrong.

use std::io;

/// Why the container did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// containerd did not do what was asked.
    #[error(transparent)]
    Containerd(#[from] micrun_containerd::Error),
    /// The image is not what an image is.
    #[error("the image {name} cannot be run: {reason}")]
    Image { name: String, reason: String },
    /// Another has the name.
    #[error(
        "there is a container {name} already, which this program has not made; remove it (ctr containers rm {name}), or \
         give this one another name"
    )]
    Taken { name: String },
    /// Nobody knows how it ended.
    #[error("{name} has ended with its shim, so its exit status is lost")]
    Gone { name: String },
    /// It may run, unseen.
    #[error("the console of {name} is lost; systemctl restart its unit")]
    Console { name: String },
    /// The program that shows the console does not start.
    #[error("cannot start mica, which shows the console")]
    Mica {
        #[source]
        source: io::Error,
    },
    /// The system does not tell of signals.
    #[error("cannot wait for SIGTERM")]
    Signals {
        #[source]
        source: io::Error,
    },
}

/// The result of everything here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
