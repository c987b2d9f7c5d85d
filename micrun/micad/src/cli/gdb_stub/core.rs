//! The core as gdb sees it: the files of our remoteproc driver (`drivers/mica_rproc/Documentation/sysfs-mica-rproc`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::pedestal::registers::number;

/// The registers in gdb's order, with their sizes in bytes: feature `org.gnu.gdb.aarch64.core`.
fn layout() -> impl Iterator<Item = (String, usize)> {
    let general = (0..31).map(|n| (format!("x{n}"), 8));
    general.chain([("sp".to_owned(), 8), ("pc".to_owned(), 8), ("cpsr".to_owned(), 4)])
}

/// What gdb is told of the target's registers (GDB manual, "Target Descriptions").
pub(super) fn description() -> String {
    let registers = layout().map(|(name, size)| format!("<reg name=\"{name}\" bitsize=\"{}\"/>", size * 8));
    format!(
        "<?xml version=\"1.0\"?><target version=\"1.0\"><architecture>aarch64</architecture>\
         <feature name=\"org.gnu.gdb.aarch64.core\">{}</feature></target>",
        registers.collect::<String>()
    )
}

/// A core whose firmware is paused when it is looked at.
#[derive(Debug)]
pub(super) struct Core {
    registers: PathBuf,
    memory: File,
}

impl Core {
    /// By the directory of the driver's device.
    pub(super) fn open(device: &Path) -> anyhow::Result<Self> {
        let path = device.join("memory");
        let memory = OpenOptions::new().read(true).write(true).open(&path);
        let memory = memory.with_context(|| {
            format!(
                "cannot open {}: only our driver mica_rproc can show a core's memory, to root",
                path.display()
            )
        })?;
        Ok(Self { registers: device.join("registers"), memory })
    }

    /// All registers, one after the other.
    pub(super) fn registers(&self) -> anyhow::Result<Vec<u8>> {
        let text = std::fs::read_to_string(&self.registers)
            .with_context(|| format!("cannot read {}", self.registers.display()))?;
        let mut bytes = Vec::new();
        for (name, size) in layout() {
            let value = number(&text, &name)
                .ok_or_else(|| anyhow!("{} does not tell {name}", self.registers.display()))?;
            bytes.extend(&value.to_le_bytes()[..size]);
        }
        Ok(bytes)
    }

    /// Reads memory, less than was asked for where it ends.
    pub(super) fn read(&self, address: u64, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        let count = self.memory.read_at(&mut bytes, address)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes memory.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, address)
    }
}
