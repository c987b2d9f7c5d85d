//! Why an input cannot be read. The readers of formats give reasons; [`super`] adds the file's name.

use std::io;

/// The result of the readers of formats.
pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// What is wrong with an input, or with its reading.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The temporary file that becomes the ELF cannot be written.
    #[error("the temporary file cannot be used")]
    Temporary(#[source] io::Error),
    /// The contents are refused, for this reason.
    #[error("{0}")]
    Refused(String),
}

impl Fault {
    /// A refusal.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }
}
