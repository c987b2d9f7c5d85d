//! The real daemon on a simulated board: a directory tree like sysfs, and a thread that does what the kernel's
//! remoteproc and rpmsg drivers do ([`kernel`]). What QEMU cannot show, drivers of real boards first.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod board;
mod channels;
mod choice;
mod console;
mod diagnosis;
mod gdb;
#[path = "../daemon/harness.rs"]
#[allow(dead_code, unused_imports, reason = "made for the other tests of the daemon")]
mod harness;
mod kernel;
mod lifecycle;
mod patch;
mod restart;
mod traces;
mod watchdog;
