//! What a machine that stands still tells of its end: the registers, and a core for a debugger.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::diagnosis::ask;
use super::emulator::Emulator;
use super::ram::Ram;
use crate::Result;
use crate::blocking::TRANSFERS;
use crate::pedestal::core_file::{Layout, Memory, Region, refused};
use crate::pedestal::firmware_file;

/// A page of the host's memory: what `/proc/PID/pagemap` counts in (proc(5)).
const PAGE: u64 = 4096;
/// The bits of a page that is in memory, and of one that is in swap.
const PRESENT: u64 = 0b11 << 62;

/// The registers of all processors, in the monitor's words.
pub(super) async fn registers(emulator: &mut Emulator) -> Result<String> {
    ask(emulator, "info registers -a").await
}

/// The same of a QEMU that has given a processor up and ended: it wrote them into its log (`cpu_abort`).
pub(super) fn last_registers(log: &str) -> Option<&str> {
    let (_, fatal) = log.rsplit_once("qemu: fatal: ")?;
    fatal.split_once('\n').map(|(_, registers)| registers)
}

/// Writes a core of the machine, which has run the firmware of that file, of at most so many bytes.
pub(super) async fn dump(emulator: &mut Emulator, firmware: &Path, to: File, most: u64) -> Result<()> {
    let text = registers(emulator).await?;
    let mut rams = Vec::new();
    for region in regions(&ask(emulator, "info mtree -f").await?) {
        rams.push((region, Ram::find(emulator, region.address, region.size).await?));
    }
    if rams.is_empty() {
        return Err(refused("QEMU names no memory of the machine".to_owned()));
    }
    let firmware = firmware.to_owned();
    let write = move || {
        let regions = rams.iter().map(|(region, _)| *region).collect();
        let layout =
            Layout::new(&firmware_file::info(&firmware, super::NAME)?, text.split("CPU#").skip(1), regions)?;
        layout.write(&Resident::of(rams), &to, most)
    };
    TRANSFERS.run(write).await
}

/// The pieces of memory in the monitor's `info mtree -f`: lines of `FIRST-LAST (prio N, ram): NAME`.
fn regions(text: &str) -> Vec<Region> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains(", ram): ")) {
        let range = line.trim_start().split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let parse = |digits| u64::from_str_radix(digits, 16).ok();
        let Some((first, last)) = range.and_then(|(first, last)| parse(first).zip(parse(last))) else {
            continue;
        };
        if let Some(size) = last.checked_sub(first).and_then(|rest| rest.checked_add(1)) {
            found.entry(first).or_insert(size);
        }
    }
    found.into_iter().map(|(address, size)| Region { address, size }).collect()
}

/// The machine's memory in QEMU's. What the firmware has never touched is not read: that would have the kernel make room
/// for it, at the expense of the container.
struct Resident {
    rams: Vec<(Region, Ram)>,
    /// What of QEMU's memory is there; all of it, if the kernel does not tell.
    pages: Option<File>,
}

impl Resident {
    fn of(rams: Vec<(Region, Ram)>) -> Self {
        let pages = rams.first().and_then(|(_, ram)| File::open(format!("/proc/{}/pagemap", ram.pid())).ok());
        Self { rams, pages }
    }

    fn is_there(&self, host: u64, size: usize) -> bool {
        let Some(pages) = &self.pages else { return true };
        let (first, last) = (host / PAGE, (host + size as u64).div_ceil(PAGE));
        let mut entries = vec![0; usize::try_from((last - first) * 8).unwrap_or_default()];
        if pages.read_exact_at(&mut entries, first * 8).is_err() {
            return true;
        }
        let (entries, _) = entries.as_chunks();
        entries.iter().any(|entry| u64::from_ne_bytes(*entry) & PRESENT != 0)
    }
}

impl Memory for Resident {
    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<bool> {
        let holds = |region: &Region| address.checked_sub(region.address).is_some_and(|at| at < region.size);
        let found = self.rams.iter().find(|(region, _)| holds(region));
        let (_, ram) = found.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if !self.is_there(ram.host_of(address)?, bytes.len()) {
            return Ok(false);
        }
        ram.read_into(address, bytes)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As QEMU 10.0 prints them.
    #[test]
    fn memory_is_told_once_and_what_is_no_memory_is_not() {
        let text = "FlatView #0\r\n AS \"memory\", root: system\r\n Root memory region: system\r\n  \
            0000000000000000-0000000003ffffff (prio 0, romd): virt.flash0\r\n  \
            0000000009000000-0000000009000fff (prio 0, i/o): pl011\r\n  \
            0000000040000000-0000000047ffffff (prio 0, ram): mach-virt.ram\r\n\r\nFlatView #1\r\n  \
            0000000040000000-0000000047ffffff (prio 0, ram): mach-virt.ram\r\n  \
            zz-1 (prio 0, ram): x\r\n  0000000000000010-0000000000000000 (prio 0, ram): y\r\n  \
            0000000000000000-ffffffffffffffff (prio 0, ram): z\r\n";
        assert_eq!(regions(text), [Region { address: 0x4000_0000, size: 128 << 20 }]);
    }

    #[test]
    fn the_registers_of_a_processor_that_was_given_up() {
        let log = "a warning\nqemu: fatal: Lockup: can't escalate 3\n\nR00=00000000 R15=0000000a\n";
        assert_eq!(last_registers(log), Some("\nR00=00000000 R15=0000000a\n"));
        assert_eq!(last_registers("qemu: something else\n"), None);
    }
}
