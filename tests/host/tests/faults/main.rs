//! Faults, each brought about several times: what is told of them, what goes on, and that nothing is left.
//!
//! `make faults` makes a table of them. The faults of the Task API alone are in `tests/conformance`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step fails the test")]

mod creation;
mod daemons;
mod disk;
mod endings;
mod engine;
mod growth;
mod names;
mod shim;
