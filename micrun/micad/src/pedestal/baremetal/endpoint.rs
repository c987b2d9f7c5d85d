//! The terminals that firmware announces over rpmsg: `rpmsg-tty`, and more whose names begin with that or with the word of
//! other vendors' firmware.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use libmica::Service;
use nix::fcntl::OFlag;

use super::sysfs::{self, Remoteproc, System};
use crate::error::{file, is_there, system};
use crate::pedestal::console;
use crate::{Error, Result, sys};

/// What the names begin with, as upstream's daemon matches them; alone, it is the console.
pub(super) const CONSOLE: &str = "rpmsg-tty";
/// The kernel's driver, which takes by itself only what is named [`CONSOLE`].
const DRIVER: &str = "rpmsg_tty";
/// Most names besides terminals in a status.
const MOST_OTHERS: usize = 4;

/// A terminal that firmware has announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The announced name.
    pub(super) name: String,
    /// The rpmsg device's name, which no other has at the same time.
    pub(super) device: String,
    /// Its address on the firmware's side.
    address: u32,
    /// Its address on Linux's side.
    pub(super) linux: u32,
    dir: PathBuf,
}

/// All that a remoteproc's firmware has announced, in the order of the names: each name, and its device's directory.
pub(super) struct Announced(Vec<(String, PathBuf)>);

impl Announced {
    /// What there is now.
    pub(super) fn read(system: &System, remoteproc: &Remoteproc) -> Self {
        let entries = std::fs::read_dir(system.path("/sys/bus/rpmsg/devices"));
        let dirs = entries.into_iter().flatten().flatten().filter_map(|it| it.path().canonicalize().ok());
        // Whose it is, its place tells; numbers and names could be another's.
        let own = dirs.filter(|dir| dir.starts_with(remoteproc.dir()));
        let named = own.filter_map(|dir| Some((sysfs::read(&dir.join("name")).ok()?, dir)));
        // Devices of Linux' own.
        let foreign = named.filter(|(name, _)| !matches!(name.as_str(), "rpmsg_ns" | "rpmsg_ctrl"));
        let mut all: Vec<_> = foreign.collect();
        all.sort();
        Self(all)
    }

    /// The terminals, the console first. What firmware announces is its own choice: names that would not fit a status
    /// line are left out.
    pub(super) fn terminals(&self) -> Vec<Endpoint> {
        let terminals = self.0.iter().filter(|(name, _)| is_terminal(name));
        let mut found: Vec<_> = terminals.filter_map(|(name, dir)| Endpoint::read(name, dir)).collect();
        found.sort_by(|a, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
        found
    }

    /// The names, and whether each has a terminal.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(name, dir)| (name.as_str(), dir.join("tty").exists()))
    }

    /// What is no terminal (`rpmsg-rpc`, `rpmsg-umt`): for a status, which has room for a few short names.
    pub(super) fn others(&self) -> impl Iterator<Item = Service> {
        let names = self.0.iter().map(|(name, _)| name);
        let others = names.filter(|name| !is_terminal(name) && is_short_word(name)).take(MOST_OTHERS);
        others.map(|name| Service { name: name.clone(), device: None })
    }
}

impl Endpoint {
    fn read(name: &str, dir: &Path) -> Option<Self> {
        let address = |attribute| {
            let text = sysfs::read(&dir.join(attribute)).ok()?;
            u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
        };
        let (firmware, linux) = (address("dst")?, address("src")?);
        let device = dir.file_name()?.to_str()?.to_owned();
        Some(Self { name: name.to_owned(), device, address: firmware, linux, dir: dir.to_owned() })
    }

    /// Opens the terminal for `client`, so that every byte passes as it is; `None` if it is not there yet.
    pub(super) fn open(&self, system: &System, client: &str) -> Result<Option<File>> {
        let Some(tty) = self.tty() else {
            self.bind(system)?;
            return Ok(None);
        };
        let path = system.path("/dev").join(tty);
        let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        match OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(&path) {
            // The device comes before its file; an event follows.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => {
                let tty = other.map_err(file("open", &path))?;
                self.make_raw(&tty, client)?;
                Ok(Some(tty))
            }
        }
    }

    /// The name of its terminal device.
    fn tty(&self) -> Option<String> {
        let entry = std::fs::read_dir(self.dir.join("tty")).ok()?.flatten().next()?;
        entry.file_name().into_string().ok()
    }

    /// Gives the device to the terminal driver, if it has none. The next look finds the terminal.
    fn bind(&self, system: &System) -> Result<()> {
        if is_there(&self.dir.join("driver"))? {
            return Ok(());
        }
        let bind = system.path("/sys/bus/rpmsg/drivers").join(DRIVER).join("bind");
        if !is_there(&bind)? {
            let problem = "no driver serves it: modprobe rpmsg_tty";
            return Err(Error::Terminal { device: self.device.clone(), problem });
        }
        let choose = self.dir.join("driver_override");
        sysfs::write(&choose, DRIVER).map_err(file("write", &choose))?;
        sysfs::write(&bind, &self.device).map_err(file("write", &bind))
    }

    /// Before a terminal is open the kernel keeps what arrives (up to 640 KiB, `TTYB_DEFAULT_MEM_LIMIT`) and
    /// does not look at it. It would look at the next arrival only, so it is told to once the terminal is raw.
    fn make_raw(&self, tty: &File, client: &str) -> Result<()> {
        let doing = "make the console transparent";
        console::make_raw(tty).map_err(system(doing))?;
        // The driver's terminals begin with input translation. Firmware that writes without having been
        // written to can hit the moment in between.
        if let Ok(early @ 1..) = rustix::io::ioctl_fionread(tty) {
            log::warn!(
                client = client;
                "{}: {early} bytes came while the console was being opened; CR in them may have become LF",
                self.device
            );
        }
        sys::deliver_pending_input(tty).map_err(system(doing))
    }
}

fn is_terminal(name: &str) -> bool {
    libmica::names::is_terminal(name) && is_short_word(name)
}

/// Whether a word fits a status line and means nothing to it.
fn is_short_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::is_terminal;

    #[test]
    fn names_that_fit_a_status_line() {
        for good in ["rpmsg-tty", "rpmsg-tty1", "rpmsg-tty-exec_2", "rpmsg-virtual-tty-channel-1"] {
            assert!(is_terminal(good), "{good}");
        }
        for bad in ["", "rpmsg-raw", "rpmsg-tt", "rpmsg-tty(/etc)", "rpmsg-tty x", "rpmsg-tty\u{e9}", "tty"] {
            assert!(!is_terminal(bad), "{bad}");
        }
    }
}
