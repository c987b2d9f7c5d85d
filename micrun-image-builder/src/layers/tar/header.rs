//! A header block: V7, ustar, star or GNU.

use std::io;

use super::super::malformed;
use super::super::tree::Meta;
use super::numbers::{numeric, octal};
use super::{BLOCK, Entry, Type, until_nul};

const SUM: std::ops::Range<usize> = 148..156;

/// Who wrote a header, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header, to be completed by extended ones.
pub(super) struct Header {
    pub(super) block: [u8; BLOCK],
    pub(super) format: Format,
    pub(super) flag: u8,
    /// As the header says, not believed yet.
    pub(super) size: i64,
    pub(super) entry: Entry,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> io::Result<Self> {
        check_sum(block)?;
        let format = match (&block[257..263], &block[263..265], &block[508..512]) {
            (b"ustar\0", _, b"tar\0") => Format::Star,
            (b"ustar\0", _, _) => Format::Ustar,
            (b"ustar ", b" \0", _) => Format::Gnu,
            _ => Format::V7,
        };
        let flag = block[156];
        let text = |range: std::ops::Range<usize>| until_nul(&block[range]).to_vec();
        let meta = Meta {
            mode: mode(numeric(&block[100..108])?),
            uid: numeric(&block[108..116])?,
            gid: numeric(&block[116..124])?,
            mtime: numeric(&block[136..148])?,
            ..Meta::default()
        };
        let mut entry = Entry {
            kind: kind(flag),
            path: text(0..100),
            target: text(157..257),
            meta,
            device: (0, 0),
            size: 0,
        };
        let mut prefix = Vec::new();
        if format != Format::V7 {
            entry.device = (numeric(&block[329..337])?, numeric(&block[337..345])?);
        }
        match format {
            Format::V7 => {}
            Format::Ustar => prefix = text(345..500),
            Format::Star => {
                prefix = text(345..476);
                numeric(&block[476..488])?;
                numeric(&block[488..500])?;
            }
            Format::Gnu => {
                // Old writers in Go put a prefix where GNU has times.
                let time = |at: usize| block[at] == 0 || numeric(&block[at..at + 12]).is_ok();
                if !(time(345) && time(357)) {
                    prefix = Some(text(345..500)).filter(|it| it.is_ascii()).unwrap_or_default();
                }
            }
        }
        if !prefix.is_empty() {
            entry.path = [&prefix, b"/".as_slice(), &entry.path].concat();
        }
        Ok(Self { block: *block, format, flag, size: numeric(&block[124..136])?, entry })
    }
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "only the low bits count")]
const fn mode(mode: i64) -> u32 {
    mode as u32 & 0o7777
}

const fn kind(flag: u8) -> Type {
    match flag {
        0 | b'0' => Type::File,
        b'1' => Type::HardLink,
        b'2' => Type::Symlink,
        b'3' => Type::Character,
        b'4' => Type::Block,
        b'5' => Type::Directory,
        b'6' => Type::Fifo,
        b'g' => Type::Global,
        other => Type::Other(other),
    }
}

/// Sums of signed bytes count as well: the first writers on Suns made them so.
fn check_sum(block: &[u8; BLOCK]) -> io::Result<()> {
    let bytes = || block.iter().enumerate().map(|(at, byte)| if SUM.contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    match octal(&block[SUM]) {
        Ok(sum) if sum == unsigned || sum == signed => Ok(()),
        _ => Err(malformed("it is no tar, or a header of its tar has a wrong checksum")),
    }
}
