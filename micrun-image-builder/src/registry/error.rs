//! What can go wrong between this program and a registry.
//!
//! An enumeration of its own, because it comes and goes with the feature `registry`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request got no answer.
    #[error("no answer to {request}")]
    Network {
        request: String,
        #[source]
        source: reqwest::Error,
    },
    /// Whoever answers speaks no TLS, or nobody vouches for its certificate.
    #[error(
        "no TLS for {request}; a registry without TLS needs --plain-http, one with an authority of its own needs that \
         authority's file (docs/REGISTRY.md)"
    )]
    Tls {
        request: String,
        #[source]
        source: reqwest::Error,
    },
    /// The answer ended early, or could not be read.
    #[error("the answer to {request} broke off")]
    Cut {
        request: String,
        #[source]
        source: io::Error,
    },
    /// The registry answered with an error.
    #[error("{request} was answered {status}{said}")]
    Status {
        request: String,
        status: StatusCode,
        /// What the registry said about it, after a colon; or nothing.
        said: String,
        /// How long the registry wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The registry wants other credentials, or any.
    #[error(
        "{host} denies access to {what}; run `micrun-image-builder login {host}` with an account that may"
    )]
    Denied { host: String, what: String },
    /// The answer is none that the distribution specification knows.
    #[error("{request} got an answer that no registry gives: {reason}")]
    Protocol { request: String, reason: String },
    /// The registry has forgotten an upload that was begun.
    #[error("{host} has lost the upload of {digest}")]
    UploadLost { host: String, digest: String },
    /// A file that says how registries are reached.
    #[error("{} cannot be used: {reason}", path.display())]
    Settings { path: PathBuf, reason: String },
    /// The stored credentials cannot be read.
    #[error("the stored credentials for {host} cannot be used: {reason}")]
    Credentials { host: String, reason: String },
}

/// Answers that a later attempt may not get: the list of go-containerregistry.
const PASSING: [StatusCode; 7] = [
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
    // Cloudflare's "connection timed out", which stands before many registries.
    match StatusCode::from_u16(522) {
        Ok(status) => status,
        Err(_) => StatusCode::GATEWAY_TIMEOUT,
    },
];

impl Error {
    /// Why a request got no answer.
    pub(super) fn unanswered(request: String, source: reqwest::Error) -> Self {
        if is_tls(&source) { Self::Tls { request, source } } else { Self::Network { request, source } }
    }

    /// Whether another attempt may succeed.
    pub(super) fn passes(&self) -> bool {
        match self {
            // A registry that refuses connections may be about to start.
            Self::Network { source, .. } => !source.is_builder() && !source.is_redirect(),
            Self::Cut { .. } | Self::UploadLost { .. } => true,
            Self::Status { status, .. } => PASSING.contains(status),
            _ => false,
        }
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The exit status of the program: 1 a fault of the network, 2 a file of settings, 5 the registry said
    /// no.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Network { .. }
            | Self::Tls { .. }
            | Self::Cut { .. }
            | Self::Protocol { .. }
            | Self::UploadLost { .. } => 1,
            Self::Settings { .. } | Self::Credentials { .. } => 2,
            Self::Status { status, .. } if status.is_server_error() => 1,
            Self::Status { .. } | Self::Denied { .. } => 5,
        }
    }
}

/// Whether the two ends cannot agree on TLS. hyper's connector wraps what rustls says in I/O errors, whose
/// `source` is
/// not what they hold.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    held.is_some_and(|held| is_tls(held)) || error.source().is_some_and(is_tls)
}
