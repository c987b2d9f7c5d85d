//! The real daemon on a simulated board: a directory tree like sysfs, and a thread that does what the kernel's
//! remoteproc and rpmsg drivers do ([`kernel`]). What QEMU cannot show, drivers of real boards first.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod board;
mod channels;
mod choice;
mod console;
mod crashed;
mod diagnosis;
mod gdb;
#[path = "../daemon/harness.rs"]
#[allow(dead_code, unused_imports, reason = "made for the other tests of the daemon")]
mod harness;
mod kernel;
mod lifecycle;
mod patch;
mod restart;
mod revive;
#[path = "../daemon/tiny_elf.rs"]
#[allow(dead_code, reason = "made for the other tests of the daemon")]
mod tiny_elf;
mod traces;
mod watchdog;
