//! What the containers of both engines are: their trait, their life, their events, and their surroundings.
//!
//! It may use `stdio`, `cgroup`, `oci` and `os`.

pub(crate) mod budget;
pub(crate) mod containers;
pub(crate) mod context;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod execs;
pub(crate) mod exit;
pub(crate) mod labels;
pub(crate) mod life;
pub(crate) mod mica;
pub(crate) mod process;
pub(crate) mod publisher;
pub(crate) mod state;
pub(crate) mod subject;
