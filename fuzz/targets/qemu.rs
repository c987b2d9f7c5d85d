//! The daemon's readers of what QEMU says, which are parts of a program and not of a library. It is no target.
#![allow(unused_imports, reason = "each target uses its part")]

/// Endings, and reports of them.
#[path = "."]
pub mod pedestal {
    #[path = "../../micrun/micad/src/pedestal/ending.rs"]
    mod ending;
    #[path = "../../micrun/micad/src/pedestal/registers.rs"]
    pub(crate) mod registers;

    pub(crate) use ending::{Ending, report};
}
