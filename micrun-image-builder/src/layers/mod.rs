//! The layers of an image, read and applied in memory as containerd applies them.
//!
//! containerd is the only judge of what a layer means: its reader of tars is Go's, its own code puts the entries into
//! a directory of the layer's own (`pkg/archive`), and overlayfs lays these directories over each other. So [`Entries`]
//! reads what Go's `archive/tar` reads and refuses what it refuses, [`Layer`] is that directory, and [`Stack`] is the
//! overlay. `tests/host/tests/layers.rs` compares them with containerd itself.
//!
//! Nothing is unpacked. A file is its digest and its place; [`copy_file`] reads it in a second pass.
//!
//! All errors are [`io::Error`]: with a number if this machine failed, else with a sentence. The kind is `Unsupported`
//! or `FileTooLarge` if the layer is not at fault, but cannot be read here.

mod apply;
mod budget;
mod compression;
mod path;
mod resolve;
mod stack;
mod tar;
mod tree;

use std::collections::BTreeSet;
use std::io::{self, Read};

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

/// How many bytes of a tar are its entries: what ends the archive, and all behind it, is none.
pub(crate) fn end_of_entries(tar: impl Read, budget: &mut Budget) -> io::Result<u64> {
    let mut entries = Entries::new(tar, budget);
    while entries.next()?.is_some() {}
    Ok(entries.end())
}

/// Reads files out of a layer, whose tar is `layer`, in one pass. `wanted` are the numbers of their entries; `take` gets
/// each of them with its content.
pub(crate) fn read_files(
    layer: impl Read,
    wanted: &BTreeSet<usize>,
    budget: &mut Budget,
    mut take: impl FnMut(usize, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut entries = Entries::new(layer, budget);
    let last = wanted.last().map_or(0, |last| last + 1);
    for number in 0..last {
        if entries.next()?.is_none() {
            return Err(malformed("it is not the layer that was read before"));
        }
        if wanted.contains(&number) {
            take(number, &mut entries)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
