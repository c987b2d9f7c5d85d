//! Snapshots: the state of a machine from which its firmware goes on, and a label that says what it is the state of. A
//! checkpoint of containerd has both, and so may an image.

mod label;
mod machine;

pub use label::{Label, State, Unread};
pub use machine::Machine;

/// Where an image has the two files.
pub const DIRECTORY: &str = "/.micrun/snapshot";

/// The file with the state, in the pedestal's own format.
pub const STATE: &str = "machine.state";

/// The file with the label.
pub const LABEL: &str = "micrun.json";
