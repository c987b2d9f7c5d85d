//! The shims that are compared.

mod mica;
mod runc;

pub use mica::Mica;
pub use runc::Runc;

use crate::Subject;

/// The oracle, then ours.
pub const ALL: [&dyn Subject; 2] = [&Runc, &Mica];
/// Name of [`Runc`].
pub const RUNC: &str = "runc";
/// Name of [`Mica`].
pub const MICA: &str = "mica";
