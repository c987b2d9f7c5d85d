//! What the values of micad.conf may be.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use micrun_firmware::{CpuList, StreamName};

use super::SOCKET_SUFFIX;

/// Most machines that can be told to wait for a firmware: each costs the daemon five descriptors.
const MOST_WAITING: usize = 64;
/// Most clients that can have metrics of their own: the text of so many fits into a reply of the mica protocol.
const MOST_SHOWN: usize = 1000;
/// How many KiB can be kept of a console.
const RINGS: RangeInclusive<u64> = 16..=1 << 20;

/// A value as it is. Before micad read comments in the dialect of client.conf, one could follow a value.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.contains(" #") || text.contains(" ;") {
        return Err(format!("{text:?} has a comment; put it on a line of its own"));
    }
    Ok(text.to_owned())
}

pub(super) fn uid(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a user id; write a number"))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

pub(super) fn megabytes(text: &str) -> Result<u64, String> {
    number(text)
}

pub(super) fn waiting_machines(text: &str) -> Result<usize, String> {
    match number(text)? {
        most if most <= MOST_WAITING => Ok(most),
        most => Err(format!("{most} machines are too many: {MOST_WAITING} can wait")),
    }
}

/// Names that a status can tell, and that are no terminals' anyway.
pub(super) fn channels(text: &str) -> Result<Vec<String>, String> {
    match text.split_ascii_whitespace().find(|name| name.parse::<StreamName>().is_err()) {
        Some(name) => {
            Err(format!("{name:?} is not the name of an rpmsg channel: write letters, digits, - and _"))
        }
        None => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
    }
}

/// The name of a socket in the runtime directory. The suffix is that of no client's socket.
pub(super) fn socket_name(text: &str) -> Result<String, String> {
    match text.strip_suffix(SOCKET_SUFFIX).and_then(|stem| stem.strip_suffix('.')) {
        Some(stem) if !stem.is_empty() && !stem.contains('/') => Ok(text.to_owned()),
        _ => Err(format!(
            "{text:?} is not a name for a socket in RuntimeDir, such as metrics.sock: without a directory, with \
             .{SOCKET_SUFFIX} at its end"
        )),
    }
}

/// An address that no other machine reaches: metrics have no password and no encryption.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!("{text:?} is not an address and a port, such as 127.0.0.1:9743 or [::1]:9743")
    })?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{address} can be reached by other machines: write 127.0.0.1 or [::1], and let a proxy with TLS and a \
             password go on from there"
        ));
    }
    Ok(address)
}

/// Bytes, of a number of KiB.
pub(super) fn ring(text: &str) -> Result<u64, String> {
    match text.parse().map_err(|_| format!("{text:?} is not a number of KiB"))? {
        kib if RINGS.contains(&kib) => Ok(kib << 10),
        kib => {
            Err(format!("{kib} KiB cannot be kept of a console: write {} to {}", RINGS.start(), RINGS.end()))
        }
    }
}

pub(super) fn directory(value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text(value)?);
    if path.is_absolute() { Ok(path) } else { Err(format!("{value:?} is not a full path: begin it with /")) }
}

pub(super) fn shown_clients(text: &str) -> Result<usize, String> {
    match number(text)? {
        most if most <= MOST_SHOWN => Ok(most),
        most => Err(format!("metrics of {most} clients are too many: {MOST_SHOWN} can have their own")),
    }
}

/// CPUs that this machine has, whether they are online or not.
pub(super) fn shared_cpus(text: &str) -> Result<CpuList, String> {
    let cpus: CpuList = text.parse()?;
    let present = std::fs::read_to_string("/sys/devices/system/cpu/present").unwrap_or_default();
    // A kernel without sysfs is believed.
    match present.trim().parse::<CpuList>() {
        Ok(present) if !cpus.is_within(&present) => {
            Err(format!("{cpus} is not among the CPUs of this machine, {present}"))
        }
        _ => Ok(cpus),
    }
}
