//! The Task service against a daemon that misbehaves on purpose: what a healthy one never shows. Everything
//! else is tested with the real parts in `tests/host`.

mod abandoned;
mod borrowed;
mod creation;
mod daemon;
mod errors;
mod execs;
mod faults;
mod fixture;
mod labels;
mod life;
mod linux;
mod patch;
mod pedestal_file;
mod policy;
mod queue;
mod readiness;
mod relay;
mod resources;
mod state;
mod streams;
mod vigil;
