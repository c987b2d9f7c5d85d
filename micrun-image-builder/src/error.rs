//! What can go wrong, as sentences, and the exit status each error has.

use std::error::Error as _;
use std::io;
use std::iter;
use std::path::PathBuf;

/// Why a pack or an inspection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The firmware or an annotation was refused; the reason names it.
    #[error(transparent)]
    Firmware(#[from] micrun_firmware::Error),
    /// The client.conf that was given, or the one made from the options, was refused.
    #[error("{origin} cannot be used")]
    Conf {
        origin: String,
        #[source]
        source: micrun_firmware::Error,
    },
    /// The firmware and what is said about it contradict each other, or it cannot be packed.
    #[error("{} cannot be packed: {reason}", path.display())]
    Refused { path: PathBuf, reason: String },
    /// A `K=V` argument, a name, a platform or an environment variable is malformed.
    #[error("{what} {value:?} cannot be used: {reason}")]
    Argument { what: &'static str, value: String, reason: String },
    /// A file that describes images is wrong. `place` is `FILE:LINE:COLUMN`.
    #[error("{place}: {reason}")]
    File { place: String, reason: String },
    /// An image that a file describes could not be packed. `place` is `FILE:LINE`.
    #[error("{place}: this image was not packed")]
    At {
        place: String,
        #[source]
        source: Box<Error>,
    },
    /// The firmware of one of an image's boards could not be packed.
    #[error("the firmware for the board {name} was not packed")]
    Board {
        name: String,
        #[source]
        source: Box<Error>,
    },
    /// The destination is something that must not be overwritten.
    #[error("{} was not written: {reason}", path.display())]
    Destination { path: PathBuf, reason: &'static str },
    /// Nobody whose key is trusted has signed the image.
    #[error("{name} is not signed as asked: {reason}")]
    Unsigned { name: String, reason: String },
    /// The image is not an OCI image or layout.
    #[error("{} is not an OCI image: {reason}", path.display())]
    NotImage { path: PathBuf, reason: String },
    /// The image contradicts itself.
    #[error("the image is damaged: {0}")]
    Damaged(String),
    /// A part of the image is not in this archive or layout.
    #[error("the image is incomplete here: {0}")]
    Incomplete(String),
    /// The image may be in order, but not for this program.
    #[error("the image cannot be read here: {0}")]
    Unreadable(String),
    /// `verify` has listed what is wrong. `status` is the exit status of the worst of it.
    #[error("{} is not in order: {count} found", path.display())]
    Findings { path: PathBuf, count: String, status: u8 },
    /// A name in the image's `index.json` can be understood in two ways.
    #[error(
        "two different images are named {name:?}: each tool takes another one; remove or rename one of them"
    )]
    Ambiguous { name: String },
    /// JSON of the image could not be understood.
    #[error("the image is damaged: {name} is not the expected JSON")]
    Json {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    /// containerd did not do what was asked.
    #[cfg(feature = "containerd")]
    #[error(transparent)]
    Containerd(#[from] micrun_containerd::Error),
    /// This program could not start its event loop.
    #[cfg(feature = "containerd")]
    #[error("cannot wait for containerd")]
    EventLoop {
        #[source]
        source: io::Error,
    },
    /// A registry did not do what was asked.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
}

impl Error {
    /// The sentence with those of its causes.
    pub(crate) fn with_causes(&self) -> String {
        let causes = iter::successors(self.source(), |&cause| cause.source());
        let sentences: Vec<_> = iter::once(self.to_string()).chain(causes.map(ToString::to_string)).collect();
        sentences.join(": ")
    }

    /// The exit status of the program (`docs/IMAGE_BUILDER.md`, "Exit status"); 2 is clap's, for wrong usage.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            // The machine's fault, whatever the file is of.
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Firmware(micrun_firmware::Error::Io { .. })
            | Self::Conf { source: micrun_firmware::Error::Io { .. }, .. } => 1,
            #[cfg(feature = "containerd")]
            Self::Containerd(error) => crate::containerd::exit_status(error),
            #[cfg(feature = "containerd")]
            Self::EventLoop { .. } => 1,
            #[cfg(feature = "registry")]
            Self::Registry(error) => error.exit_status(),
            Self::Argument { .. } | Self::File { .. } | Self::Destination { .. } => 2,
            Self::At { source, .. } | Self::Board { source, .. } => source.exit_status(),
            Self::Findings { status, .. } => *status,
            Self::Firmware(_) | Self::Conf { .. } | Self::Refused { .. } | Self::Unsigned { .. } => 3,
            Self::NotImage { .. } | Self::Damaged(_) | Self::Ambiguous { .. } | Self::Json { .. } => 4,
            Self::Incomplete(_) | Self::Unreadable(_) => 6,
        }
    }
}

/// The result of everything here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
