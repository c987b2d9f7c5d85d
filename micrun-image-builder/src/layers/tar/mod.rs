//! The entries of a layer's tar, as Go's `archive/tar` gives them to containerd.
//!
//! Where readers of tars differ, Go's way is the one that counts. It differs from most: an unknown type is the caller's
//! matter, the end of the archive needs no trailer, a last file needs no padding, and there is no other checksum than
//! a right one.

mod header;
mod numbers;
mod pax;
mod sparse;

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::tree::Meta;
use super::{Budget, malformed};
use header::Header;
use sparse::Segments;

const BLOCK: usize = 512;
/// What Go reads of an extended header, a long name or a sparse map.
const MOST_SPECIAL: u64 = 1 << 20;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
    /// Records for all entries behind it. containerd ignores them, but not the name that the entry itself has.
    Global,
    /// Any other type flag.
    Other(u8),
}

impl Type {
    const fn has_content(self) -> bool {
        matches!(self, Self::File | Self::Global | Self::Other(_))
    }
}

/// An entry of a tar: everything but its content.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Type,
    /// As in the tar, in any form.
    pub(crate) path: Vec<u8>,
    /// Where a link leads.
    pub(crate) target: Vec<u8>,
    pub(crate) meta: Meta,
    /// Of a device: major and minor number.
    pub(crate) device: (i64, i64),
    /// Its content in bytes, holes included.
    pub(crate) size: u64,
}

/// The entries of a tar, one after the other. As a reader, it gives the content of the current one.
pub(crate) struct Entries<'b, R> {
    tar: Counted<'b, R>,
    content: Segments,
    padding: u64,
    ended: bool,
    /// How many bytes of the tar are entries.
    end: u64,
}

impl<'b, R: Read> Entries<'b, R> {
    /// `tar` is not compressed.
    pub(crate) fn new(tar: R, budget: &'b mut Budget) -> Self {
        let tar = Counted { inner: tar, budget, position: 0 };
        Self { tar, content: Segments::none(), padding: 0, ended: false, end: 0 }
    }

    /// Where the entries so far end, in bytes from the beginning of the tar. What follows the last one is no part of
    /// them. There may be less than a whole block of the last one's content.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The next entry. `None` at the end of the archive, behind which anything may follow.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut records = BTreeMap::new();
        let (mut long_name, mut long_link) = (Vec::new(), Vec::new());
        loop {
            let Some(mut header) = self.header()? else { return Ok(None) };
            self.whole_content(&header)?;
            match header.flag {
                b'x' => records = pax::parse(&self.special()?)?,
                b'g' => {
                    let global = pax::parse(&self.special()?)?;
                    pax::merge(&mut header, &global)?;
                    return self.entry(header, 0).map(Some);
                }
                b'L' => long_name = until_nul(&self.special()?).to_vec(),
                b'K' => long_link = until_nul(&self.special()?).to_vec(),
                _ => {
                    pax::merge(&mut header, &records)?;
                    if !long_name.is_empty() {
                        header.entry.path = long_name;
                    }
                    if !long_link.is_empty() {
                        header.entry.target = long_link;
                    }
                    if header.flag == 0 && header.entry.path.ends_with(b"/") {
                        header.entry.kind = Type::Directory;
                    }
                    self.whole_content(&header)?;
                    let size = self.sparse(&mut header, &records)?;
                    return self.entry(header, size).map(Some);
                }
            }
        }
    }

    fn entry(&mut self, header: Header, size: u64) -> io::Result<Entry> {
        let Header { mut entry, .. } = header;
        let xattrs = entry.meta.xattrs.iter().map(|(name, value)| name.len() + value.len());
        let names = entry.path.len() + entry.target.len() + xattrs.sum::<usize>();
        self.tar.budget.entry(names)?;
        entry.size = size;
        Ok(entry)
    }

    /// The header that follows the current entry.
    fn header(&mut self) -> io::Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        self.tar.skip(self.content.stored_left())?;
        self.content = Segments::none();
        let padding = usize::try_from(self.padding).unwrap_or(0);
        let mut block = [0; BLOCK];
        let padded = self.tar.fill(&mut block[..padding])? == padding;
        self.end = self.tar.position;
        if !padded || !self.block(&mut block)? {
            self.ended = true;
            return Ok(None);
        }
        if block.iter().any(|byte| *byte != 0) {
            return Header::parse(&block).map(Some);
        }
        self.ended = true;
        if self.block(&mut block)? && block.iter().any(|byte| *byte != 0) {
            return Err(malformed("its tar goes on behind a block of zeros"));
        }
        Ok(None)
    }

    /// Reads a block. False at the end; an end within a block is an error.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        match self.tar.fill(block)? {
            0 => Ok(false),
            BLOCK => Ok(true),
            _ => Err(cut_off()),
        }
    }

    /// Lets the content be all bytes that the header counts.
    fn whole_content(&mut self, header: &Header) -> io::Result<()> {
        let size = if header.entry.kind.has_content() { header.size } else { 0 };
        let size = u64::try_from(size).map_err(|_| malformed("an entry of its tar has a negative size"))?;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        self.content = Segments::whole(size);
        Ok(())
    }

    /// If the entry is a sparse file, reads its map. The size of the content, holes included.
    fn sparse(&mut self, header: &mut Header, records: &pax::Records) -> io::Result<u64> {
        let map = if header.flag == b'S' {
            Some(sparse::old_gnu(header, || {
                let mut block = [0; BLOCK];
                if self.tar.fill(&mut block)? == BLOCK { Ok(block) } else { Err(cut_off()) }
            })?)
        } else {
            let version = sparse::announced(header, records)?;
            version.map(|version| sparse::pax(version, records, &mut *self)).transpose()?
        };
        let size = u64::try_from(header.size).ok();
        let Some(map) = map else {
            return Ok(if header.entry.kind.has_content() { size.unwrap_or(0) } else { 0 });
        };
        let size = size.filter(|_| header.entry.kind.has_content());
        let size = size.ok_or_else(|| malformed("an entry of its tar cannot be sparse"))?;
        self.content = Segments::sparse(map, size, self.content.stored_left())?;
        Ok(size)
    }

    /// The content of an entry that only describes the next one.
    fn special(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.by_ref().take(MOST_SPECIAL + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_SPECIAL {
            return Err(malformed("an extended header of its tar has more than 1 MiB"));
        }
        Ok(bytes)
    }
}

impl<R: Read> Read for Entries<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(&mut self.tar, buffer)
    }
}

/// A tar whose bytes are counted.
struct Counted<'b, R> {
    inner: R,
    budget: &'b mut Budget,
    position: u64,
}

impl<R: Read> Counted<'_, R> {
    /// Fills the buffer, unless the tar ends before.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.by_ref().take(count), &mut io::sink())?;
        if skipped == count { Ok(()) } else { Err(cut_off()) }
    }

    /// Bytes that stand in no tar.
    fn hole(&mut self, count: usize) -> io::Result<()> {
        self.budget.bytes(count as u64)
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.budget.bytes(read as u64)?;
        self.position += read as u64;
        Ok(read)
    }
}

fn cut_off() -> io::Error {
    malformed("its tar is cut off")
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}
