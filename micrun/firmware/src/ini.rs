//! The ini text of client.conf, micrun.conf and micad.conf: one grammar, one reader.
//!
//! The grammar is that of Python's configparser, which upstream's `mica` uses, without what would be lost
//! in silence: a repeated key and a value that continues in the next line are errors.
//! `docs/CLIENT_CONF.md` has it under "Syntax".

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::text::{hint, quoted};

/// The largest file accepted, in bytes.
pub const MAX_SIZE: u64 = 64 << 10;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what to write.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for Fault {}

/// Where the keys before the first section belong.
#[derive(Debug, Clone, Copy)]
pub enum Top {
    /// Into this section.
    In(&'static str),
    /// Nowhere. The error proposes to begin with this section.
    Refused(&'static str),
}

/// A value as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Without the blanks around it; may be empty.
    pub value: String,
    /// Counted from 1.
    pub line: usize,
}

type Keys = BTreeMap<String, Entry>;

/// A text's sections with their keys. Names of both are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini(BTreeMap<String, Keys>);

impl Ini {
    /// Reads `text`.
    pub fn parse(text: &str, top: Top) -> Result<Self, Fault> {
        if text.len() as u64 > MAX_SIZE {
            let reason = format!("the file has {} bytes, more than the {MAX_SIZE} allowed", text.len());
            return Err(Fault { line: 1, reason });
        }
        let (mut section, proposed) = match top {
            Top::In(name) => (Some(name.to_lowercase()), name),
            Top::Refused(name) => (None, name),
        };
        let mut ini = Self::default();
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, text) in (1..).zip(text.lines()) {
            let refuse = |reason| Fault { line, reason };
            match Line::read(text.trim()).map_err(refuse)? {
                Line::Blank => {}
                Line::Section(name) => {
                    ini.0.entry(name.clone()).or_default();
                    section = Some(name);
                }
                Line::Pair(key, value) => {
                    let name = section.clone().ok_or_else(|| {
                        let text = quoted(text.trim());
                        refuse(format!("{text} comes before any section; begin with [{proposed}]"))
                    })?;
                    match ini.0.entry(name).or_default().entry(key) {
                        Slot::Vacant(slot) => slot.insert(Entry { value, line }),
                        Slot::Occupied(first) => {
                            let (text, first) = (quoted(text.trim()), first.get().line);
                            let reason = format!("{text} repeats the key of line {first}; keep one of them");
                            return Err(refuse(reason));
                        }
                    };
                }
            }
        }
        Ok(ini)
    }

    /// Takes the section `name` out; one that is not there is empty.
    pub fn take(&mut self, name: &'static str) -> Section {
        let keys = self.0.remove(&name.to_lowercase()).unwrap_or_default();
        Section { name, keys, known: Vec::new() }
    }

    /// A sentence for each section that nobody took; `known` are those that can be meant.
    pub fn unknown(&self, known: &[&str]) -> Vec<String> {
        let sentence = |name: &String| {
            let hint = hint(name, known.iter().copied());
            format!("the section {} is not known and is ignored{hint}", quoted(name))
        };
        self.0.keys().map(sentence).collect()
    }

    /// The keys of all sections, in the order of their lines.
    pub fn into_pairs(self) -> Vec<(String, Entry)> {
        let mut pairs: Vec<_> = self.0.into_values().flatten().collect();
        pairs.sort_by_key(|(_, entry)| entry.line);
        pairs
    }
}

/// A line, its names in lower case.
enum Line {
    Blank,
    Section(String),
    Pair(String, String),
}

impl Line {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Ok(Self::Blank);
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!("{} has a control character; remove it", quoted(text)));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let name = rest
                .strip_suffix(']')
                .ok_or_else(|| format!("{} begins a section but does not end with \"]\"", quoted(text)))?;
            return Ok(Self::Section(name.trim().to_lowercase()));
        }
        match text.split_once(['=', ':']).map(|(key, value)| (key.trim(), value.trim())) {
            None => Err(format!("{} is not KEY=VALUE; write a value on one line", quoted(text))),
            Some(("", _)) => Err(format!("{} has no key before its value", quoted(text))),
            Some((key, value)) => Ok(Self::Pair(key.to_lowercase(), value.to_owned())),
        }
    }
}

/// A section that is being read: each getter takes its key out, and what stays is not known.
#[derive(Debug)]
pub struct Section {
    name: &'static str,
    keys: Keys,
    known: Vec<&'static str>,
}

impl Section {
    /// The value of `key` as `read` makes it; an empty one is absent. The error of `read` is the reason, as
    /// a part of a sentence.
    pub fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Fault> {
        self.known.push(key);
        match self.keys.remove(&key.to_lowercase()) {
            Some(Entry { value, line }) if !value.is_empty() => {
                let refuse = |reason| Fault { line, reason: format!("[{}] {key}: {reason}", self.name) };
                read(&value).map(Some).map_err(refuse)
            }
            _ => Ok(None),
        }
    }

    /// A sentence for each key that nobody asked for.
    pub fn unknown(&self) -> Vec<String> {
        let sentence = |key: &String| {
            let hint = hint(key, self.known.iter().copied());
            format!("[{}]: the key {} is not known and is ignored{hint}", self.name, quoted(key))
        };
        self.keys.keys().map(sentence).collect()
    }

    /// All keys with their values, where any key may stand.
    pub(crate) fn into_values(self) -> BTreeMap<String, String> {
        self.keys.into_iter().map(|(key, entry)| (key, entry.value)).collect()
    }
}

/// The text of a configuration file of the host. A FIFO in its place does not block, and neither it nor a
/// huge file is read.
pub fn load(path: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    if file.take(MAX_SIZE + 1).read_to_string(&mut text)? as u64 > MAX_SIZE {
        return Err(io::Error::other(format!("it is longer than the {MAX_SIZE} bytes of a configuration")));
    }
    Ok(text)
}
