//! What a firmware carries besides code that tells where it comes from: words of its operating system, names
//! of boards, addresses of serial ports.
//!
//! The builder reads it once, at pack; nothing at run time depends on it. Only what is loaded is searched,
//! and the names of symbols and sections, in pieces of constant size.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::LazyLock;

use crate::elf::{ElfInfo, FileRange};
use crate::os::{Os, SIGNS};
use crate::qemu::{BOARDS, PORTS, ports};
use crate::{Error, Result};

/// The most bytes that are searched. Of a firmware beyond that, nothing new is to be expected in the rest.
const MAX_SEARCHED: u64 = 64 << 20;
/// A symbol of every firmware of Zephyr: its board follows.
const ZEPHYR_BOARD: &str = "CONFIG_BOARD_";
/// Longer names of boards are cut.
const LONGEST_BOARD: usize = 48;
/// What may follow as well, and is no board.
const NO_BOARDS: [&str; 2] = ["revision", "enable_"];
/// Bytes in memory at a time.
const PIECE: usize = 64 << 10;
/// How many bytes of a word are looked at first. Every word is longer, but for addresses.
const GRAM: usize = 4;
/// Every other place is looked at.
const STEP: usize = 2;
/// Places that are looked at together, and the bytes from the first one's to the last one's end.
const PLACES: usize = 8;
const BLOCK: usize = STEP * (PLACES - 1) + GRAM;
/// 2^16 bits are 8 KiB, which the first cache of any processor has room for.
const HASH_BITS: u32 = 16;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Numbers of the words.
    words: BTreeSet<usize>,
    /// Known addresses of serial ports.
    addresses: BTreeSet<u32>,
    /// The board that Zephyr was built for, known here or not.
    zephyr_board: Option<String>,
}

/// Four bytes of a word: its first ones, or those from the second on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Gram {
    bytes: u32,
    /// The word's number.
    word: usize,
    /// Where they are in it.
    offset: usize,
}

/// All that is searched for: signs of operating systems, then names of boards, then what is before the name of any
/// board of Zephyr, then addresses.
struct Words {
    all: Vec<Vec<u8>>,
    grams: Vec<Gram>,
    /// A bit for the hash of each gram. It rules nearly all places out, and no place waits for the one before, as in an
    /// automaton.
    hashes: [u64; 1 << (HASH_BITS - 6)],
    /// The board's name behind each word that is not an operating system's sign.
    names: Vec<String>,
    addresses: Vec<u32>,
    longest: usize,
}

static WORDS: LazyLock<Words> = LazyLock::new(Words::new);

impl Words {
    fn new() -> Self {
        let boards = BOARDS.iter().map(|board| board.machine).filter(|machine| *machine != "virt");
        let ports = PORTS.iter().flat_map(|port| [Some(port.name), port.variant]).flatten();
        let mut names: Vec<String> = boards.chain(ports).map(ports::normal).collect();
        names.sort();
        names.dedup();
        // One project writes mps2_an385, another mps2/an385.
        let spellings: Vec<(String, String)> = names
            .into_iter()
            .flat_map(|name| ["_", "-", "/"].map(|mark| (name.replace('_', mark), name.clone())))
            .collect();
        let mut addresses: Vec<u32> = BOARDS.iter().flat_map(|board| board.consoles).copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        let signs = SIGNS.iter().map(|sign| sign.word.as_bytes().to_vec());
        let all: Vec<Vec<u8>> = signs
            .chain(spellings.iter().map(|(word, _)| word.clone().into_bytes()))
            .chain([ZEPHYR_BOARD.as_bytes().to_vec()])
            .chain(addresses.iter().map(|address| address.to_le_bytes().to_vec()))
            .collect();
        let names = spellings.into_iter().map(|(_, name)| name).collect();
        let longest = all.iter().map(Vec::len).max().unwrap_or(1).max(ZEPHYR_BOARD.len() + LONGEST_BOARD);
        let mut grams = Vec::new();
        let mut hashes = [0; 1 << (HASH_BITS - 6)];
        for (word, bytes) in all.iter().enumerate() {
            // An address is at an even place.
            for (offset, bytes) in bytes.windows(GRAM).take(STEP).enumerate() {
                let gram = gram(bytes);
                grams.push(Gram { bytes: gram, word, offset });
                hashes[hash(gram) / 64] |= 1 << (hash(gram) % 64);
            }
        }
        grams.sort_unstable();
        Self { all, grams, hashes, names, addresses, longest }
    }

