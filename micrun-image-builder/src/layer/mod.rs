//! A layer: files streamed into a tar, compressed and measured in one pass.
//!
//! Nothing of the host gets in: the owner is root, modes are fixed, the time is the caller's, the gzip header
//! has neither name nor time. The same files give the same bytes.

mod compression;

use std::io::{self, BufWriter, ErrorKind, Read, Write};

use tar::{EntryType, Header};

use crate::digest::{Measured, MeteredWriter};
use crate::gzip::Gzip;
pub(crate) use compression::Compression;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;
const MOST_WORKERS: u32 = 4;
/// The mode of a file of which nothing else is said; the host's do not count.
pub(crate) const FILE_MODE: u32 = 0o644;
/// Bytes that are read, digested and written at a time: they stay in the processor's cache meanwhile.
pub(crate) const BUFFER: usize = 128 << 10;
/// What a tar is made of, in bytes.
pub(crate) const BLOCK: usize = 512;

/// A file or directory of a layer, its path relative to the root and without a leading slash.
pub(crate) enum Entry<'a> {
    Directory {
        path: &'a str,
    },
    Bytes {
        path: &'a str,
        content: &'a [u8],
    },
    File {
        path: &'a str,
        mode: u32,
        size: u64,
        content: &'a mut dyn Read,
    },
    /// Another name of a file that comes before it.
    Link {
        path: &'a str,
        target: &'a str,
    },
}

impl Entry<'_> {
    /// Where it is in the layer.
    pub(crate) const fn path(&self) -> &str {
        match self {
            Self::Directory { path }
            | Self::Bytes { path, .. }
            | Self::File { path, .. }
            | Self::Link { path, .. } => path,
        }
    }
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The tar before compression: what `rootfs.diff_ids` names.
    pub(crate) diff: Measured,
    /// The blob as stored.
    pub(crate) blob: Measured,
}

/// Writes `entries`, in the order given, as one layer to `out`. `mtime` is in seconds since 1970.
pub(crate) fn write<'a>(
    out: &mut (impl Write + ?Sized),
    entries: impl IntoIterator<Item = Entry<'a>>,
    compression: Compression,
    mtime: u64,
) -> io::Result<Layer> {
    let encoder = MeteredWriter::new(Encoder::new(out, compression)?);
    let mut tar = BufWriter::with_capacity(BUFFER, encoder);
    for entry in entries {
        append(&mut tar, entry, mtime)?;
    }
    tar.write_all(&[0; 2 * BLOCK])?;
    let (encoder, diff) = tar.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
    let blob = encoder.finish()?.unwrap_or_else(|| diff.clone());
    Ok(Layer { diff, blob })
}

/// Compresses a layer whose tar is made already.
pub(crate) fn compress(
    out: &mut (impl Write + ?Sized),
    tar: &mut dyn Read,
    compression: Compression,
) -> io::Result<Layer> {
    let mut encoder = MeteredWriter::new(Encoder::new(out, compression)?);
    io::copy(tar, &mut encoder)?;
    let (encoder, diff) = encoder.finish();
    let blob = encoder.finish()?.unwrap_or_else(|| diff.clone());
    Ok(Layer { diff, blob })
}

fn append(tar: &mut impl Write, entry: Entry<'_>, mtime: u64) -> io::Result<()> {
    match entry {
        Entry::Directory { path } => {
            let header = header(&format!("{path}/"), EntryType::Directory, 0o755, 0, mtime)?;
            tar.write_all(header.as_bytes())
        }
        Entry::Bytes { path, mut content } => {
            let size = content.len() as u64;
            let header = header(path, EntryType::Regular, FILE_MODE, size, mtime)?;
            append_file(tar, &header, &mut content, size)
        }
        Entry::File { path, mode, size, content } => {
            append_file(tar, &header(path, EntryType::Regular, mode, size, mtime)?, content, size)
        }
        Entry::Link { path, target } => {
            let mut header = header(path, EntryType::Link, FILE_MODE, 0, mtime)?;
            header.set_link_name(target)?;
            header.set_cksum();
            tar.write_all(header.as_bytes())
        }
    }
}

