//! A writer of small ELF files, independent of the reader under test: the layout of the System V ABI,
//! chapter 4, field by field.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "tests")]

pub(crate) mod image;

/// A `PT_LOAD` segment to be written.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) paddr: u64,
    pub(crate) vaddr: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) memsz: u64,
    pub(crate) flags: u32,
}

/// An ELF file to be written. The default is a firmware for QEMU's aarch64 `virt`.
#[derive(Debug, Clone)]
pub(crate) struct Elf {
    pub(crate) bits: u8,
    pub(crate) big_endian: bool,
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) entry: u64,
    pub(crate) loads: Vec<Load>,
    pub(crate) note: Option<Vec<u8>>,
    pub(crate) interpreter: bool,
    pub(crate) sections: Vec<(&'static str, Vec<u8>)>,
    /// Name, address and type of each symbol.
    pub(crate) symbols: Vec<(&'static str, u64, u8)>,
}

pub(crate) const AARCH64: u16 = 183;
pub(crate) const ARM: u16 = 40;
pub(crate) const RISCV: u16 = 243;
pub(crate) const X86_64: u16 = 62;

impl Default for Elf {
    fn default() -> Self {
        let load = |address, byte, len, memsz, flags| Load {
            paddr: address,
            vaddr: address,
            bytes: vec![byte; len],
            memsz,
            flags,
        };
        Self {
            bits: 64,
            big_endian: false,
            machine: AARCH64,
            kind: 2,
            entry: 0x4008_0010,
            loads: vec![load(0x4008_0000, 0xaa, 256, 256, 5), load(0x4009_0000, 0xbb, 64, 4096, 6)],
            note: None,
            interpreter: false,
            sections: Vec::new(),
            symbols: Vec::new(),
        }
    }
}

impl Elf {
    pub(crate) fn with_resource_table(mut self) -> Self {
        self.sections.push((".resource_table", vec![1; 64]));
        self
    }

    /// The note of docs/FIRMWARE.md.
    pub(crate) fn with_exit_record(mut self, address: u64) -> Self {
        self.note = Some(note(b"micrun\0", 1, &address.to_le_bytes()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let wide = self.bits == 64;
        let (ehsize, phentsize, shentsize) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let phnum = self.loads.len() + usize::from(self.note.is_some()) + usize::from(self.interpreter);
        let mut body = Body { start: ehsize + phentsize * phnum, bytes: Vec::new() };
        let mut programs = Out::new(self.big_endian, wide);
        for load in &self.loads {
            let offset = body.push(&load.bytes);
            let sizes = (load.bytes.len() as u64, load.memsz);
            programs.program(1, load.flags, offset, (load.vaddr, load.paddr), sizes);
        }
        if let Some(note) = &self.note {
            let size = note.len() as u64;
            programs.program(4, 4, body.push(note), (0, 0), (size, size));
        }
        if self.interpreter {
            programs.program(3, 4, body.push(b"/lib/ld.so\0"), (0, 0), (11, 11));
        }
        let (sections, shnum) = self.sections(&mut body, wide);
        let shoff = if shnum == 0 { 0 } else { (body.start + body.bytes.len()) as u64 };

        let mut out = Out::new(self.big_endian, wide);
        out.bytes.extend([0x7f, b'E', b'L', b'F', self.bits / 32, 1 + u8::from(self.big_endian), 1]);
        out.bytes.resize(16, 0);
        out.half(self.kind);
        out.half(self.machine);
        out.int(1);
        out.word(self.entry);
        out.word(ehsize as u64);
        out.word(shoff);
        out.int(0);
        for size in [ehsize, phentsize, phnum, shentsize, shnum, shnum.saturating_sub(1)] {
            out.half(u16::try_from(size).unwrap());
        }
        [out.bytes, programs.bytes, body.bytes, sections].concat()
    }

    /// Section headers: none, or the null one, ours and the names.
    fn sections(&self, body: &mut Body, wide: bool) -> (Vec<u8>, usize) {
        let mut out = Out::new(self.big_endian, wide);
        if self.sections.is_empty() && self.symbols.is_empty() {
            return (out.bytes, 0);
        }
        let mut names = vec![0];
        out.section(0, 0, 0, 0, (0, 0));
        let plain = |(name, bytes): &(&'static str, Vec<u8>)| Section {
            name,
            kind: if *name == ".strtab" { 3 } else { 1 },
            bytes: bytes.clone(),
            more: (0, 0),
        };
        let mut sections: Vec<Section> = self.sections.iter().map(plain).collect();
        if !self.symbols.is_empty() {
            let (table, strings) = self.symbol_table(wide);
            sections.push(Section { name: ".strtab", kind: 3, bytes: strings, more: (0, 0) });
            let link = u32::try_from(sections.len()).unwrap();
            let entry = if wide { 24 } else { 16 };
            sections.push(Section { name: ".symtab", kind: 2, bytes: table, more: (link, entry) });
        }
        for Section { name, kind, bytes, more } in &sections {
            let offset = body.push(bytes);
            out.section(u32::try_from(names.len()).unwrap(), *kind, offset, bytes.len() as u64, *more);
            names.extend(name.bytes().chain([0]));
        }
        let own = u32::try_from(names.len()).unwrap();
        names.extend(b".shstrtab\0");
        let offset = body.push(&names);
        out.section(own, 3, offset, names.len() as u64, (0, 0));
        (out.bytes, sections.len() + 2)
    }

    /// The table, which begins with the null symbol, and its strings. All symbols are global, in section 1.
    fn symbol_table(&self, wide: bool) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut strings) = (Out::new(self.big_endian, wide), vec![0]);
        out.bytes.resize(if wide { 24 } else { 16 }, 0);
        for (name, address, kind) in &self.symbols {
            out.int(u32::try_from(strings.len()).unwrap());
            let kind = [1 << 4 | kind, 0];
            if wide {
                out.bytes.extend(kind);
                out.half(1);
            }
            out.word(*address);
            out.word(0);
            if !wide {
                out.bytes.extend(kind);
                out.half(1);
            }
            strings.extend(name.bytes().chain([0]));
        }
        (out.bytes, strings)
    }
}

/// A note's bytes: sizes, type, owner and descriptor, each padded to 4.
pub(crate) fn note(owner: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [u32::try_from(owner.len()).unwrap(), u32::try_from(descriptor.len()).unwrap(), kind] {
        bytes.extend(number.to_le_bytes());
    }
    for part in [owner, descriptor] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

struct Section {
    name: &'static str,
    kind: u32,
    bytes: Vec<u8>,
    /// `sh_link` and `sh_entsize`.
    more: (u32, u64),
}

struct Body {
    start: usize,
    bytes: Vec<u8>,
}

impl Body {
    fn push(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.start + self.bytes.len();
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        offset as u64
    }
}

struct Out {
    big_endian: bool,
    wide: bool,
    bytes: Vec<u8>,
}

impl Out {
    fn new(big_endian: bool, wide: bool) -> Self {
        Self { big_endian, wide, bytes: Vec::new() }
    }

    fn half(&mut self, value: u16) {
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn int(&mut self, value: u32) {
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn word(&mut self, value: u64) {
        if self.wide {
            self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        } else {
            self.int(u32::try_from(value).unwrap());
        }
    }

    fn program(&mut self, kind: u32, flags: u32, offset: u64, (v, p): (u64, u64), sizes: (u64, u64)) {
        self.int(kind);
        if self.wide {
            self.int(flags);
        }
        for word in [offset, v, p, sizes.0, sizes.1] {
            self.word(word);
        }
        if !self.wide {
            self.int(flags);
        }
        self.word(4);
    }

    fn section(&mut self, name: u32, kind: u32, offset: u64, size: u64, (link, entry): (u32, u64)) {
        self.int(name);
        self.int(kind);
        for word in [0, 0, offset, size] {
            self.word(word);
        }
        self.int(link);
        self.int(0);
        self.word(1);
        self.word(entry);
    }
}
