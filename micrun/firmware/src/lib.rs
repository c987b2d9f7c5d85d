//! What a firmware image is, for the shim that runs one, the builder that packs one and the daemon
//! that boots one: the layout of its rootfs, `client.conf`, the annotations, the checks an ELF must
//! pass, the machines and boards it may run on, and the records its layers carry. No network, no container runtime, no daemon.
//!
//! Everything read here comes from outside (an image, a pod specification) and is hostile until
//! checked: nothing panics on it, allocates without a bound, or leaves the rootfs.

pub mod annotations;
pub mod board;
pub mod changes;
pub mod client_conf;
mod copy;
pub mod cpus;
pub mod delta;
pub mod digest;
pub mod elf;
mod error;
pub mod evidence;
pub mod host_conf;
pub mod ini;
pub mod memory_file;
mod os;
mod pedestal;
mod pedestal_file;
pub mod policy;
pub mod qemu;
pub mod record;
pub mod rootfs;
pub mod settings;
pub mod signature;
pub mod snapshot;
pub mod stop;
mod streams;
mod text;
pub mod vigil;

pub use libmica::names;

pub use annotations::Annotations;
pub use changes::Changes;
pub use client_conf::ClientConf;
pub use copy::copy;
pub use cpus::{CpuList, SharedCpus};
pub use digest::Sha256Digest;
pub use elf::ElfInfo;
pub use error::{Error, Result};
pub use evidence::Evidence;
pub use host_conf::HostConf;
pub use os::Os;
pub use pedestal::Pedestal;
pub use pedestal_file::{PEDESTAL_FILE_START, pedestal_file_fault};
pub use policy::Policy;
pub use rootfs::{Firmware, is_firmware};
pub use settings::{Origin, Setting, Settings};
pub use stop::{Stop, StopCommand};
pub use streams::{Delivery, StreamName};
pub use vigil::{Coredump, Watchdog};

/// The largest firmware file accepted, in bytes. Far above any RTOS image, and low enough that a
/// hostile image cannot make a reader fill the host's memory or hash for minutes.
pub const MAX_FIRMWARE_SIZE: u64 = (MAX_FIRMWARE_MB as u64) << 20;

/// The same in MiB.
pub const MAX_FIRMWARE_MB: u32 = 256;
