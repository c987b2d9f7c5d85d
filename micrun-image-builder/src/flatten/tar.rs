//! The layer as a tar, put together as it is read.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Cursor, Read};
use std::vec;

use super::contents::Contents;
use super::flat::{Item, Items, What};
use super::header;
use crate::base::Base;
use crate::error::Error;
use crate::layer::BLOCK;
use crate::layers::Place;

/// What ends a tar.
const TRAILER: usize = 2 * BLOCK;

/// The tar, at some place.
pub(super) struct Tar<'a> {
    left: vec::IntoIter<(Vec<u8>, Item)>,
    contents: Contents<'a>,
    /// What comes next.
    parts: VecDeque<Part>,
    ended: bool,
    /// Which layer could not be read, and why.
    fault: Option<(usize, io::Error)>,
}

enum Part {
    Bytes(Cursor<Vec<u8>>),
    /// So many bytes of a file that no layer has.
    Made(Box<dyn Read>, u64),
    /// So many bytes of a file of a layer, to which [`Contents`] has gone.
    Stored(usize, u64),
}

impl<'a> Tar<'a> {
    pub(super) fn new(items: Items, contents: Contents<'a>) -> Self {
        let left = ordered(items).into_iter();
        Self { left, contents, parts: VecDeque::new(), ended: false, fault: None }
    }

    /// What the image has done wrong, if that was why reading failed.
    pub(super) fn fault(&mut self, base: &Base<'_>) -> Option<Error> {
        let (layer, error) = self.fault.take()?;
        Some(base.fault(base.layers().get(layer)?, error))
    }

    /// Lines up the next entry, or what ends the tar; false behind that.
    fn next(&mut self) -> io::Result<bool> {
        let Some((path, item)) = self.left.next() else {
            if std::mem::replace(&mut self.ended, true) {
                return Ok(false);
            }
            self.parts.push_back(Part::Bytes(Cursor::new(vec![0; TRAILER])));
            return Ok(true);
        };
        self.parts.push_back(Part::Bytes(Cursor::new(header::blocks(&path, &item)?)));
        let (content, size) = match item.what {
            What::Made(content, size) => (Part::Made(content, size), size),
            What::Stored(place, size) => {
                self.contents.seek(place).map_err(|error| self.failed(place.layer, error))?;
                (Part::Stored(place.layer, size), size)
            }
            _ => return Ok(true),
        };
        self.parts.push_back(content);
        let padding = size.wrapping_neg() % BLOCK as u64;
        self.parts.push_back(Part::Made(Box::new(io::repeat(0)), padding));
        Ok(true)
    }

    fn failed(&mut self, layer: usize, error: io::Error) -> io::Error {
        self.fault = Some((layer, error));
        io::Error::other("a layer cannot be read")
    }
}

impl Read for Tar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let within = |left: u64, buffer: &[u8]| buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        loop {
            let Some(part) = self.parts.front_mut() else {
                if self.next()? {
                    continue;
                }
                return Ok(0);
            };
            let (read, left) = match part {
                Part::Bytes(bytes) => (bytes.read(buffer)?, None),
                Part::Made(content, left) => {
                    let most = within(*left, buffer);
                    (content.read(&mut buffer[..most])?, Some(left))
                }
                Part::Stored(layer, left) => {
                    let (layer, most) = (*layer, within(*left, buffer));
                    match self.contents.read(layer, &mut buffer[..most]) {
                        Ok(read) => (read, Some(left)),
                        Err(error) => return Err(self.failed(layer, error)),
                    }
                }
            };
            if read > 0 || buffer.is_empty() {
                if let Some(left) = left {
                    *left -= read as u64;
                }
                return Ok(read);
            }
            if left.is_some_and(|left| *left > 0) {
                return Err(io::Error::other("a file has become shorter while it was read"));
            }
            self.parts.pop_front();
        }
    }
}

/// The entries, by path, if each layer can be read in that order, as those of nearly all tools can. If not: what is no
/// layer's first, then the files in the order in which they stand in their layers, then further names of these.
fn ordered(items: Items) -> Vec<(Vec<u8>, Item)> {
    let mut all: Vec<_> = items.into_iter().collect();
    let place = |item: &Item| match item.what {
        What::Stored(place, _) => Some(place),
        _ => None,
    };
    let mut last: HashMap<usize, usize> = HashMap::new();
    let mut is_next = |it: Place| last.insert(it.layer, it.entry).is_none_or(|before| before < it.entry);
    if !all.iter().filter_map(|(_, item)| place(item)).all(&mut is_next) {
        all.sort_by_key(|(_, item)| (matches!(item.what, What::Link(_)), place(item)));
    }
    all
}
