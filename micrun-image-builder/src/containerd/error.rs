//! What can go wrong between this program and containerd.
//!
//! An enumeration of its own, because it comes and goes with the feature `containerd`.

use std::io;

use tonic::{Code, Status};

/// Why containerd did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// This program could not start its event loop.
    #[error("cannot wait for containerd")]
    Runtime {
        #[source]
        source: io::Error,
    },
    /// Nobody answers at the socket.
    #[error("no containerd answers at {address}; start it, become root, or name its socket with --address")]
    Unreachable {
        address: String,
        #[source]
        source: tonic::transport::Error,
    },
    /// The namespace cannot be one.
    #[error("the namespace {namespace:?} cannot be used: write letters, digits, dots and dashes")]
    Namespace { namespace: String },
    /// containerd answered with an error.
    #[error("containerd did not {what}: {said}")]
    Refused { what: String, said: String, code: Code },
    /// A layer of the image is not what its config says.
    #[error("the image is damaged: its layer {layer} unpacks to {actual}, but the config says {expected}")]
    Layer { layer: String, actual: String, expected: String },
}

impl Error {
    /// What containerd answered when it was asked to do `what`.
    pub(super) fn refused(what: impl Into<String>, status: &Status) -> Self {
        Self::Refused { what: what.into(), said: status.message().to_owned(), code: status.code() }
    }

    /// The exit status of the program: 1 containerd is not there or ended, 5 it said no.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Self::Runtime { .. } | Self::Unreachable { .. } => 1,
            Self::Refused { code: Code::Unavailable | Code::Cancelled | Code::Unknown, .. } => 1,
            Self::Namespace { .. } => 2,
            Self::Layer { .. } => 4,
            Self::Refused { .. } => 5,
        }
    }
}
