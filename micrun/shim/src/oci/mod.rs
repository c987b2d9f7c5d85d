//! What comes with a container: its bundle, its options, its limits, its root file system.
//!
//! It may use `os`.

pub(crate) mod any;
pub(crate) mod bundle;
mod edit;
pub(crate) mod environment;
pub(crate) mod mount;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod resources;
pub(crate) mod shared;
