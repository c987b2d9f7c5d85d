//! What differs, as JSON (`docs/UPDATES.md`) and as text.

use std::fmt;

use oci_spec::image::Descriptor;
use serde::Serialize;

use super::firmware::Comparison;
use super::pairs::Pair;
use crate::text::{self, printable};

/// Lines of one kind that the text lists. JSON has all.
const MOST: usize = 20;
const SHA256: &str = "sha256:";
/// Hexadecimal digits of a digest in the text.
const DIGITS: usize = 12;

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) from: Side,
    pub(super) to: Side,
    pub(super) update: Update,
    pub(super) layers: Vec<LayerLine>,
    pub(super) files: Vec<Pair>,
    /// Of client.conf.
    pub(super) conf: Vec<Pair>,
    /// What applies of all that is said.
    pub(super) settings: Vec<Pair>,
    pub(super) labels: Vec<Pair>,
    pub(super) annotations: Vec<Pair>,
    /// Those that are not the same.
    pub(super) firmwares: Vec<Comparison>,
}

/// One of the images.
#[derive(Clone, Serialize)]
pub(super) struct Side {
    pub(super) file: String,
    pub(super) name: Option<String>,
    pub(super) digest: String,
}

/// The blobs that whoever has the first image needs for the other one.
#[derive(Serialize)]
pub(super) struct Update {
    pub(super) blobs: usize,
    pub(super) bytes: u64,
    /// The bytes of all blobs.
    pub(super) whole: u64,
}

#[derive(Serialize)]
pub(super) struct LayerLine {
    /// `keep`, `add` or `remove`.
    op: &'static str,
    digest: String,
    size: u64,
}

impl LayerLine {
    pub(super) fn new(op: &'static str, descriptor: &Descriptor) -> Self {
        Self { op, digest: descriptor.digest().to_string(), size: descriptor.size() }
    }
}

impl Report {
    pub(super) fn to_json(&self) -> String {
        let document = serde_json::to_value(self).unwrap_or_default();
        format!("{document:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, side) in [("from", &self.from), ("to", &self.to)] {
            let name = side.name.as_ref().unwrap_or(&side.file);
            writeln!(f, "{what:<11}  {}  {}", printable(name), side.digest)?;
        }
        let Update { blobs, bytes, whole } = self.update;
        let plural = if blobs == 1 { "" } else { "s" };
        writeln!(f, "update       {blobs} blob{plural} of {bytes} bytes, of {whole}")?;
        for LayerLine { op, digest, size } in &self.layers {
            writeln!(f, "layer        {op:<6}  {digest}, {size} bytes")?;
        }
        pairs(f, "file", &self.files)?;
        pairs(f, "client.conf", &self.conf)?;
        pairs(f, "setting", &self.settings)?;
        pairs(f, "label", &self.labels)?;
        pairs(f, "annotation", &self.annotations)?;
        self.firmwares.iter().try_for_each(|it| it.write(f))
    }
}

impl Comparison {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(board) = &self.board {
            writeln!(f, "{:<11}  {}", "board", printable(board))?;
        }
        pairs(f, "firmware", &self.facts)?;
        pairs(f, "segment", &self.segments)?;
        if let Some(reason) = &self.layout {
            writeln!(f, "memory       no ranges: {}", printable(reason))?;
        }
        let ranges = self.ranges.as_deref().unwrap_or_default();
        lines(
            f,
            "memory",
            ranges.iter().map(|it| format!("change  {} at {}", text::bytes(it.size), it.paddr)),
        )?;
        let Some(symbols) = &self.symbols else { return Ok(()) };
        for (op, names) in
            [("add", &symbols.added), ("remove", &symbols.removed), ("change", &symbols.changed)]
        {
            lines(f, "symbol", names.iter().map(|name| format!("{op:<6}  {}", printable(name))))?;
        }
        match symbols.moved {
            0 => Ok(()),
            moved => writeln!(f, "symbols      {moved} more only move"),
        }
    }
}

fn pairs(f: &mut fmt::Formatter<'_>, what: &str, pairs: &[Pair]) -> fmt::Result {
    let line = |pair: &Pair| {
        let key = printable(&pair.key);
        let value = |it: &Option<String>| shortened(&printable(it.as_deref().unwrap_or_default()));
        match (&pair.before, &pair.after) {
            (None, after) => format!("add     {key}  {}", value(after)),
            (before, None) => format!("remove  {key}  {}", value(before)),
            (before, after) => format!("change  {key}  {} -> {}", value(before), value(after)),
        }
    };
    lines(f, what, pairs.iter().map(line))
}

/// The text with its digests cut to what people compare.
fn shortened(text: &str) -> String {
    let mut parts = text.split(SHA256);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.push_str(SHA256);
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let kept = if digits == 64 { DIGITS } else { digits };
        short.push_str(&part[..kept]);
        short.push_str(&part[digits..]);
    }
    short
}

fn lines(f: &mut fmt::Formatter<'_>, what: &str, all: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let count = all.len();
    for line in all.take(MOST) {
        writeln!(f, "{what:<11}  {line}")?;
    }
    if count > MOST {
        writeln!(f, "{what:<11}  ... and {} more", count - MOST)?;
    }
    Ok(())
}
