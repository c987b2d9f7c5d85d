//! A core, for a debugger, of firmware on a core that stands still: held by the monitor at EL2, or off. All of this blocks.

use std::fs::File;
use std::path::Path;

use super::NAME;
use super::core::Core;
use super::memory::CoreMemory;
use crate::Result;
use crate::error::file;
use crate::pedestal::core_file::{Layout, Region, refused};
use crate::pedestal::firmware_file;

/// Writes memory and registers of the core, which has run the firmware of that file, to an empty file: an ELF core of at
/// most so many bytes.
pub(super) fn dump(core: &Core, firmware: &Path, to: &File, most: u64) -> Result<()> {
    let remoteproc = &core.remoteproc;
    let Some(registers) = remoteproc.device_attribute("registers") else {
        return Err(refused(format!(
            "nothing tells the registers of {}: that takes our driver and its monitor",
            remoteproc.title()
        )));
    };
    let memory = CoreMemory::open(remoteproc)?;
    let table = core.system.path("/proc/iomem");
    let text = std::fs::read_to_string(&table).map_err(file("read", &table))?;
    let mut regions = regions(&text, &remoteproc.device_name().unwrap_or_default());
    regions.retain(|region| memory.has(region.address));
    let info = firmware_file::info(firmware, NAME)?;
    Layout::new(&info, [registers.as_str()], regions)?.write(&memory, to, most)
}

/// The pieces of memory that belong to that device by `/proc/iomem`: lines of `FIRST-LAST : NAME`.
fn regions(text: &str, device: &str) -> Vec<Region> {
    let of_device = text.lines().filter_map(|line| {
        let (range, name) = line.trim().split_once(" : ")?;
        let (first, last) = range.split_once('-').filter(|_| name == device)?;
        let parse = |digits| u64::from_str_radix(digits, 16).ok();
        let (address, last) = (parse(first)?, parse(last)?);
        Some(Region { address, size: last.checked_sub(address)?.checked_add(1)? })
    });
    of_device.collect()
}

#[cfg(test)]
mod tests {
    use super::{Region, regions};

    #[test]
    fn memory_of_a_device_is_found_by_its_name() {
        let text = "40000000-6fffffff : System RAM\n  40210000-415fffff : Kernel code\n70000000-7003ffff : mica-rproc.0\n\
            7a000000-7affffff : mica-rproc.0\n7b000000-7bffffff : mica-rproc.01\n1-0 : mica-rproc.0\nx : mica-rproc.0\n";
        let [shared, own] = [(0x7000_0000, 0x4_0000), (0x7a00_0000, 0x100_0000)]
            .map(|(address, size)| Region { address, size });
        assert_eq!(regions(text, "mica-rproc.0"), [shared, own]);
        assert_eq!(regions(text, ""), []);
    }
}
