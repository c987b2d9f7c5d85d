//! What firmware announces over rpmsg and Linux makes a device of: terminals (`rpmsg-tty`, and more whose names begin with
//! that or with the word of other vendors' firmware), and the channels of other names that the host wants as streams.

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
/// What a device is to Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A terminal. The kernel's driver takes by itself only what is named [`CONSOLE`].
    Terminal,
    /// A character device, each read and write of which is a message. The kernel's driver takes by itself `rpmsg-raw`.
    Channel,
}

impl Class {
    fn driver(self) -> &'static str {
        match self {
            Self::Terminal => "rpmsg_tty",
            Self::Channel => "rpmsg_chrdev",
        }
    }

    /// The directory of the device's own device.
    fn directory(self) -> &'static str {
        match self {
            Self::Terminal => "tty",
            Self::Channel => "rpmsg",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Terminal => "no driver serves it: modprobe rpmsg_tty",
            Self::Channel => "no driver serves it: modprobe rpmsg_char",
        }
    }
}
/// Most names besides terminals in a status.
const MOST_OTHERS: usize = 4;

/// A terminal or a channel that firmware has announced.
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
    class: Class,
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

    /// The terminals, the console first, and then the channels of these names. What firmware announces is its own choice:
    /// names of terminals that would not fit a status line are left out.
    pub(super) fn streams(&self, channels: &[String]) -> Vec<Endpoint> {
        let class = |name: &String| match name {
            name if is_terminal(name) => Some(Class::Terminal),
            name if channels.contains(name) => Some(Class::Channel),
            _ => None,
        };
        let streams = self.0.iter().filter_map(|(name, dir)| Endpoint::read(name, class(name)?, dir));
        let mut found: Vec<_> = streams.collect();
        let place = |it: &Endpoint| (it.class == Class::Channel, it.name.clone(), it.address);
        found.sort_by_key(place);
        found
    }

    /// The names, and whether each has a terminal.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(name, dir)| (name.as_str(), dir.join("tty").exists()))
    }

    /// What is neither a terminal nor one of these channels (`rpmsg-rpc`, `rpmsg-umt`): for a status, which has room for a
    /// few short names.
    pub(super) fn others(&self, channels: &[String]) -> impl Iterator<Item = Service> {
        let names = self.0.iter().map(|(name, _)| name).filter(|name| !channels.contains(name));
        let others = names.filter(|name| !is_terminal(name) && is_short_word(name)).take(MOST_OTHERS);
        others.map(|name| Service { name: name.clone(), device: None })
    }
}

impl Endpoint {
    fn read(name: &str, class: Class, dir: &Path) -> Option<Self> {
        let address = |attribute| {
            let text = sysfs::read(&dir.join(attribute)).ok()?;
            u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
        };
        let (firmware, linux) = (address("dst")?, address("src")?);
        let device = dir.file_name()?.to_str()?.to_owned();
        Some(Self { name: name.to_owned(), device, address: firmware, linux, class, dir: dir.to_owned() })
    }

    /// Opens the device for `client`, so that every byte passes as it is; `None` if it is not there yet.
    pub(super) fn open(&self, system: &System, client: &str) -> Result<Option<File>> {
        let Some(node) = self.node() else {
            self.bind(system)?;
            return Ok(None);
        };
        let path = system.path("/dev").join(node);
        let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        match OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(&path) {
            // The device comes before its file; an event follows.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => {
                let device = other.map_err(file("open", &path))?;
                if self.class == Class::Terminal {
                    self.make_raw(&device, client)?;
                }
                Ok(Some(device))
            }
        }
    }

    /// The name of its file in `/dev`.
    fn node(&self) -> Option<String> {
        let entry = std::fs::read_dir(self.dir.join(self.class.directory())).ok()?.flatten().next()?;
        entry.file_name().into_string().ok()
    }

    /// Gives the device to the driver of its class, if it has none. The next look finds what comes of that.
    fn bind(&self, system: &System) -> Result<()> {
        if is_there(&self.dir.join("driver"))? {
            return Ok(());
        }
        let driver = self.class.driver();
        let bind = system.path("/sys/bus/rpmsg/drivers").join(driver).join("bind");
        if !is_there(&bind)? {
            return Err(Error::Terminal { device: self.device.clone(), problem: self.class.remedy() });
        }
        let choose = self.dir.join("driver_override");
        sysfs::write(&choose, driver).map_err(file("write", &choose))?;
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
