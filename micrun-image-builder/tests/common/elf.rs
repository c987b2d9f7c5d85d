//! ELF files made by hand, from the ELF specification's tables.

pub(crate) const AARCH64: u16 = 183;
pub(crate) const ARM: u16 = 40;
pub(crate) const X86_64: u16 = 62;
pub(crate) const RISCV: u16 = 243;

const EXEC: u16 = 2;
const HEADER: u16 = 64;
const PROGRAM: u16 = 56;
const SECTION: u16 = 64;
/// Where QEMU's `virt` machine has its RAM.
const BASE: u64 = 0x4000_0000;

/// A 64-bit little-endian executable.
pub(crate) struct Elf {
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) entry: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) resource_table: bool,
}

impl Elf {
    /// What a linker would make for QEMU's `virt` machine, with `size` bytes of code.
    pub(crate) fn aarch64(size: usize) -> Self {
        // Not all alike, so that compressors have work and a displaced byte changes a digest.
        let content =
            (0_u32..).take(size).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1] & 0x3f).collect();
        Self { machine: AARCH64, kind: EXEC, entry: BASE, content, resource_table: false }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let code = usize::from(HEADER + PROGRAM);
        let names = b"\0.resource_table\0.shstrtab\0";
        let names_at = code + self.content.len();
        let sections_at = (names_at + names.len()).next_multiple_of(8);
        let sections: u16 = if self.resource_table { 3 } else { 0 };
        let mut out = Vec::new();
        out.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        out.extend([self.kind, self.machine].iter().flat_map(|v| v.to_le_bytes()));
        out.extend(1_u32.to_le_bytes());
        let sections_at_or_none = if self.resource_table { sections_at as u64 } else { 0 };
        out.extend([self.entry, u64::from(HEADER), sections_at_or_none].iter().flat_map(|v| v.to_le_bytes()));
        out.extend(0_u32.to_le_bytes());
        let counts = [HEADER, PROGRAM, 1, SECTION, sections, sections.saturating_sub(1)];
        out.extend(counts.iter().flat_map(|v| v.to_le_bytes()));
        // One PT_LOAD, readable and executable.
        out.extend([1_u32, 5].iter().flat_map(|v| v.to_le_bytes()));
        let size = self.content.len() as u64;
        out.extend([code as u64, BASE, BASE, size, size + 64, 8].iter().flat_map(|v| v.to_le_bytes()));
        out.extend(&self.content);
        if self.resource_table {
            out.extend(names);
            out.resize(sections_at, 0);
            out.extend([0; SECTION as usize]);
            out.extend(section(1, 1, 2, BASE, code as u64, 16));
            out.extend(section(17, 3, 0, 0, names_at as u64, names.len() as u64));
        }
        out
    }
}

fn section(name: u32, kind: u32, flags: u64, address: u64, offset: u64, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend([name, kind].iter().flat_map(|v| v.to_le_bytes()));
    out.extend([flags, address, offset, size].iter().flat_map(|v| v.to_le_bytes()));
    out.extend([0_u32, 0].iter().flat_map(|v| v.to_le_bytes()));
    out.extend([1_u64, 0].iter().flat_map(|v| v.to_le_bytes()));
    out
}

/// A 32-bit little-endian executable of one segment.
pub(crate) fn elf32(machine: u16, address: u32, entry: u32, code: &[u8]) -> Vec<u8> {
    let size = u32::try_from(code.len()).unwrap();
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([EXEC, machine].iter().flat_map(|v| v.to_le_bytes()));
    out.extend([1, entry, 52, 0, 0_u32].iter().flat_map(|v| v.to_le_bytes()));
    out.extend([52, 32, 1, 40, 0, 0_u16].iter().flat_map(|v| v.to_le_bytes()));
    out.extend([1, 84, address, address, size, size, 5, 4_u32].iter().flat_map(|v| v.to_le_bytes()));
    out.extend(code);
    out
}
