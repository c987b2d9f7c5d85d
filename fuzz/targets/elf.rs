//! The firmware's ELF, as an image brings it.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use micrun_firmware::elf::{ElfInfo, Place, Requirements, check};
use micrun_firmware::{Error, Evidence, Pedestal, qemu};

fuzz_target!(|bytes: &[u8]| {
    let info: Result<ElfInfo, Error> = ElfInfo::parse(bytes);
    let Ok(info) = info else { return };
    assert_eq!(info.file_size, bytes.len() as u64);
    // What is wrong with a symbol table only costs the name.
    let _ = Place::find(Cursor::new(bytes), info.entry);
    for pedestal in [Pedestal::Qemu, Pedestal::BareMetal] {
        if check(&info, &Requirements::of(pedestal)).is_ok() {
            for segment in &info.segments {
                let end = segment.offset.checked_add(segment.filesz);
                assert!(end.is_some_and(|end| end <= info.file_size), "a loader would read beyond the file");
                assert!(segment.paddr.checked_add(segment.memsz).is_some());
            }
        }
    }
    // What pack looks at besides: build attributes, names, constants. It proposes nothing that does not fit.
    let Ok(evidence) = Evidence::read(Cursor::new(bytes), &info) else { return };
    let Ok(proposal) = qemu::propose(&info, &evidence) else { return };
    assert!(qemu::board(&proposal.machine, &info).is_some_and(|board| board.fits(&info)));
});
