//! A registry of Debian's on the loopback device, and a proxy before it that makes faults and wants tokens.
//!
//! The registry is docker-registry of Debian 12, unpacked by `tests/host/strangers`. No test needs root.
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a failed step fails the test")]

pub mod bench;
pub mod gate;
pub mod message;
pub mod proxy;
pub mod registry;