    /// Calls `found` for each place where a word stands, with the word's number.
    fn find(&self, text: &[u8], found: &mut impl FnMut(usize, Range<usize>)) {
        let mut at = 0;
        // Places are looked at together, with one branch for all: nearly always none of them has a word.
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            let places = (0..PLACES).map(|place| gram(&block[STEP * place..]));
            if places.fold(0, |any, gram| any | self.bit(gram)) == 1 {
                for place in 0..PLACES {
                    self.look(text, at + STEP * place, found);
                }
            }
            at += STEP * PLACES;
        }
        for at in (at..text.len()).step_by(STEP) {
            self.look(text, at, found);
        }
    }

    /// 1 if a word may have this gram, else 0.
    fn bit(&self, gram: u32) -> u64 {
        let hash = hash(gram);
        self.hashes[hash / 64] >> (hash % 64) & 1
    }

    /// Looks for the words that have the gram which stands there.
    #[cold]
    fn look(&self, text: &[u8], at: usize, found: &mut impl FnMut(usize, Range<usize>)) {
        let Some(gram) = text.get(at..at + GRAM).map(gram).filter(|gram| self.bit(*gram) == 1) else {
            return;
        };
        let first = self.grams.partition_point(|it| it.bytes < gram);
        for Gram { word, offset, .. } in self.grams[first..].iter().take_while(|it| it.bytes == gram) {
            let Some(start) = at.checked_sub(*offset) else { continue };
            let range = start..start + self.all[*word].len();
            if text.get(range.clone()).is_some_and(|it| it.eq_ignore_ascii_case(&self.all[*word])) {
                found(*word, range);
            }
        }
    }

    /// The number of [`ZEPHYR_BOARD`].
    fn zephyr_board(&self) -> usize {
        SIGNS.len() + self.names.len()
    }
}

/// Four bytes, whatever the case of letters.
fn gram(bytes: &[u8]) -> u32 {
    let bytes = bytes.first_chunk::<GRAM>().copied().unwrap_or_default();
    u32::from_le_bytes(bytes) | 0x2020_2020
}

