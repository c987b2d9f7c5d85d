//! Tells firmware where Linux's end of a terminal is.
//!
//! Firmware announces its own end, and Linux does not answer. Stock OpenAMP firmware learns Linux's address from the
//! first message that it gets, so it prints nothing before somebody has typed. An announcement of the same name tells
//! it the address without a byte of input: OpenAMP's remote side notes it (`rpmsg_virtio_ns_callback` in
//! `lib/rpmsg/rpmsg_virtio.c`). Firmware without a name service drops it, as a message to an address that nobody has.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::OFlag;

use super::endpoint::Endpoint;
use super::sysfs::{self, Remoteproc, System};
use crate::sys::{self, RPMSG_NAME_SIZE};

/// The address of the name service (Documentation/staging/rpmsg.rst of Linux).
const NAME_SERVICE: u32 = 53;
/// The class of the character devices by which user space sends messages, and of those that make them.
const CLASS: &str = "/sys/class/rpmsg";
/// Flags of an announcement: the service is there.
const CREATED: u32 = 0;

/// Introduces Linux's end of `endpoint` to the firmware. False if this kernel has no `rpmsg_ctrl` for it.
pub(super) fn introduce(system: &System, remoteproc: &Remoteproc, endpoint: &Endpoint) -> io::Result<bool> {
    let Some(control) = device(system, remoteproc, "rpmsg_ctrl", |_| true) else { return Ok(false) };
    let control = open(&control)?;
    let name = format!("micad-{:x}", endpoint.linux);
    sys::create_rpmsg_device(&control, &name, NAME_SERVICE)?;
    // The kernel does not say which number it has given.
    let made = device(system, remoteproc, "rpmsg", |dir| {
        sysfs::read(&dir.join("name")).is_ok_and(|other| other == name)
    });
    let made = open(&made.ok_or(ErrorKind::NotFound)?)?;
    let sent = (&made).write_all(&announcement(&endpoint.name, endpoint.linux));
    sys::destroy_rpmsg_device(&made)?;
    sent.map(|()| true)
}

/// The file of the remoteproc's device of that kind whose directory satisfies `wanted`.
fn device(
    system: &System,
    remoteproc: &Remoteproc,
    kind: &str,
    wanted: impl Fn(&PathBuf) -> bool,
) -> Option<PathBuf> {
    let entries = std::fs::read_dir(system.path(CLASS)).ok()?;
    entries.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let number = name.strip_prefix(kind)?;
        let dir = entry.path().canonicalize().ok()?;
        let found =
            number.bytes().all(|b| b.is_ascii_digit()) && dir.starts_with(remoteproc.dir()) && wanted(&dir);
        found.then(|| system.path("/dev").join(name))
    })
}

/// Does not wait: all buffers may be in use.
fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// `struct rpmsg_ns_msg` of the kernel. Both sides are little-endian.
fn announcement(name: &str, address: u32) -> Vec<u8> {
    let mut message = name.as_bytes()[..name.len().min(RPMSG_NAME_SIZE - 1)].to_vec();
    message.resize(RPMSG_NAME_SIZE, 0);
    message.extend(address.to_le_bytes());
    message.extend(CREATED.to_le_bytes());
    message
}
