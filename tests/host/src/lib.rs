//! Harness of the end-to-end tests: a real containerd, micad, image builder and shim, in private namespaces.
//!
//! Each test process is started by `tests/host/isolated` (see `tests/.config/nextest.toml`), so containerd and micad use
//! their default paths and nothing outlives a test. By hand, in `tests/`:
//! `cargo nextest run -p micrun-host-tests`, or `tests/host/isolated target/debug/deps/NAME-HASH TEST`.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test harness reports what went wrong by panicking"
)]

pub mod archive;
pub mod collector;
pub mod console;
pub mod containerd;
pub mod daemon;
pub mod events;
pub mod fault;
pub mod firmware;
pub mod host;
pub mod isolation;
pub mod leftovers;
pub mod micad;
pub mod odd;
pub mod printer;
pub mod process;
pub mod shim;
pub mod system;
pub mod usage;
pub mod wait;

pub use console::Console;
pub use fault::Fault;
pub use host::Host;
pub use process::Output;
