//! An image with a firmware for each of several boards.
//!
//! containerd chooses by the host's platform, which does not say what board the host is. So one image has the firmware
//! of all boards, each in a directory of its own that is laid out as the root of any other image. The key
//! [`KEY`] of its client.conf lists them, and the host's [`HostBoard`] decides. `ClientPath` there leads nowhere: a
//! reader that does not know the key finds no firmware, rather than the wrong one.

use super::{RootFile, Rootfs};
use crate::client_conf::ClientConf;
use crate::host_conf::HostBoard;
use crate::text::quoted;
use crate::{Error, Result};

/// The key of `[Micrun]` that lists the boards, separated by blanks.
pub const KEY: &str = "image.boards";
/// The directory whose directories are the boards'.
pub const DIRECTORY: &str = "/.micrun/boards";
/// The longest name.
const MAX_NAME: usize = 64;

/// What is wrong with the name of a board; `None` if it can be one.
///
/// A name is a directory's, and may be what a device tree calls a board: `imx8mp`, `fsl,imx8mp-evk`.
pub fn name_fault(name: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b",._+-".contains(&byte);
    let is_name = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(is_plain)
        && name.len() <= MAX_NAME;
    (!is_name).then(|| {
        format!(
            "{} is not the name of a board: write up to {MAX_NAME} letters, digits and any of , . _ + - and begin \
             with a letter or a digit",
            quoted(name)
        )
    })
}

/// The directory of a board in its image.
pub fn directory(board: &str) -> String {
    format!("{DIRECTORY}/{board}")
}

/// The client.conf of an image for these boards.
pub fn client_conf(boards: &[&str]) -> String {
    format!(
        "# A firmware for each of several boards. The shim takes the one of the host's board.\n[Mica]\n\
         ClientPath = {DIRECTORY}/BOARD/firmware.elf\n[Micrun]\n{KEY} = {}\n",
        boards.join(" ")
    )
}

/// The boards that a client.conf lists; empty if it is that of one firmware.
pub(super) fn listed(conf: &ClientConf) -> Result<Vec<String>> {
    let Some(list) = conf.micrun.get(KEY) else { return Ok(Vec::new()) };
    let names: Vec<_> = list.split_ascii_whitespace().map(str::to_owned).collect();
    let fault = match names.as_slice() {
        [] => Some("it lists no board".to_owned()),
        all => all.iter().find_map(|name| name_fault(name)),
    };
    match fault {
        Some(reason) => {
            Err(Error::Unusable { path: "client.conf".into(), reason: format!("{KEY}: {reason}") })
        }
        None => Ok(names),
    }
}

/// The one of an image's boards that is the host's.
pub(super) fn choose<'a>(boards: &'a [String], host: &HostBoard) -> Result<&'a str> {
    host.choose(boards).ok_or_else(|| Error::OtherBoard { boards: boards.join(", "), host: host.to_string() })
}

/// A directory of an image as a rootfs. Symbolic links may lead out of it, and never out of the image.
pub(super) struct Below<'a, R: ?Sized> {
    root: &'a R,
    directory: String,
}

impl<'a, R: Rootfs + ?Sized> Below<'a, R> {
    pub(super) fn board(root: &'a R, board: &str) -> Self {
        Self { root, directory: directory(board) }
    }
}

impl<R: Rootfs + ?Sized> Rootfs for Below<'_, R> {
    fn open(&self, path: &str, limit: u64, asked_by: &str) -> Result<RootFile> {
        let path = format!("{}/{}", self.directory, path.trim_start_matches('/'));
        self.root.open(&path, limit, asked_by)
    }

    fn has(&self, name: &str) -> bool {
        // Opened as any file is: no directory above it may be a link out of the image.
        !matches!(self.open(name, u64::MAX, "a file of the board"), Err(Error::NotFound { .. }))
    }

    fn names(&self) -> Result<Vec<String>> {
        // Nothing is searched for here: the board's client.conf names its firmware.
        Ok(Vec::new())
    }
}
