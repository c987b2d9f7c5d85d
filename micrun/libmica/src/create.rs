//! The create message: the 1772 bytes that describe a new client.
//!
//! The layout is upstream's `struct create_msg` since its commit `d92d0cb`: native byte order, C alignment,
//! no version. Python's `struct` writes it as `66s256s16s256s?128siiiiii512s512s`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::{Error, Result, names};

/// Length of a create message in bytes.
pub const SIZE: usize = 1772;

/// A field of the message that holds text: where it starts and how many bytes it has with its NUL.
struct TextField {
    name: &'static str,
    offset: usize,
    size: usize,
}

const NAME: TextField = TextField { name: "the client name", offset: 0, size: 66 };
const PATH: TextField = TextField { name: "the firmware path", offset: 66, size: 256 };
const PEDESTAL: TextField = TextField { name: "the pedestal", offset: 322, size: 16 };
const PEDESTAL_CONF: TextField = TextField { name: "the pedestal configuration", offset: 338, size: 256 };
const DEBUG: usize = 594;
const CPU: TextField = TextField { name: "the CPU list", offset: 595, size: 128 };
const VCPUS: usize = 724;
const MAX_VCPUS: usize = 728;
const CPU_WEIGHT: usize = 732;
const CPU_CAPACITY: usize = 736;
const MEMORY: usize = 740;
const MAX_MEMORY: usize = 744;
const IOMEM: TextField = TextField { name: "the I/O memory list", offset: 748, size: 512 };
const NETWORK: TextField = TextField { name: "the network", offset: 1260, size: 512 };

/// What a client is made of. Integers that are not known are 0 (as upstream's shim sends them) or
/// -1 (as its `mica` command does).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateMessage {
    /// Client name; see [`names::validate`].
    pub name: String,
    /// Firmware ELF on the host.
    pub path: PathBuf,
    /// `xen`, `jailhouse`, `hetero`, or `qemu` for our daemon; anything else is bare metal.
    pub pedestal: String,
    /// xen: the guest kernel; jailhouse: the cell; qemu: an ini file with a `[Qemu]` section, or empty.
    pub pedestal_conf: PathBuf,
    /// Make the firmware debuggable with gdb.
    pub debug: bool,
    /// bare metal: one CPU id; xen: the pin list.
    pub cpu: String,
    /// Virtual CPUs.
    pub vcpus: i32,
    /// Most virtual CPUs the client may get.
    pub max_vcpus: i32,
    /// Scheduling weight, 1 to 65535.
    pub cpu_weight: i32,
    /// CPU cap in percent of one CPU.
    pub cpu_capacity: i32,
    /// Memory in MB.
    pub memory: i32,
    /// Most memory the client may get, in MB.
    pub max_memory: i32,
    /// xen's `iomem` list.
    pub iomem: String,
    /// xen's `vif` text.
    pub network: String,
}

impl CreateMessage {
    /// The message as it goes over the wire, or which field does not fit.
    pub fn encode(&self) -> Result<[u8; SIZE]> {
        names::validate(&self.name)?;
        let mut out = [0; SIZE];
        put_text(&mut out, &NAME, self.name.as_bytes())?;
        put_text(&mut out, &PATH, self.path.as_os_str().as_bytes())?;
        put_text(&mut out, &PEDESTAL, self.pedestal.as_bytes())?;
        put_text(&mut out, &PEDESTAL_CONF, self.pedestal_conf.as_os_str().as_bytes())?;
        out[DEBUG] = u8::from(self.debug);
        put_text(&mut out, &CPU, self.cpu.as_bytes())?;
        put_i32(&mut out, VCPUS, self.vcpus);
        put_i32(&mut out, MAX_VCPUS, self.max_vcpus);
        put_i32(&mut out, CPU_WEIGHT, self.cpu_weight);
        put_i32(&mut out, CPU_CAPACITY, self.cpu_capacity);
        put_i32(&mut out, MEMORY, self.memory);
        put_i32(&mut out, MAX_MEMORY, self.max_memory);
        put_text(&mut out, &IOMEM, self.iomem.as_bytes())?;
        put_text(&mut out, &NETWORK, self.network.as_bytes())?;
        Ok(out)
    }

