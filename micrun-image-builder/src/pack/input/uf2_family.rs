//! The families of UF2: which processor a file is for. Numbers from the table that the format's specification
//! keeps (microsoft/uf2, `utils/uf2families.json`) and from Raspberry Pi's RP2350 data sheet.

use super::arch::Arch;

/// A family of microcontrollers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// Its number in the file.
    pub(crate) id: u32,
    /// Its name.
    pub(crate) name: &'static str,
    /// Its processor.
    pub(crate) core: Core,
}

/// A processor, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// One that a pedestal may have.
    Known(Arch),
    /// One that none has, by its name.
    Foreign(&'static str),
}

use Arch::{Arm, CortexM, Riscv32};
use Core::{Foreign, Known};

/// Blocks of this family are no firmware: they keep the RP2350's boot code from a fault of its own (erratum E10).
pub(crate) const RP2350_ABSOLUTE: u32 = 0xe48b_ff57;

/// Every family whose processor is known.
#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    Family { id: 0x00ff_6919, name: "STM32L4", core: Known(CortexM) },
    Family { id: 0x0424_0bdf, name: "STM32L5", core: Known(CortexM) },
    Family { id: 0x11de_784a, name: "BL702", core: Known(Riscv32) },
    Family { id: 0x1657_3617, name: "ATmega32", core: Foreign("AVR") },
    Family { id: 0x1851_780a, name: "SAML21", core: Known(CortexM) },
    Family { id: 0x1b57_745f, name: "nRF52", core: Known(CortexM) },
    Family { id: 0x1c5f_21b0, name: "ESP32", core: Foreign("Xtensa") },
    Family { id: 0x1e1f_432d, name: "STM32L1", core: Known(CortexM) },
    Family { id: 0x202e_3a91, name: "STM32L0", core: Known(CortexM) },
    Family { id: 0x2146_0ff0, name: "STM32WL", core: Known(CortexM) },
    Family { id: 0x2abc_77ec, name: "LPC55", core: Known(CortexM) },
    Family { id: 0x2b88_d29c, name: "ESP32-C2", core: Known(Riscv32) },
    Family { id: 0x300f_5633, name: "STM32G0", core: Known(CortexM) },
    Family { id: 0x31d2_28c6, name: "GD32F350", core: Known(CortexM) },
    Family { id: 0x3327_26f6, name: "ESP32-H2", core: Known(Riscv32) },
    Family { id: 0x3d30_8e94, name: "ESP32-P4", core: Known(Riscv32) },
    Family { id: 0x4b68_4d71, name: "BL618", core: Known(Riscv32) },
    Family { id: 0x4c71_240a, name: "STM32G4", core: Known(CortexM) },
    Family { id: 0x4fb2_d5bd, name: "i.MX RT10xx", core: Known(CortexM) },
    Family { id: 0x53b8_0f00, name: "STM32F7", core: Known(CortexM) },
    Family { id: 0x540d_df62, name: "ESP32-C6", core: Known(Riscv32) },
    Family { id: 0x5511_4460, name: "SAMD51", core: Known(CortexM) },
    Family { id: 0x5775_5a57, name: "STM32F4", core: Known(CortexM) },
    Family { id: 0x5a18_069b, name: "FX2", core: Foreign("8051") },
    Family { id: 0x5d1a_0a2e, name: "STM32F2", core: Known(CortexM) },
    Family { id: 0x5ee2_1072, name: "STM32F1", core: Known(CortexM) },
    Family { id: 0x621e_937a, name: "nRF52833", core: Known(CortexM) },
    Family { id: 0x6478_24b6, name: "STM32F0", core: Known(CortexM) },
    Family { id: 0x68ed_2b88, name: "SAMD21", core: Known(CortexM) },
    Family { id: 0x6b84_6188, name: "STM32F3", core: Known(CortexM) },
    Family { id: 0x6d09_22fa, name: "STM32F407", core: Known(CortexM) },
    Family { id: 0x6db6_6082, name: "STM32H7", core: Known(CortexM) },
    Family { id: 0x70d1_6653, name: "STM32WB", core: Known(CortexM) },
    Family { id: 0x7eab_61ed, name: "ESP8266", core: Foreign("Xtensa") },
    Family { id: 0x7f83_e793, name: "KL32L2", core: Known(CortexM) },
    Family { id: 0x8fb0_60fe, name: "STM32F407VG", core: Known(CortexM) },
    Family { id: 0x9517_422f, name: "RZ/A1LU", core: Known(Arm) },
    Family { id: 0x9af0_3e33, name: "GD32VF103", core: Known(Riscv32) },
    Family { id: 0xada5_2840, name: "nRF52840", core: Known(CortexM) },
    Family { id: 0xbfdd_4eee, name: "ESP32-S2", core: Foreign("Xtensa") },
    Family { id: 0xc47e_5767, name: "ESP32-S3", core: Foreign("Xtensa") },
    Family { id: 0xd42b_a06c, name: "ESP32-C3", core: Known(Riscv32) },
    Family { id: 0xe48b_ff56, name: "RP2040", core: Known(CortexM) },
    Family { id: 0xe48b_ff59, name: "RP2350 (Arm, secure)", core: Known(CortexM) },
    Family { id: 0xe48b_ff5a, name: "RP2350 (RISC-V)", core: Known(Riscv32) },
    Family { id: 0xe48b_ff5b, name: "RP2350 (Arm, non-secure)", core: Known(CortexM) },
];

/// The family with this number, if it is known.
pub(crate) fn find(id: u32) -> Option<&'static Family> {
    FAMILIES.binary_search_by_key(&id, |family| family.id).ok().map(|index| &FAMILIES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found() {
        for family in FAMILIES {
            assert_eq!(find(family.id), Some(family), "the table is sorted by number");
        }
        assert_eq!(find(0), None);
    }
}
