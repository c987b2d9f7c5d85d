//! The processor that a firmware was built for, closer than `e_machine` says it: `EM_ARM` is a Cortex-M as
//! well as a Cortex-A, and no machine has both.
//!
//! Compilers write it into the build attributes. Where they are stripped, the vector table at the beginning
//! of a firmware gives a Cortex-M away.

use std::fmt;

/// What code the firmware consists of. No processor runs that of two families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// 64-bit Arm.
    A64,
    /// 32-bit Arm with an MMU, or one that is not known any closer.
    A32,
    /// The Arm profile for real time: Cortex-R.
    R,
    /// The Arm profile for microcontrollers: Cortex-M.
    M,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit RISC-V.
    Riscv32,
}

/// A version of the 32-bit Arm architecture, by its number in `Tag_CPU_arch` (Arm's "Addenda to, and Errata
/// in, the ABI for the Arm Architecture", 3.3.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArmVersion(u8);

/// The processor, as far as the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processor {
    /// What code it runs.
    pub family: Family,
    /// The version of the Arm architecture.
    pub version: Option<ArmVersion>,
    /// The model (`cortex-m3`), or the RISC-V extensions (`rv32i2p1_m2p0`), in small letters.
    pub model: Option<String>,
}

impl ArmVersion {
    /// Armv6-M: Cortex-M0, M0+ and M1.
    pub const V6M: Self = Self(11);
    /// Armv7, all profiles: Cortex-M3 among those for microcontrollers.
    pub const V7: Self = Self(10);
    /// Armv7E-M: Cortex-M4 and M7.
    pub const V7EM: Self = Self(13);
    /// Armv8-R: Cortex-R52.
    pub const V8R: Self = Self(15);
    /// Armv8-M with the main extension: Cortex-M33.
    pub const V8M_MAIN: Self = Self(17);
    /// Armv8.1-M: Cortex-M55.
    pub const V81M: Self = Self(21);
    /// `Armv5TE`: the 926.
    pub const V5TE: Self = Self(4);
    /// `Armv6KZ`: the 1176.
    pub const V6KZ: Self = Self(7);
    /// Armv8-A.
    pub const V8A: Self = Self(14);

    /// From the number in the attributes.
    pub const fn from_tag(number: u8) -> Self {
        Self(number)
    }

    /// The family that a version is enough to know.
    const fn family(self) -> Option<Family> {
        match self.0 {
            11 | 12 | 13 | 16 | 17 | 21 => Some(Family::M),
            15 => Some(Family::R),
            14 | 18..=20 | 22 => Some(Family::A32),
            _ => None,
        }
    }

    /// How much of the architecture a version has, to be compared within one family.
    const fn rank(self, family: Family) -> u8 {
        match (family, self.0) {
            (Family::M, 11 | 12) => 0,
            // Armv8-M without the main extension lacks most of Armv7-M.
            (Family::M, 16) => 1,
            (Family::M, 10) => 2,
            (Family::M, 13) => 3,
            (Family::M, 17) => 4,
            (Family::M, 21) => 5,
            (_, number) => number,
        }
    }

    /// Whether a processor of this version runs code for `other`, of the same family.
    pub const fn runs(self, other: Self, family: Family) -> bool {
        // The one gap in the order: Armv7-M knows nothing of what Armv8-M adds.
        if matches!((family, self.0, other.0), (Family::M, 10 | 13, 16)) {
            return false;
        }
        self.rank(family) >= other.rank(family)
    }
}

impl Processor {
    /// A processor of which nothing but the family is known.
    pub const fn new(family: Family) -> Self {
        Self { family, version: None, model: None }
    }

    /// That of a model; `None` for one that no table has.
    pub fn of_model(model: &str) -> Option<Self> {
        let (family, version) = match model {
            "cortex-m0" | "cortex-m0plus" => (Family::M, ArmVersion::V6M),
            "cortex-m3" => (Family::M, ArmVersion::V7),
            "cortex-m4" | "cortex-m7" => (Family::M, ArmVersion::V7EM),
            "cortex-m33" => (Family::M, ArmVersion::V8M_MAIN),
            "cortex-m55" => (Family::M, ArmVersion::V81M),
            "cortex-r5" | "cortex-r5f" => (Family::R, ArmVersion::V7),
            "cortex-r52" => (Family::R, ArmVersion::V8R),
            "cortex-a53" => (Family::A64, ArmVersion::V8A),
            _ => return None,
        };
        Some(Self { family, version: Some(version), model: Some(model.to_owned()) })
    }

