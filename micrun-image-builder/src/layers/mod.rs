//! The layers of an image, read and applied in memory as containerd applies them.
//!
//! containerd is the only judge of what a layer means: its reader of tars is Go's, its own code puts the entries into
//! a directory of the layer's own (`pkg/archive`), and overlayfs lays these directories over each other. So [`Entries`]
//! reads what Go's `archive/tar` reads and refuses what it refuses, [`Layer`] is that directory, and [`Stack`] is the
//! overlay. `tests/host/tests/layers.rs` compares them with containerd itself.
//!
//! Nothing is unpacked. A file is its digest and its place; [`copy_file`] reads it in a second pass.
//!
//! All errors are [`io::Error`]: with a number if this machine failed, with a sentence if the layer is at fault.

mod apply;
mod budget;
mod compression;
mod path;
mod resolve;
mod stack;
mod tar;
mod tree;

use std::io::{self, Read, Write};

pub(crate) use apply::Layer;
pub(crate) use budget::Budget;
pub(crate) use compression::{Packing, decoder};
pub(crate) use stack::{Change, Stack};
pub(crate) use tar::Entries;
pub(crate) use tree::{Content, Kind, Meta, Node, Place, Tree};

/// The error of a layer that cannot be read as the sentence says.
pub(crate) fn malformed(sentence: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, sentence.into())
}

/// A name or path of the image in a message: quoted, with its control characters escaped.
pub(crate) fn quoted(path: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(path))
}

/// Copies the content of a file out of its layer, whose tar is `layer`. It has at most `most` bytes.
pub(crate) fn copy_file(layer: impl Read, place: Place, most: u64, to: &mut impl Write) -> io::Result<u64> {
    let mut budget = Budget::for_an_image();
    let mut entries = Entries::new(layer, &mut budget);
    for _ in 0..=place.entry {
        if entries.next()?.is_none() {
            return Err(malformed("it is not the layer that was read before"));
        }
    }
    let copied = io::copy(&mut entries.by_ref().take(most.saturating_add(1)), to)?;
    if copied > most {
        return Err(malformed(format!("a file of it has more than {most} bytes")));
    }
    Ok(copied)
}

#[cfg(test)]
mod tests;
