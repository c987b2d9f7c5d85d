//! Firmware of a few instructions, made here so that a test says exactly what its firmware does.

use std::path::{Path, PathBuf};

/// Where the code goes: into the memory of QEMU's `virt` machine, past its device tree.
const BASE: u64 = 0x4010_0000;
/// Where [`exits`] puts the exit record.
const RECORD: u64 = 0x4020_0000;

const SYSTEM_OFF: u32 = 0x8;
const SYSTEM_RESET: u32 = 0x9;

/// `movz w2, #value`
fn movz_w2(value: u16) -> u32 {
    0x5280_0002 | u32::from(value) << 5
}

/// A call of PSCI function 0x84000000 + `function` by HVC, then nothing.
fn psci(function: u32) -> [u32; 4] {
    // movz w0, #0x8400, lsl #16; movk w0, #function; hvc #0; b .
    [0x52b0_8000, 0x7280_0000 | function << 5, 0xd400_0002, 0x1400_0000]
}

/// Writes `H` to the console, then sends back each byte that it receives.
pub(crate) fn echo(dir: &Path) -> PathBuf {
    let code = [
        0xd2a1_2001, //    movz x1, #0x0900, lsl #16    PL011
        0x5280_0900, //    mov  w0, #'H'
        0xb940_1822, // 1: ldr  w2, [x1, #0x18]         flags
        0x372f_ffe2, //    tbnz w2, #5, 1b              transmit FIFO full
        0x3900_0020, //    strb w0, [x1]
        0xb940_1822, // 2: ldr  w2, [x1, #0x18]
        0x3727_ffe2, //    tbnz w2, #4, 2b              receive FIFO empty
        0x3940_0020, //    ldrb w0, [x1]
        0xb940_1822, // 3: ldr  w2, [x1, #0x18]
        0x372f_ffe2, //    tbnz w2, #5, 3b
        0x3900_0020, //    strb w0, [x1]
        0x17ff_fffa, //    b    2b
    ];
    write(dir, "echo.elf", &code, None)
}

/// Writes `count` bytes, 0 to 255 over and over, then powers off.
pub(crate) fn flood(dir: &Path, count: u32) -> PathBuf {
    let mut code = vec![
        0xd2a1_2001,                         //    movz x1, #0x0900, lsl #16
        0xd280_0003 | (count & 0xffff) << 5, //    movz x3, #count
        0xf2a0_0003 | (count >> 16) << 5,    //    movk x3, #count>>16, lsl #16
        0x5280_0000,                         //    mov  w0, #0
        0xb940_1822,                         // 1: ldr  w2, [x1, #0x18]
        0x372f_ffe2,                         //    tbnz w2, #5, 1b
        0x3900_0020,                         //    strb w0, [x1]
        0x1100_0400,                         //    add  w0, w0, #1
        0xd100_0463,                         //    sub  x3, x3, #1
        0xb5ff_ff63,                         //    cbnz x3, 1b
    ];
    code.extend(psci(SYSTEM_OFF));
    write(dir, "flood.elf", &code, None)
}

/// What [`flood`] writes.
pub(crate) fn flood_bytes(count: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(count).collect()
}

/// Leaves an exit record of that kind and status and powers off.
pub(crate) fn exits(dir: &Path, kind: u16, status: u16) -> PathBuf {
    let mut code = vec![
        0xd2a8_0401, // movz x1, #0x4020, lsl #16       RECORD
        movz_w2(kind),
        0xb900_0422, // str  w2, [x1, #4]
        movz_w2(status),
        0xb900_0822, // str  w2, [x1, #8]
        0xb900_0c3f, // str  wzr, [x1, #12]
        0x5288_a9a2, // movz w2, #0x454d
        0x72aa_8b02, // movk w2, #0x5458, lsl #16
        0xd503_3fbf, // dmb  sy
        0xb900_0022, // str  w2, [x1]
    ];
    code.extend(psci(SYSTEM_OFF));
    write(dir, "exits.elf", &code, Some(RECORD))
}

/// Powers off without any record; its note points to memory that has none.
pub(crate) fn powers_off(dir: &Path) -> PathBuf {
    write(dir, "off.elf", &psci(SYSTEM_OFF), Some(RECORD))
}

/// As [`powers_off`], but the note points to where there is no memory.
pub(crate) fn lies(dir: &Path) -> PathBuf {
    write(dir, "lies.elf", &psci(SYSTEM_OFF), Some(0xffff_ffff_ffff_0000))
}

/// Asks for a reset.
pub(crate) fn resets(dir: &Path) -> PathBuf {
    write(dir, "reset.elf", &psci(SYSTEM_RESET), None)
}

/// Has its timer expire and hears nothing of it: interrupt 27 is not enabled.
pub(crate) fn deaf(dir: &Path) -> PathBuf {
    let code = [
        0xd51b_e31f, //    msr cntv_tval_el0, xzr
        0xd280_0020, //    mov x0, #1
        0xd51b_e320, //    msr cntv_ctl_el0, x0
        0xd503_207f, // 1: wfi
        0x17ff_ffff, //    b   1b
    ];
    write(dir, "deaf.elf", &code, None)
}

/// Spins.
pub(crate) fn spins(dir: &Path) -> PathBuf {
    write(dir, "spin.elf", &[0x1400_0000], None)
}

