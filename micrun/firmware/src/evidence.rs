//! What a firmware carries besides code that tells where it comes from: words of its operating system, names
//! of boards, addresses of serial ports.
//!
//! The builder reads it once, at pack; nothing at run time depends on it. Only what is loaded is searched,
//! and the names of symbols and sections, in pieces of constant size.

use std::collections::{BTreeSet, HashMap};
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
/// How many bytes of a word are looked at first. No word is shorter.
const START: usize = 4;
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

/// All that is searched for: signs of operating systems, then names of boards, then what is before the name of any
/// board of Zephyr, then addresses.
struct Words {
    all: Vec<Vec<u8>>,
    /// The numbers of the words that begin with the same four bytes.
    starts: HashMap<u32, Vec<usize>>,
    /// A bit for each hash of such bytes. It rules nearly all places out, without waiting for the one before: an
    /// automaton takes three times as long.
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
        let words: Vec<Vec<u8>> = signs
            .chain(spellings.iter().map(|(word, _)| word.clone().into_bytes()))
            .chain([ZEPHYR_BOARD.as_bytes().to_vec()])
            .chain(addresses.iter().map(|address| address.to_le_bytes().to_vec()))
            .collect();
        let names = spellings.into_iter().map(|(_, name)| name).collect();
        let longest = words.iter().map(Vec::len).max().unwrap_or(1).max(ZEPHYR_BOARD.len() + LONGEST_BOARD);
        let mut starts: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut hashes = [0; 1 << (HASH_BITS - 6)];
        for (number, word) in words.iter().enumerate() {
            let start = start(word);
            starts.entry(start).or_default().push(number);
            hashes[hash(start) / 64] |= 1 << (hash(start) % 64);
        }
        Self { all: words, starts, hashes, names, addresses, longest }
    }

    /// Each place where a word stands, and its number.
    fn find<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, Range<usize>)> + 'a {
        let may_begin = |start: u32| self.hashes[hash(start) / 64] >> (hash(start) % 64) & 1 == 1;
        let candidates = text.windows(START).enumerate().filter(move |(_, bytes)| may_begin(start(bytes)));
        candidates.flat_map(move |(at, bytes)| {
            let numbers = self.starts.get(&start(bytes)).into_iter().flatten();
            numbers.filter_map(move |&number| {
                let found = at..at + self.all[number].len();
                let stands = text.get(found.clone())?.eq_ignore_ascii_case(&self.all[number]);
                stands.then_some((number, found))
            })
        })
    }

    /// The number of [`ZEPHYR_BOARD`].
    fn zephyr_board(&self) -> usize {
        SIGNS.len() + self.names.len()
    }
}

/// The first four bytes of a word, or of a place where one may stand, whatever the case of letters.
fn start(bytes: &[u8]) -> u32 {
    let first = bytes.first_chunk::<START>().copied().unwrap_or_default();
    u32::from_le_bytes(first) | 0x2020_2020
}

/// Spreads by Knuth's multiplier, 2^32 divided by the golden ratio.
fn hash(start: u32) -> usize {
    (start.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize
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
            for (number, found) in words.find(&piece) {
                // What touches a border is seen whole in the piece before or after it.
                let behind = if number == words.zephyr_board() { LONGEST_BOARD } else { 0 };
                if (first || found.start > 0) && (last || found.end + behind < piece.len()) {
                    self.take(number, &piece, found);
                }
            }
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
