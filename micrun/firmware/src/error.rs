//! The crate's error. Everything in it is the image's or the caller's fault and reaches the user as it
//! stands, except [`Error::Io`], which is the host's.

use std::io;

use crate::elf::Fault;
use crate::ini;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image, or a piece of one, is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An annotation, or a key of client.conf's `[Micrun]` section, has a value that cannot be read.
    #[error("annotation {key}: {reason}")]
    Annotation {
        /// The full key, prefix included.
        key: String,
        /// What is wrong with the value and what is accepted.
        reason: String,
    },
    /// A line of client.conf cannot be read, or its value cannot be used.
    #[error("client.conf, {0}")]
    Conf(#[from] ini::Fault),
    /// A client.conf would not be read back as it is meant.
    #[error(
        "client.conf cannot be written: {key} begins or ends with a space, is empty, or has a line break; \
         change it"
    )]
    ConfUnwritable {
        /// As the file's documentation spells it.
        key: &'static str,
    },
    /// There is no such key.
    #[error("{reason}")]
    ConfKey {
        /// The warning that the file's reader gives for it.
        reason: String,
    },
    /// client.conf lacks a key that this use of it needs.
    #[error("client.conf, [{section}]: {key} is missing; add a line {key}=VALUE")]
    ConfMissing {
        /// As the file's documentation spells it.
        section: &'static str,
        /// As the file's documentation spells it.
        key: &'static str,
    },
    /// The host's own configuration cannot be used.
    #[error("{place}: {reason}")]
    HostConf {
        /// The file or directory.
        place: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// The policy of the host forbids what an image or a container asks for.
    #[error("{subject} is not allowed on this host: {rule}; {remedy}")]
    Policy {
        /// What was asked for.
        subject: String,
        /// The key that forbids it, its file and its value.
        rule: String,
        /// What the user, or the host's administrator, can do.
        remedy: String,
    },
    /// A path of the image leaves its rootfs, or could.
    #[error("path {path} is refused: {reason}; name a file inside the image")]
    Escape {
        /// The path as the image or the specification gives it.
        path: String,
        /// How it leaves the rootfs.
        reason: String,
    },
    /// There is no such file. The first words are upstream's.
    #[error("firmware file not found: {path} ({looked_for})")]
    NotFound {
        /// The path inside the image.
        path: String,
        /// Who asked for this file, or where else was looked.
        looked_for: String,
    },
    /// The image has firmware, and none of it is for this host's board.
    #[error(
        "no firmware for this host's board: the image has one for {boards}, and the board is {host}; pack the image for \
         this board, or name one of the image's in micrun.conf (board = NAME)"
    )]
    OtherBoard {
        /// The boards of the image.
        boards: String,
        /// What the host's board is called, and who says so.
        host: String,
    },
    /// The image has firmware for several boards, and nobody says which one is meant.
    #[error("the image has a firmware for each of the boards {boards}; name one of them")]
    SeveralBoards {
        /// The boards of the image.
        boards: String,
    },
    /// The path leads to something that is not a usable regular file.
    #[error("{path} cannot be used: {reason}")]
    Unusable {
        /// The path inside the image.
        path: String,
        /// What it is instead, or which limit it exceeds.
        reason: String,
    },
    /// The firmware is not the one that was asked for. The first words are upstream's.
    #[error(
        "firmware sha256 mismatch for {path}: the annotation asks for {expected}, the file has {actual}; \
         pack the intended firmware or correct the annotation"
    )]
    DigestMismatch {
        /// The path inside the image.
        path: String,
        /// The digest that was asked for.
        expected: crate::Sha256Digest,
        /// The digest of the file.
        actual: crate::Sha256Digest,
    },
    /// The firmware changed between its check and its use.
    #[error(
        "{path} changed while it was being used; start the container again when nothing changes the image"
    )]
    Changed {
        /// The path inside the image.
        path: String,
    },
    /// A text that should be a sha256 digest is none.
    #[error(
        "{text} is not a sha256 digest; write 64 hexadecimal digits, with or without \"sha256:\" in front"
    )]
    Digest {
        /// The text, quoted, shortened when long.
        text: String,
    },
    /// The firmware's ELF is damaged or is not for this use.
    #[error("{path}: {fault}")]
    Elf {
        /// The path inside the image, or "the firmware" when only its bytes are known.
        path: String,
        /// What is wrong and what to do.
        fault: Box<Fault>,
    },
    /// Two firmwares cannot be compared byte by byte.
    #[error(
        "the firmwares do not load the same segments: {reason}; such a change needs the whole firmware and a new \
         start"
    )]
    Layout {
        /// What is not the same.
        reason: String,
    },
    /// A delta cannot be read, or does not fit its base.
    #[error(
        "the firmware's delta cannot be used: {reason}; pull the image again, or pack the firmware as a whole"
    )]
    Delta {
        /// What is wrong with it.
        reason: String,
    },
    /// A layer-modification record cannot be used.
    #[error("layer record: {reason}")]
    Record {
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused an operation on the image's files.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: "open", "read", ...
        action: &'static str,
        /// The path it was tried on.
        path: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// A fault of an ELF whose path is not known yet; [`Error::in_file`] adds it.
    pub(crate) fn elf(fault: Fault) -> Self {
        Self::Elf { path: "the firmware".into(), fault: fault.into() }
    }

    /// Names the file in an error that was made from bytes alone.
    #[must_use]
    pub fn in_file(self, path: &str) -> Self {
        match self {
            Self::Elf { fault, .. } => Self::Elf { path: path.into(), fault },
            Self::Io { action, source, .. } => Self::Io { action, path: path.into(), source },
            other => other,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}
