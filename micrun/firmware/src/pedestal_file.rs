//! The file that a pedestal wants beside the ELF, looked at before upstream's daemon gets it.

use crate::Pedestal;

/// How much of the file tells what it is.
pub const PEDESTAL_FILE_START: usize = 64;

/// What is wrong with the beginning of a pedestal's file, as a part of a sentence.
///
/// Xen on Arm starts images with the header of Linux (Documentation/arch/arm64/booting.rst; zImage for 32 bits).
/// Jailhouse's cells begin with `JHCELL`, and with `JHCLL` since its version 0.13; `JHSYST` and `JHSYS` are the
/// hypervisor's own configuration. Of hetero's binary nothing is known.
pub fn pedestal_file_fault(pedestal: Pedestal, start: &[u8]) -> Option<&'static str> {
    if start.is_empty() {
        return Some("it is empty");
    }
    let has = |offset: usize, magic: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    match pedestal {
        Pedestal::Xen if has(0x38, b"ARM\x64") || has(0x24, &0x016f_2818_u32.to_le_bytes()) => None,
        Pedestal::Xen => Some(
            "Xen starts a raw image with the header of an Arm kernel (Image or zImage), which is not there; give \
             the .bin that belongs to the ELF",
        ),
        Pedestal::Jailhouse if has(0, b"JHC") => None,
        Pedestal::Jailhouse if has(0, b"JHS") => {
            Some("it is jailhouse's system configuration; give the .cell of the firmware")
        }
        Pedestal::Jailhouse => Some("it is no jailhouse cell; give the .cell of the firmware"),
        Pedestal::BareMetal | Pedestal::Qemu | Pedestal::Hetero => None,
    }
}
