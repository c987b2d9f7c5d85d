//! Harness of the Docker tests: a Docker of one of Debian's suites, with the containerd of the same suite, in the test's own
//! namespaces. `tests/docker/matrix` has unpacked them.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test harness reports what went wrong by panicking"
)]

mod docker;
mod engine;

pub use docker::{Running, docker, docker_piped, docker_terminal, run_detached};
pub use engine::{Engine, IMAGE_STORE, program};

/// An image for Linux: busybox.
pub const LINUX: &str = "localhost/busybox:1";
/// What the demo has printed when it can be talked to. Docker's log has lines alone, so never the prompt that follows.
pub const READY: &str = "help lists the commands";
/// Names the prompt of the demo's shell.
pub const WITH_PROMPT: [&str; 2] = ["--annotation", "org.openeuler.micrun.container.shell_prompt=micrun>"];
