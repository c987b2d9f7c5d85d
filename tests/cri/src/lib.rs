//! Harness of the CRI tests: containerd with its CRI plugin, driven over gRPC as the kubelet does it, with Debian's
//! CNI plugins in the test's own network namespace.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test harness reports what went wrong by panicking"
)]

mod cri;
mod node;
mod stream;

pub use cri::{Answer, Cri, LABEL, Pod, USERS, USERS_COUNT};
pub use node::{GATEWAY, LINUX, NAMESPACE, Node, version};
pub use stream::Stream;
