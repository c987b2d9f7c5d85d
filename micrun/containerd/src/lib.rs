//! A client of containerd (`docs/CONTAINERD.md`): what the image builder and micrun-run ask of it over its socket.
//!
//! Content, snapshots and images are asked for by themselves, with every release of containerd since 1.6, and not by its
//! transfer service: that came later, and does not say which blob was at fault.

pub mod api;
mod client;
mod content;
mod error;
pub mod platform;
mod unpack;

pub use client::{Client, Place, is_there};
pub use content::Blob;
pub use error::{Error, Result};
pub use unpack::Layers;