/// Fills its memory from 2 MiB on, of 16 in all, with a pattern. Writes `M` then.
pub(crate) fn marks(dir: &Path) -> PathBuf {
    let code = [
        0xd2a8_0401, //    movz x1, #0x4020, lsl #16
        0xd2a8_2002, //    movz x2, #0x4100, lsl #16
        0xd29b_d5a3, //    movz x3, #0xdead
        0xf800_8423, // 1: str  x3, [x1], #8
        0xeb02_003f, //    cmp  x1, x2
        0x54ff_ffc1, //    b.ne 1b
        0x5280_09a0, //    movz w0, #'M'
        0xd2a1_2004, //    movz x4, #0x0900, lsl #16    PL011
        0x3900_0080, //    strb w0, [x4]
        0xd503_207f, // 2: wfi
        0x17ff_ffff, //    b    2b
    ];
    write(dir, "marks.elf", &code, None)
}

/// Looks for anything but zeros in 16 MiB of memory, behind its device tree and its own page. Writes `C` if there is
/// nothing, else `X`.
pub(crate) fn canary(dir: &Path) -> PathBuf {
    let code = [
        0xd2a8_0201, //    movz x1, #0x4010, lsl #16
        0xf282_0001, //    movk x1, #0x1000
        0xd2a8_2002, //    movz x2, #0x4100, lsl #16
        0x5280_0860, //    movz w0, #'C'
        0xf840_8423, // 1: ldr  x3, [x1], #8
        0xb500_0083, //    cbnz x3, 2f
        0xeb02_003f, //    cmp  x1, x2
        0x54ff_ffa1, //    b.ne 1b
        0x1400_0002, //    b    3f
        0x5280_0b00, // 2: movz w0, #'X'
        0xd2a1_2004, // 3: movz x4, #0x0900, lsl #16    PL011
        0x3900_0080, //    strb w0, [x4]
        0xd503_207f, // 4: wfi
        0x17ff_ffff, //    b    4b
    ];
    write(dir, "canary.elf", &code, None)
}

/// An ELF64 for aarch64 with one segment of code and, if asked for, the note of an exit record
/// (docs/FIRMWARE.md, "Exit status").
fn write(dir: &Path, name: &str, code: &[u32], record: Option<u64>) -> PathBuf {
    write_wide(&dir.join(name), 183, BASE, code, record)
}

/// Firmware for 64 bits that does nothing, for processors with this `e_machine`, at this address.
pub(crate) fn idles(dir: &Path, machine: u16, base: u64, code: u32) -> PathBuf {
    write_wide(&dir.join("idle.elf"), machine, base, &[code], None)
}

fn write_wide(path: &Path, machine: u16, base: u64, code: &[u32], record: Option<u64>) -> PathBuf {
    const HEADER: u64 = 64;
    const PROGRAM_HEADER: u64 = 56;
    let code: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    let note: Vec<u8> = record.map(note).unwrap_or_default();
    let headers = 1 + u16::from(record.is_some());
    let code_at = HEADER + PROGRAM_HEADER * u64::from(headers);
    let note_at = code_at + code.len() as u64;
    let mut elf = Vec::new();
    elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend(2u16.to_le_bytes()); // ET_EXEC
    elf.extend(machine.to_le_bytes());
    elf.extend(1u32.to_le_bytes());
    for field in [base, HEADER, 0] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(0u32.to_le_bytes());
    for field in [64u16, 56, headers, 64, 0, 0] {
        elf.extend(field.to_le_bytes());
    }
    program_header(&mut elf, 1, 5, code_at, base, code.len() as u64); // PT_LOAD, R+X
    if record.is_some() {
        program_header(&mut elf, 4, 4, note_at, 0, note.len() as u64); // PT_NOTE, R
    }
    elf.extend(code);
    elf.extend(note);
    std::fs::write(path, elf).unwrap();
    path.to_owned()
}

fn program_header(elf: &mut Vec<u8>, kind: u32, flags: u32, offset: u64, address: u64, size: u64) {
    elf.extend(kind.to_le_bytes());
    elf.extend(flags.to_le_bytes());
    for field in [offset, address, address, size, size, 4] {
        elf.extend(field.to_le_bytes());
    }
}

fn note(record: u64) -> Vec<u8> {
    let mut note = Vec::new();
    for field in [7u32, 8, 1] {
        note.extend(field.to_le_bytes()); // length of the owner and of the address, type
    }
    note.extend(b"micrun\0\0");
    note.extend(record.to_le_bytes());
    note
}

/// An ELF32 of one segment of code.
pub(crate) struct Tiny<'a> {
    /// `e_machine`.
    pub(crate) machine: u16,
    /// Where the code goes.
    pub(crate) base: u32,
    /// The first instruction.
    pub(crate) entry: u32,
    pub(crate) code: &'a [u8],
}

/// Writes it; the file is called after its address.
pub(crate) fn write_tiny(dir: &Path, tiny: &Tiny<'_>) -> PathBuf {
    const HEADER: u16 = 52;
    const PROGRAM_HEADER: u16 = 32;
    let size = u32::try_from(tiny.code.len()).unwrap();
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, tiny.machine].iter().flat_map(|half| half.to_le_bytes())); // ET_EXEC
    elf.extend([1, tiny.entry, u32::from(HEADER), 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend([HEADER, PROGRAM_HEADER, 1, 40, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    let offset = u32::from(HEADER + PROGRAM_HEADER);
    // PT_LOAD, R+X
    let program = [1, offset, tiny.base, tiny.base, size, size, 5, 4];
    elf.extend(program.iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(tiny.code);
    let path = dir.join(format!("{:x}.elf", tiny.base));
    std::fs::write(&path, elf).unwrap();
    path
}