    /// Whether it runs code for `other`, as far as that is known.
    pub fn runs(&self, other: &Self) -> bool {
        // 32-bit Arm of which the file does not say which.
        let any_arm = other.family == Family::A32 && other.version.is_none();
        let is_arm = matches!(self.family, Family::A32 | Family::M | Family::R);
        (self.family == other.family || any_arm && is_arm)
            && match (self.version, other.version) {
                (Some(own), Some(built_for)) => own.runs(built_for, self.family),
                _ => true,
            }
    }

    /// From the attributes of vendor `aeabi`: version (`Tag_CPU_arch`), profile letter
    /// (`Tag_CPU_arch_profile`), name (`Tag_CPU_name`).
    pub(super) fn from_aeabi(version: Option<u8>, profile: Option<u8>, name: Option<&str>) -> Self {
        let version = version.map(ArmVersion);
        let of_profile = match profile {
            Some(b'M') => Some(Family::M),
            Some(b'R') => Some(Family::R),
            _ => None,
        };
        let family = of_profile.or_else(|| version.and_then(ArmVersion::family)).unwrap_or(Family::A32);
        // Assemblers write the version's name where no model was named.
        let model = name.map(str::to_lowercase).filter(|name| name.starts_with("cortex-"));
        Self { family, version, model }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A64 => "aarch64",
            Self::A32 => "arm",
            Self::R => "Cortex-R",
            Self::M => "Cortex-M",
            Self::Riscv64 => "riscv64",
            Self::Riscv32 => "riscv32",
        })
    }
}

impl fmt::Display for Processor {
    /// As precise as it is known: `cortex-m3`, `Cortex-M (Armv7E-M)`, `Cortex-R`, `aarch64`. The extensions of a
    /// RISC-V would fill the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arm = !matches!(self.family, Family::Riscv64 | Family::Riscv32);
        match (self.model.as_ref().filter(|_| arm), self.version) {
            (Some(model), _) => f.write_str(model),
            (None, Some(version)) => write!(f, "{} ({})", self.family, Named(version, self.family)),
            (None, None) => self.family.fmt(f),
        }
    }
}

/// A version with its profile, as Arm writes it.
struct Named(ArmVersion, Family);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0.0 {
            1 => "Armv4",
            2 => "Armv4T",
            3 => "Armv5T",
            4 => "Armv5TE",
            5 => "Armv5TEJ",
            6 => "Armv6",
            7 => "Armv6KZ",
            8 => "Armv6T2",
            9 => "Armv6K",
            10 => match self.1 {
                Family::M => "Armv7-M",
                Family::R => "Armv7-R",
                _ => "Armv7-A",
            },
            11 => "Armv6-M",
            12 => "Armv6S-M",
            13 => "Armv7E-M",
            14 => "Armv8-A",
            15 => "Armv8-R",
            16 => "Armv8-M without the main extension",
            17 => "Armv8-M",
            18 => "Armv8.1-A",
            19 => "Armv8.2-A",
            20 => "Armv8.3-A",
            21 => "Armv8.1-M",
            22 => "Armv9-A",
            number => return write!(f, "version {number} of the Arm architecture"),
        };
        f.write_str(name)
    }
}

/// Whether a firmware that begins with these words begins with a Cortex-M's vector table: a stack in RAM, and
/// a handler in Thumb code in the firmware itself (Armv7-M Architecture Reference Manual, B1.5.3).
pub(super) fn begins_with_vectors(stack: u32, reset: u32, in_code: impl Fn(u64) -> bool) -> bool {
    // The code and SRAM regions of the memory map (B3.1), and external RAM. An instruction of another
    // profile at this place has its condition in the top bits, which makes it larger.
    let ram = stack.is_multiple_of(4) && (0x1000_0000..0xa000_0000).contains(&stack);
    ram && reset & 1 == 1 && in_code(u64::from(reset & !1))
}
