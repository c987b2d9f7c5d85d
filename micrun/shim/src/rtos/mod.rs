//! Containers of RTOS firmware: clients of a mica daemon.
//!
//! It may use `task`, `stdio`, `cgroup`, `oci` and `os`, and knows nothing of `linux`.

mod auto_close;
pub(crate) mod bootargs;
pub(crate) mod checkpoint;
mod command;
pub(crate) mod console;
pub(crate) mod container;
pub(crate) mod create;
pub(crate) mod end;
pub(crate) mod engine;
pub(crate) mod exec;
mod exec_output;
pub(crate) mod firmware;
pub(crate) mod ignored;
mod losses;
pub(crate) mod patch;
mod plan;
mod readiness;
pub(crate) mod shell;
mod shell_reader;
pub(crate) mod state_dir;
mod stops;
mod supervise;
mod terminal;
mod terms;
pub(crate) mod update;
