//! `mica doctor` on machines that tests make: a directory in place of `/`, a `PATH` of scripts, and a real micad. Each test
//! breaks a sound machine in one way. What needs a containerd or a full disk is in `tests/host`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundle;
mod containerd;
mod cores;
mod daemon;
mod engines;
mod kernel;
mod leftovers;
mod machine;
mod permissions;
mod process;
mod report;
