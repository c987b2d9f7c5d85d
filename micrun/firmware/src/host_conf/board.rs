//! The board that a host is.

use std::fmt;
use std::fs::File;
use std::io::Read;

use super::Source;
use crate::text::printable;

/// Where Linux has what the device tree calls the board, the most specific name first, each with a NUL behind it.
const COMPATIBLE: &str = "/proc/device-tree/compatible";
/// More than any device tree has.
const MAX_COMPATIBLE: u64 = 64 << 10;
/// What an image calls the firmware for a machine of QEMU, which any host can run.
const ANY: &str = "qemu";

/// What a host's board is called, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostBoard {
    /// By the key `board`.
    Named(String, Source),
    /// By its device tree, the most specific name first; empty on a host without one.
    Found(Vec<String>),
}

impl HostBoard {
    /// What the device tree of this machine says.
    pub(super) fn of_this_machine() -> Self {
        let mut text = Vec::new();
        let read = File::open(COMPATIBLE).and_then(|file| file.take(MAX_COMPATIBLE).read_to_end(&mut text));
        Self::compatible(read.map_or(&[], |_| text.as_slice()))
    }

    /// The same from the content of a device tree's `compatible`.
    pub fn compatible(bytes: &[u8]) -> Self {
        let names = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Self::Found(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    /// The first of its names that one of `boards` has. `VENDOR,MODEL` of a device tree is found by `MODEL` as well, and
    /// a host whose board nobody names takes what runs on any.
    pub(crate) fn choose<'a>(&self, boards: &'a [String]) -> Option<&'a str> {
        let has = |name: &str| boards.iter().find(|board| *board == name).map(String::as_str);
        match self {
            Self::Named(name, _) => has(name),
            Self::Found(names) => {
                let model = |name: &str| name.split_once(',').and_then(|(_, model)| has(model));
                names.iter().find_map(|name| has(name).or_else(|| model(name))).or_else(|| has(ANY))
            }
        }
    }
}

impl fmt::Display for HostBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name, source) => write!(f, "{}, as board in {source} says", printable(name)),
            Self::Found(names) if names.is_empty() => f.write_str("not known, as it has no device tree"),
            Self::Found(names) => write!(f, "{}, as its device tree says", printable(&names.join(" or "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_name_that_an_image_has_counts() {
        let host = HostBoard::compatible(b"fsl,imx8mp-evk\0fsl,imx8mp\0");
        let choose = |boards: &[&str]| {
            let boards: Vec<_> = boards.iter().map(ToString::to_string).collect();
            host.choose(&boards).map(str::to_owned)
        };
        assert_eq!(choose(&["qemu", "imx8mp", "imx8mp-evk"]).as_deref(), Some("imx8mp-evk"));
        assert_eq!(choose(&["qemu", "imx8mp", "fsl,imx8mp-evk"]).as_deref(), Some("fsl,imx8mp-evk"));
        assert_eq!(choose(&["imx93", "imx8mp"]).as_deref(), Some("imx8mp"));
        assert_eq!(choose(&["imx93", "qemu"]).as_deref(), Some("qemu"));
        assert_eq!(choose(&["imx93", "fsl"]), None);
        assert_eq!(HostBoard::compatible(b""), HostBoard::Found(Vec::new()));
        assert_eq!(host.to_string(), "fsl,imx8mp-evk or fsl,imx8mp, as its device tree says");
    }

    #[test]
    fn what_the_host_says_is_not_bent() {
        let host = HostBoard::Named("imx93".to_owned(), Source::Environment("MICRUN_BOARD".to_owned()));
        assert_eq!(host.choose(&["qemu".to_owned(), "imx8mp".to_owned()]), None);
        assert_eq!(host.to_string(), "imx93, as board in $MICRUN_BOARD says");
    }
}
