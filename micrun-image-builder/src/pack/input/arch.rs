//! The processor of an input that has no ELF header to say it.

use std::str::FromStr;

use object::elf;

/// What `--arch` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM with the application profile.
    Arm,
    /// ARM's microcontroller profile.
    CortexM,
    /// ARM's real-time profile, 32 bits.
    CortexR,
    /// RISC-V of 32 bits.
    Riscv32,
    /// RISC-V of 64 bits.
    Riscv64,
}

impl Arch {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Aarch64, Self::Arm, Self::CortexM, Self::CortexR, Self::Riscv32, Self::Riscv64];

    /// The word of the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::CortexM => "cortex-m",
            Self::CortexR => "cortex-r",
            Self::Riscv32 => "riscv32",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Whether its ELF files are of 64 bits.
    pub(crate) const fn is_64(self) -> bool {
        matches!(self, Self::Aarch64 | Self::Riscv64)
    }

    /// `e_machine`.
    pub(crate) const fn machine(self) -> elf::Machine {
        match self {
            Self::Aarch64 => elf::EM_AARCH64,
            Self::Arm | Self::CortexM | Self::CortexR => elf::EM_ARM,
            Self::Riscv32 | Self::Riscv64 => elf::EM_RISCV,
        }
    }

    /// `Tag_CPU_arch_profile` of `.ARM.attributes`: ELF headers do not tell the profiles apart.
    pub(crate) const fn profile(self) -> Option<u8> {
        match self {
            Self::Arm => Some(b'A'),
            Self::CortexM => Some(b'M'),
            Self::CortexR => Some(b'R'),
            Self::Aarch64 | Self::Riscv32 | Self::Riscv64 => None,
        }
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|arch| arch.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown architecture {text:?} (known: {known})")
        })
    }
}
