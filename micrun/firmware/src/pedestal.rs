//! The pedestals: what carries a firmware on the host.

use std::fmt;
use std::str::FromStr;

use crate::elf::ElfInfo;

/// What a firmware runs on. The mica daemon, not this crate, knows which of them the host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pedestal {
    /// A core that Linux gave up, driven through remoteproc.
    BareMetal,
    /// A QEMU process of its own.
    Qemu,
    /// A Xen domain (upstream's daemon).
    Xen,
    /// A jailhouse cell (upstream's daemon).
    Jailhouse,
    /// A core of another architecture beside Linux's (upstream's daemon).
    Hetero,
}

impl Pedestal {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::BareMetal, Self::Qemu, Self::Xen, Self::Jailhouse, Self::Hetero];

    /// The name in annotations, in client.conf and in the mica create message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BareMetal => "baremetal",
            Self::Qemu => "qemu",
            Self::Xen => "xen",
            Self::Jailhouse => "jailhouse",
            Self::Hetero => "hetero",
        }
    }

    /// The pedestal of an image that names none. A firmware with a resource table was built to talk to
    /// Linux over rpmsg and has no console elsewhere; any other firmware runs in a QEMU process.
    pub fn default_for(elf: &ElfInfo) -> Self {
        if elf.has_resource_table { Self::BareMetal } else { Self::Qemu }
    }

    /// Whether the loader takes no firmware without a `.resource_table` section. On the baremetal pedestal
    /// that is up to the board's driver: most of mainline's start firmware without one.
    pub const fn needs_resource_table(self) -> bool {
        matches!(self, Self::Hetero)
    }

    /// Whether the pedestal needs a second file beside the ELF (mica-protocol 1.2, `ped_cfg`): the guest
    /// kernel of Xen, the cell of jailhouse, the binary of hetero.
    pub const fn needs_conf_file(self) -> bool {
        matches!(self, Self::Xen | Self::Jailhouse | Self::Hetero)
    }
}

impl fmt::Display for Pedestal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Pedestal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str);
            format!(
                "unknown pedestal {} (known: {}){}",
                crate::text::quoted(text),
                known.join(", "),
                crate::text::hint(text, known)
            )
        })
    }
}
