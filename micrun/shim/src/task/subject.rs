//! What a request is about, in the words of messages.

use std::fmt;

/// A process that has a life of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A container, which means its init process.
    Container(String),
    /// A further process of a container.
    Exec {
        /// The container's id.
        container: String,
        /// The process's own id.
        id: String,
    },
    /// A sandbox.
    Sandbox(String),
}

impl Subject {
    /// A process of a container; an empty `exec_id` is its init process.
    pub(crate) fn process(container: &str, exec_id: &str) -> Self {
        let container = container.to_owned();
        match exec_id {
            "" => Self::Container(container),
            id => Self::Exec { container, id: id.to_owned() },
        }
    }

    /// The container that it is, or that it belongs to; for a sandbox its own id.
    pub(crate) fn container(&self) -> &str {
        match self {
            Self::Container(id) | Self::Sandbox(id) | Self::Exec { container: id, .. } => id,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(id) => write!(f, "container `{id}`"),
            Self::Exec { container, id } => write!(f, "exec `{id}` of container `{container}`"),
            Self::Sandbox(id) => write!(f, "sandbox `{id}`"),
        }
    }
}
