//! The shims that are compared.

mod linux;
mod mica;
mod runc;

pub use linux::Linux;
pub use mica::Mica;
pub use runc::Runc;

use crate::Subject;

/// The oracle, then ours.
pub const ALL: [&dyn Subject; 3] = [&Runc, &Mica, &Linux];
/// Name of [`Runc`].
pub const RUNC: &str = "runc";
/// Name of [`Mica`].
pub const MICA: &str = "mica";
/// Name of [`Linux`].
pub const LINUX: &str = "linux";
