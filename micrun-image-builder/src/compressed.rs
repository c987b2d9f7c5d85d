//! Archives that are compressed as a whole: `x.tar.gz`, `x.tar.zst`, `x.tar.xz`.

use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use lzma_rust2::{XzOptions, XzReader, XzWriter};

use crate::gzip::Gzip;

/// The own default of each tool.
const ZSTD_LEVEL: i32 = 3;
const XZ_PRESET: u32 = 6;
/// In KiB: more than `xz -9` asks for, which has a dictionary of 64 MiB.
const XZ_MEMORY: u32 = 128 << 10;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    Zstd,
    Xz,
}

impl Format {
    /// How an archive of this name is to be compressed. `None` if the name is no archive's.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let endings = [
            (".tar", Self::Plain),
            (".tar.gz", Self::Gzip),
            (".tgz", Self::Gzip),
            (".tar.zst", Self::Zstd),
            (".tar.xz", Self::Xz),
        ];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
    }

    /// How a file that begins so is compressed.
    pub(crate) fn of_content(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// Compresses all that `from` gives. The same bytes give the same bytes.
    pub(crate) fn compress(self, from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Plain => io::copy(from, to).and_then(|_| to.flush()),
            Self::Gzip => {
                let mut encoder = Gzip::new(to);
                io::copy(from, &mut encoder)?;
                encoder.finish()?.flush()
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(to, ZSTD_LEVEL)?;
                io::copy(from, &mut encoder)?;
                encoder.finish()?.flush()
            }
            Self::Xz => {
                let mut encoder = XzWriter::new(to, XzOptions::with_preset(XZ_PRESET))?;
                io::copy(from, &mut encoder)?;
                encoder.finish()?.flush()
            }
        }
    }

    /// The content of a compressed file.
    pub(crate) fn reader<'a>(self, from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Plain => Box::new(from),
            Self::Gzip => Box::new(MultiGzDecoder::new(from)),
            Self::Zstd => Box::new(zstd::Decoder::new(from)?),
            Self::Xz => Box::new(XzReader::new_mem_limit(from, true, XZ_MEMORY)),
        })
    }
}
