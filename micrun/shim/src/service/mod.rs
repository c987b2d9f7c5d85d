//! The rpcs of the Task API, on the containers of one pod: which engine runs a container, and what the containers
//! have to do with each other.
//!
//! It may use both engines (`linux`, `rtos`) and what lies below them; `sandbox` and `entry` use it.

pub(crate) mod attributes;
pub(crate) mod choose;
pub(crate) mod ending;
pub(crate) mod pod;
pub(crate) mod task;
pub(crate) mod traced;
