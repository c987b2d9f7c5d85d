//! The memory of a machine, read and written from outside.
//!
//! Linux lets a process that may trace another one write to its memory (`process_vm_writev(2)`). Pages that are touched
//! for the first time in this way are charged to the cgroup of the process that they belong to (`mem_cgroup_charge` in the
//! kernel takes the owner of the address space), so firmware is paid for by whoever runs it. No memory file is needed,
//! and QEMU gets no descriptor for that.
//!
//! Writing is only for a machine that has never run. QEMU's translator does not learn of it.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

use micrun_firmware::elf::Segment;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::diagnosis::ask;
use super::emulator::Emulator;
use crate::error::system;
use crate::{Error, Result};

/// Bytes that are moved at a time.
const CHUNK: usize = 256 << 10;

/// Where a machine's memory is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ram {
    pid: i32,
    /// Guest-physical address of its first byte.
    base: u64,
    /// In bytes.
    size: u64,
    /// The same byte's address in the process.
    host: u64,
}

impl Ram {
    /// The `size` bytes from `base` on of this QEMU's machine.
    pub(super) async fn find(emulator: &mut Emulator, base: u64, size: u64) -> Result<Self> {
        let pid = emulator.process().id().pid;
        let (first, last) = (host(emulator, base).await?, host(emulator, base + size - 1).await?);
        if last.checked_sub(first) != Some(size - 1) {
            return Err(Error::Qmp("the machine's memory is not in one piece".to_owned()));
        }
        Ok(Self { pid, base, size, host: first })
    }

    /// Puts what these segments of `file` load where it belongs. Memory beyond that is zero in a machine that has not run.
    /// Blocks.
    pub(super) fn load(&self, file: &File, segments: &[Segment]) -> Result<()> {
        let doing = "write the firmware into a machine's memory";
        let mut chunk = vec![0; CHUNK];
        for segment in segments {
            let mut done = 0;
            while done < segment.filesz {
                let left = usize::try_from(segment.filesz - done).unwrap_or(CHUNK);
                let part = &mut chunk[..left.min(CHUNK)];
                file.read_exact_at(part, segment.offset + done).map_err(system(doing))?;
                self.write(segment.paddr + done, part).map_err(system(doing))?;
                done += part.len() as u64;
            }
        }
        Ok(())
    }

    /// The `size` bytes at `address`. Blocks for microseconds.
    pub(super) fn read(&self, address: u64, size: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.read_into(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` with those at `address`. Blocks for microseconds.
    pub(super) fn read_into(&self, address: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        let (remote, size) = ([self.place(address, bytes.len())?], bytes.len());
        let read = process_vm_readv(Pid::from_raw(self.pid), &mut [IoSliceMut::new(bytes)], &remote)?;
        if read == size { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// The process whose memory this is.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Where the process has the byte at `address`.
    pub(super) fn host_of(&self, address: u64) -> std::io::Result<u64> {
        self.place(address, 1).map(|place| place.base as u64)
    }

    fn place(&self, address: u64, size: usize) -> std::io::Result<RemoteIoVec> {
        let at = address.checked_sub(self.base);
        let at = at.filter(|at| at.checked_add(size as u64).is_some_and(|end| end <= self.size));
        let place = at.and_then(|at| usize::try_from(self.host.checked_add(at)?).ok());
        let base = place.ok_or_else(|| std::io::Error::from(ErrorKind::InvalidInput))?;
        Ok(RemoteIoVec { base, len: size })
    }

    fn write(&self, address: u64, bytes: &[u8]) -> std::io::Result<()> {
        let remote = [self.place(address, bytes.len())?];
        let written = process_vm_writev(Pid::from_raw(self.pid), &[IoSlice::new(bytes)], &remote)?;
        if written == bytes.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }
}

/// Where QEMU has the byte at a guest-physical address (monitor command `gpa2hva`).
async fn host(emulator: &mut Emulator, address: u64) -> Result<u64> {
    let said = ask(emulator, &format!("gpa2hva {address:#x}")).await?;
    parse(&said).ok_or_else(|| Error::Qmp(format!("gpa2hva {address:#x}: {}", said.trim())))
}

/// The answer is `Host virtual address for ADDRESS (BLOCK) is ADDRESS`.
fn parse(said: &str) -> Option<u64> {
    let (_, address) = said.trim().strip_prefix("Host virtual address for ")?.rsplit_once(" is 0x")?;
    u64::from_str_radix(address, 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_the_monitor_says() {
        let said = "Host virtual address for 0x40000000 (mach-virt.ram) is 0x7f7ccbe00000\r\n";
        assert_eq!(parse(said), Some(0x7f7c_cbe0_0000));
        assert_eq!(parse("No memory is mapped at address 0x0\r\n"), None);
    }

    /// This process stands for QEMU.
    #[test]
    fn nothing_is_written_beside_the_memory() {
        let memory = vec![0_u8; 16];
        let pid = Pid::this().as_raw();
        let ram = Ram { pid, base: 0x1000, size: 16, host: memory.as_ptr().expose_provenance() as u64 };
        ram.write(0x1004, b"abcd").unwrap();
        for (address, size) in [(0xfff, 1), (0x100d, 4), (0x1010, 1), (u64::MAX, 1)] {
            assert!(ram.write(address, &vec![1; size]).is_err(), "{address:#x}");
            assert!(ram.read(address, size).is_err(), "{address:#x}");
        }
        assert_eq!(ram.read(0x1003, 3).unwrap(), b"\0ab");
        assert_eq!(std::hint::black_box(&memory)[..10], *b"\0\0\0\0abcd\0\0");
    }
}