    /// Reads a received message. Upstream cuts an unterminated text short; here it is an error, because a
    /// client that was given another name than it asked for cannot be reached.
    pub fn decode(bytes: &[u8; SIZE]) -> Result<Self> {
        let message = Self {
            name: get_string(bytes, &NAME)?,
            path: get_path(bytes, &PATH)?,
            pedestal: get_string(bytes, &PEDESTAL)?,
            pedestal_conf: get_path(bytes, &PEDESTAL_CONF)?,
            debug: bytes[DEBUG] != 0,
            cpu: get_string(bytes, &CPU)?,
            vcpus: get_i32(bytes, VCPUS),
            max_vcpus: get_i32(bytes, MAX_VCPUS),
            cpu_weight: get_i32(bytes, CPU_WEIGHT),
            cpu_capacity: get_i32(bytes, CPU_CAPACITY),
            memory: get_i32(bytes, MEMORY),
            max_memory: get_i32(bytes, MAX_MEMORY),
            iomem: get_string(bytes, &IOMEM)?,
            network: get_string(bytes, &NETWORK)?,
        };
        names::validate(&message.name)?;
        Ok(message)
    }

    /// [`Self::decode`] for a message of unchecked length; the error names the older layout that has it.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let exact: &[u8; SIZE] = bytes.try_into().map_err(|_| wrong_length(bytes.len()))?;
        Self::decode(exact)
    }
}

/// The lengths of older layouts are from upstream's history (mica protocol 1.2).
fn wrong_length(actual: usize) -> Error {
    let hint = match actual {
        0 => "the message is empty",
        164 => "this is the layout of 2024-03; update the sender",
        324 | 328 => "this is the layout of 2024-05; update the sender",
        980 => "this is the layout of 2025-09; update the sender",
        1304 | 1500 | 1824 => "this is a layout of 2025-11; update the sender",
        n if n < SIZE => "the message is cut short; send it in one write",
        _ => "the message is too long; send one message per connection",
    };
    Error::CreateLength { actual, expected: SIZE, hint }
}

fn put_text(out: &mut [u8; SIZE], field: &TextField, text: &[u8]) -> Result<()> {
    let limit = field.size - 1;
    if text.len() > limit {
        return Err(Error::TooLong { field: field.name, actual: text.len(), limit });
    }
    if text.contains(&0) {
        return Err(Error::Nul { field: field.name });
    }
    out[field.offset..field.offset + text.len()].copy_from_slice(text);
    Ok(())
}

fn put_i32(out: &mut [u8; SIZE], offset: usize, value: i32) {
    out[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
}

fn get_text<'a>(bytes: &'a [u8; SIZE], field: &TextField) -> Result<&'a [u8]> {
    let raw = &bytes[field.offset..field.offset + field.size];
    let end = raw
        .iter()
        .position(|&b| b == 0)
        .ok_or(Error::Unterminated { field: field.name, limit: field.size - 1 })?;
    Ok(&raw[..end])
}

fn get_string(bytes: &[u8; SIZE], field: &TextField) -> Result<String> {
    let text = std::str::from_utf8(get_text(bytes, field)?);
    text.map(str::to_owned).map_err(|_| Error::NotUtf8 { field: field.name })
}

fn get_path(bytes: &[u8; SIZE], field: &TextField) -> Result<PathBuf> {
    Ok(PathBuf::from(OsStr::from_bytes(get_text(bytes, field)?)))
}

fn get_i32(bytes: &[u8; SIZE], offset: usize) -> i32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[offset..offset + 4]);
    i32::from_ne_bytes(raw)
}