/// Spreads by Knuth's multiplier, 2^32 divided by the golden ratio.
fn hash(gram: u32) -> usize {
    (gram.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize
}

impl Evidence {
    /// Searches the file that `info` describes.
    pub fn read(mut file: impl Read + Seek, info: &ElfInfo) -> Result<Self> {
        let mut evidence = Self::default();
        let loaded = info.segments.iter().map(|it| FileRange { offset: it.offset, size: it.filesz });
        let mut left = MAX_SEARCHED;
        for range in loaded.chain(info.names.iter().copied()) {
            let size = range.size.min(left).min(info.file_size.saturating_sub(range.offset));
            left -= size;
            evidence
                .search(&mut file, FileRange { size, ..range })
                .map_err(|error| Error::io("read", "the firmware", error))?;
        }
        Ok(evidence)
    }

    fn search(&mut self, file: &mut (impl Read + Seek), range: FileRange) -> io::Result<()> {
        let words = &*WORDS;
        file.seek(SeekFrom::Start(range.offset))?;
        let mut rest = file.by_ref().take(range.size);
        // A word may lie across the border of two pieces, so the end of each is kept for the next. What is kept
        // is a multiple of four, so what was aligned stays aligned.
        let keep = (words.longest + 2).next_multiple_of(4);
        let mut piece = Vec::with_capacity(PIECE + keep);
        let mut first = true;
        loop {
            let last = rest.by_ref().take(PIECE as u64).read_to_end(&mut piece)? == 0;
            words.find(&piece, &mut |number, found| {
                // What touches a border is seen whole in the piece before or after it.
                let behind = if number == words.zephyr_board() { LONGEST_BOARD } else { 0 };
                if (first || found.start > 0) && (last || found.end + behind < piece.len()) {
                    self.take(number, &piece, found);
                }
            });
            if last {
                return Ok(());
            }
            first &= piece.len() <= keep;
            piece.drain(..piece.len().saturating_sub(keep));
        }
    }

    /// Keeps what was found there, unless it only looks like it.
    fn take(&mut self, number: usize, piece: &[u8], found: Range<usize>) {
        let zephyr_board = WORDS.zephyr_board();
        if number > zephyr_board {
            let address = WORDS.addresses[number - zephyr_board - 1];
            // A constant is aligned, and the search takes a `P` for a `p`.
            if found.start.is_multiple_of(4) && piece[found] == address.to_le_bytes() {
                self.addresses.insert(address);
            }
        } else if number == zephyr_board {
            self.zephyr_board = self.zephyr_board.take().or_else(|| board_at(&piece[found.end..]));
        } else if number < SIGNS.len() || stands_alone(piece, found) {
            self.words.insert(number);
        }
    }

    /// The operating system, if the firmware shows enough signs of one: that with the most of them.
    pub fn os(&self) -> Option<Os> {
        let weight = |os: &Os| -> u32 {
            let own = SIGNS
                .iter()
                .enumerate()
                .filter(|(number, sign)| sign.os == *os && self.words.contains(number));
            own.map(|(_, sign)| sign.weight).sum()
        };
        let mut best = None;
        for os in Os::KNOWN {
            let weight = weight(&os);
            if weight >= 2 && best.as_ref().is_none_or(|(most, _)| weight > *most) {
                best = Some((weight, os));
            }
        }
        best.map(|(_, os)| os)
    }

    /// Whether it names this board, however that is spelt.
    pub fn names(&self, board: &str) -> bool {
        let board = ports::normal(board);
        let behind = |number: &usize| number.checked_sub(SIGNS.len()).map(|index| &WORDS.names[index]);
        self.words.iter().filter_map(behind).any(|name| *name == board)
    }

    /// The board that it was built for if it is Zephyr, known here or not.
    pub fn zephyr_board(&self) -> Option<&str> {
        self.zephyr_board.as_deref().filter(|_| self.os() == Some(Os::Zephyr))
    }

    /// Whether it has one of these addresses among its constants.
    pub fn has_one_of(&self, addresses: &[u32]) -> bool {
        addresses.iter().any(|address| self.addresses.contains(address))
    }
}

/// The board's name at the start of the text, as Zephyr's users write it.
fn board_at(text: &[u8]) -> Option<String> {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let name: String =
        text.iter().take(LONGEST_BOARD).take_while(part).map(|byte| char::from(*byte)).collect();
    let name = name.to_ascii_lowercase();
    (!name.is_empty() && !NO_BOARDS.iter().any(|no| name.starts_with(no))).then_some(name)
}

/// Whether a word is not a part of a longer one, as `rv_virt` is of `drv_virtio`.
fn stands_alone(text: &[u8], word: Range<usize>) -> bool {
    let part_of_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = word.start.checked_sub(1).and_then(|index| text.get(index));
    !part_of_word(before) && !part_of_word(text.get(word.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever a word stands, in whatever case, it is found once.
    #[test]
    fn every_word_is_found_at_every_place() {
        let words = &*WORDS;
        let texts = words.all.len() - words.addresses.len();
        assert!(words.all[..texts].iter().all(|word| word.len() > GRAM));
        for (number, word) in words.all.iter().enumerate() {
            let upper = word.to_ascii_uppercase();
            // An address is where a constant may be.
            let step = if number < texts { 1 } else { 4 };
            for spelt in [word, &upper] {
                // Whether it is among places that are looked at together, or behind them.
                for (before, behind) in (0..20).step_by(step).flat_map(|before| [(before, 3), (before, 40)]) {
                    let text = [&vec![0xaa; before][..], spelt, &vec![0xaa; behind]].concat();
                    let mut places = Vec::new();
                    words.find(&text, &mut |found, range| {
                        places.extend((found == number).then_some((range.start, range.end)));
                    });
                    let shown = String::from_utf8_lossy(word);
                    assert_eq!(places, [(before, before + word.len())], "{shown:?}");
                }
            }
        }
    }
}
