//! The image builder's readers of formats, which are a part of a program and not of a library.

#[path = "../../micrun-image-builder/src/pack/input/arch.rs"]
pub mod arch;
#[path = "../../micrun-image-builder/src/pack/input/archive.rs"]
pub mod archive;
#[path = "../../micrun-image-builder/src/pack/input/build/mod.rs"]
pub mod build;
#[path = "../../micrun-image-builder/src/pack/input/elf_file.rs"]
pub mod elf_file;
#[path = "../../micrun-image-builder/src/pack/input/facts.rs"]
pub mod facts;
#[path = "../../micrun-image-builder/src/pack/input/fault.rs"]
pub mod fault;
#[path = "../../micrun-image-builder/src/pack/input/hex.rs"]
pub mod hex;
#[path = "../../micrun-image-builder/src/pack/input/memory.rs"]
pub mod memory;
#[path = "../../micrun-image-builder/src/pack/input/origin.rs"]
pub mod origin;
#[path = "../../micrun-image-builder/src/pack/input/text.rs"]
pub mod text;
#[path = "../../micrun-image-builder/src/pack/input/tree.rs"]
pub mod tree;
#[path = "../../micrun-image-builder/src/pack/input/uf2.rs"]
pub mod uf2;
#[path = "../../micrun-image-builder/src/pack/input/uf2_family.rs"]
pub mod uf2_family;

use std::io::Cursor;

use micrun_firmware::ElfInfo;

/// Memory that is spooled to memory.
pub type Spool = Cursor<Vec<u8>>;

/// Makes an ELF of what was read; it must be one, with that memory in it.
pub fn make(memory: memory::Memory<Spool>, entry: Option<u64>) {
    let Ok(mut contents) = memory.finish() else { return };
    let expected: Vec<_> = contents.segments.iter().map(|it| (it.address(), it.length())).collect();
    let entry = entry.unwrap_or(contents.start());
    let origin = origin::Origin { format: "fuzz", digest: "sha256:00".to_owned() };
    let mut elf = Vec::new();
    elf_file::write(&mut contents, arch::Arch::CortexM, entry, &origin, &mut elf).expect("memory takes all");
    let info = ElfInfo::parse(&elf).expect("what was made can be read");
    assert_eq!(info.segments.iter().map(|it| (it.paddr, it.filesz)).collect::<Vec<_>>(), expected);
    assert_eq!(origin::read(Cursor::new(&elf)), Some(origin.to_string()));
}
