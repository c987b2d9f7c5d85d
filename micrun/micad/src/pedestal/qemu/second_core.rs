//! Firmware on a core that its machine does not boot: the R5 of a ZynqMP. QEMU boots the first core, for which
//! ten instructions are enough: they have PSCI switch the other one on, as a boot loader does on the board.

use micrun_firmware::qemu::SecondCore;

/// The instructions, as the values and addresses that QEMU's generic loader writes, 8 bytes each.
pub(super) fn stub(core: SecondCore, entry: u64) -> Vec<(u64, u64)> {
    // PSCI's CPU_ON with 64-bit arguments (Arm DEN 0022, 5.6).
    const CPU_ON: u32 = 0xc400_0003;
    let half = |value: u32| (value & 0xffff) << 5;
    // A Cortex-R has 32-bit addresses.
    let entry = u32::try_from(entry).unwrap_or(u32::MAX);
    let instructions = [
        0xd280_0000 | half(CPU_ON),       // movz x0, #CPU_ON
        0xf2a0_0000 | half(CPU_ON >> 16), // movk x0, #CPU_ON >> 16, lsl #16
        0xd280_0001 | half(core.affinity.into()),
        0xd280_0002 | half(entry),
        0xf2a0_0002 | half(entry >> 16),
        0xd280_0003, // movz x3, #0
        0xd400_0003, // smc  #0
        0xd503_207f, // wfi
        0x17ff_ffff, // b    .-4
        0xd503_201f, // nop
    ];
    let (pairs, _) = instructions.as_chunks::<2>();
    let data = pairs.iter().map(|[low, high]| u64::from(*high) << 32 | u64::from(*low));
    (core.stub..).step_by(8).zip(data).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_psci_which_core_and_where() {
        let words = stub(SecondCore { affinity: 4, stub: 0xfffc_0000 }, 0x1234_5678);
        assert_eq!(words.len(), 5);
        assert_eq!(words[0], (0xfffc_0000, 0xf2b8_8000_d280_0060));
        assert_eq!(words[1], (0xfffc_0008, 0xd28a_cf02_d280_0081));
        assert_eq!(words[2], (0xfffc_0010, 0xd280_0003_f2a2_4682));
    }
}