/// Refuses content that is shorter or longer than its header says. What is read goes out as it is, without a copy.
fn append_file(tar: &mut impl Write, header: &Header, content: &mut dyn Read, size: u64) -> io::Result<()> {
    tar.write_all(header.as_bytes())?;
    let changed = || io::Error::other("the size of the file changed while it was being read");
    let mut piece = vec![0; BUFFER];
    let mut left = size;
    loop {
        match content.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                left = left.checked_sub(read as u64).ok_or_else(changed)?;
                tar.write_all(&piece[..read])?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if left > 0 {
        return Err(changed());
    }
    let full = size.next_multiple_of(BLOCK as u64);
    io::copy(&mut io::repeat(0).take(full - size), tar)?;
    Ok(())
}

/// The header of an entry that belongs to root.
pub(crate) fn header(path: &str, kind: EntryType, mode: u32, size: u64, mtime: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(mtime);
    header.set_cksum();
    Ok(header)
}

enum Encoder<W: Write> {
    Plain(W),
    Gzip(Gzip<MeteredWriter<W>>),
    Zstd(zstd::Encoder<'static, MeteredWriter<W>>),
}

impl<W: Write> Encoder<W> {
    fn new(out: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip => Self::Gzip(Gzip::new(MeteredWriter::new(out))),
            Compression::Zstd => Self::Zstd(zstd_encoder(MeteredWriter::new(out), workers())?),
        })
    }

    /// Ends the stream. What was written after compression, unless there is none.
    fn finish(self) -> io::Result<Option<Measured>> {
        let (mut out, blob) = match self {
            Self::Plain(out) => (out, None),
            Self::Gzip(encoder) => split(encoder.finish()?),
            Self::Zstd(encoder) => split(encoder.finish()?),
        };
        out.flush()?;
        Ok(blob)
    }
}

/// Workers for zstd. Their number does not change the result; each takes some memory.
fn workers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(1).min(MOST_WORKERS)
}

fn zstd_encoder<W: Write>(out: W, workers: u32) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    // Never 0: without workers zstd cuts its blocks differently.
    encoder.multithread(workers)?;
    Ok(encoder)
}

fn split<W: Write>(metered: MeteredWriter<W>) -> (W, Option<Measured>) {
    let (out, blob) = metered.finish();
    (out, Some(blob))
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the crate `tar` reads it, and refused if a file is not as long as it was.
    #[test]
    fn a_tar_of_every_kind_of_entry() {
        let big: Vec<u8> = (0_u32..200_000).flat_map(u32::to_le_bytes).collect();
        let write_it = |size: u64| {
            let mut content = big.as_slice();
            let entries = [
                Entry::Directory { path: "a" },
                Entry::Bytes { path: "a/b", content: b"text" },
                Entry::File { path: "a/c", mode: 0o600, size, content: &mut content },
                Entry::Link { path: "a/d", target: "a/c" },
            ];
            let mut out = Vec::new();
            write(&mut out, entries, Compression::None, 7).map(|layer| (out, layer))
        };
        let (tar, layer) = write_it(big.len() as u64).unwrap();
        assert_eq!(layer.blob, Measured::of(&tar));
        let mut found = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.push((
                entry.path().unwrap().display().to_string(),
                entry.header().mode().unwrap(),
                content,
            ));
        }
        let expected =
            [("a/", 0o755, &[][..]), ("a/b", 0o644, b"text"), ("a/c", 0o600, &big), ("a/d", 0o644, &[])];
        assert!(found == expected.map(|(path, mode, content)| (path.to_owned(), mode, content.to_owned())));
        for wrong in [0, big.len() as u64 - 1, big.len() as u64 + 1] {
            assert!(
                write_it(wrong).unwrap_err().to_string().contains("changed while it was being read"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn zstd_gives_the_same_bytes_with_any_number_of_workers() {
        // Several of zstd's jobs of 8 MiB, and not alike.
        let content: Vec<u8> = (0_u32..20 << 20)
            .map(|i| (i >> 7).wrapping_mul(2_654_435_761).to_be_bytes()[(i & 3) as usize])
            .collect();
        let compress = |workers| {
            let mut encoder = zstd_encoder(Vec::new(), workers).unwrap();
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap()
        };
        let one = compress(1);
        assert!(one == compress(2) && one == compress(3) && one == compress(MOST_WORKERS));
    }
}
