//! The real daemon with real QEMU, driven over its sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod accounting;
mod boards;
mod broker;
mod checkpoint;
mod cli;
mod conf;
mod confinement;
mod connections;
mod console;
mod cores;
mod diagnosis;
mod endings;
mod events;
mod harness;
mod history;
#[cfg(target_arch = "x86_64")]
mod jail;
mod lifecycle;
mod log;
mod metrics;
mod monitor;
mod patch;
mod policy;
mod pool;
mod prometheus;
mod reactor;
mod reload;
mod restart;
mod scrapers;
mod shell;
mod stopping;
mod store;
mod tiny_elf;
mod top;
mod upstream;
mod watch;
mod watchdog;
