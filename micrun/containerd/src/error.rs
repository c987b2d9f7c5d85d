//! What can go wrong between a program and containerd.

use std::io;

use tonic::{Code, Status};

/// Why containerd did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers at the socket.
    #[error(
        "no containerd answers at {address}; start it, become root, or name its socket (CONTAINERD_ADDRESS)"
    )]
    Unreachable {
        /// The socket.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// The namespace cannot be one.
    #[error("the namespace {namespace:?} cannot be used: write letters, digits, dots and dashes")]
    Namespace {
        /// What was said.
        namespace: String,
    },
    /// containerd answered with an error.
    #[error("containerd did not {what}: {said}")]
    Refused {
        /// What it was asked to do.
        what: String,
        /// Its answer.
        said: String,
        /// The kind of answer.
        code: Code,
    },
    /// A layer of the image is not what its config says.
    #[error("the image is damaged: its layer {layer} unpacks to {actual}, but the config says {expected}")]
    Layer {
        /// The layer's digest.
        layer: String,
        /// The digest of what it unpacks to.
        actual: String,
        /// The digest that the config has.
        expected: String,
    },
    /// A blob that was to be sent cannot be read.
    #[error("cannot read {digest}")]
    Read {
        /// The blob.
        digest: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What containerd gave cannot be written.
    #[error("cannot write {digest}")]
    Write {
        /// The blob.
        digest: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What containerd gave is something else.
    #[error("the image is damaged: containerd gave {actual} for {digest}")]
    Differs {
        /// The blob.
        digest: String,
        /// What came.
        actual: String,
    },
}

impl Error {
    /// What containerd answered when it was asked to do `what`.
    pub fn refused(what: impl Into<String>, status: &Status) -> Self {
        Self::Refused { what: what.into(), said: status.message().to_owned(), code: status.code() }
    }

    /// Whether containerd does not have what was asked for.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code: Code::NotFound, .. })
    }

    /// Whether containerd has ended, or its connection: it said nothing itself.
    pub const fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Refused { code: Code::Unavailable | Code::Cancelled | Code::Unknown, .. }
        )
    }
}

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
