//! What executes a machine's instructions: QEMU's translator, or the host's own processors.
//!
//! KVM needs a host with 64-bit Arm processors, and firmware that leaves processor and interrupt controller to the host.
//! It is for hosts whose policy allows it: the kernel's part of KVM becomes something that firmware can attack. QEMU gets
//! `/dev/kvm` as a descriptor (`-accel kvm,device=`, since QEMU 9), so its jail shows it no device.

use std::fs::{File, OpenOptions};
use std::path::Path;

use micrun_firmware::client_conf::QemuSection;

use crate::Result;
use crate::error::file;

/// The kernel's device.
const DEVICE: &str = "/dev/kvm";

/// What executes a machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    /// QEMU's translator.
    Tcg,
    /// The kernel's KVM.
    Kvm,
}

impl Accelerator {
    /// KVM for Arm's `virt` (`is_virt`), if the policy allows it, the host can do it, and `section` asks neither for a
    /// processor nor for options of the machine.
    pub(super) fn choose(is_virt: bool, section: &QemuSection, allowed: bool) -> Self {
        let host = || std::env::consts::ARCH == "aarch64" && open(Path::new(DEVICE)).is_ok();
        Self::for_host(is_virt, section, allowed, host)
    }

    fn for_host(is_virt: bool, section: &QemuSection, allowed: bool, host: impl FnOnce() -> bool) -> Self {
        let options = section.machine.as_ref().map_or(&[][..], |machine| machine.options());
        let unsaid = section.cpu.is_none() && options.is_empty();
        if allowed && is_virt && unsaid && host() { Self::Kvm } else { Self::Tcg }
    }

    /// The device that QEMU needs for it.
    pub(super) fn device(self) -> Result<Option<File>> {
        match self {
            Self::Tcg => Ok(None),
            Self::Kvm => open(Path::new(DEVICE)).map(Some).map_err(file("open", DEVICE)),
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn kvm_is_for_who_leaves_the_processor_to_a_host_that_allows_it() {
        let section = |machine: Option<&str>, cpu: Option<&str>| QemuSection {
            machine: machine.map(|text| text.parse().unwrap()),
            cpu: cpu.map(|text| text.parse().unwrap()),
            ..QemuSection::default()
        };
        let plain = section(None, None);
        let choose = |section: &QemuSection| Accelerator::for_host(true, section, true, || true);
        assert_eq!(choose(&plain), Accelerator::Kvm);
        assert_eq!(choose(&section(Some("virt"), None)), Accelerator::Kvm);
        assert_eq!(choose(&section(Some("virt,gic-version=2"), None)), Accelerator::Tcg);
        assert_eq!(choose(&section(None, Some("cortex-a53"))), Accelerator::Tcg);
        for (is_virt, allowed, host) in [(false, true, true), (true, false, true), (true, true, false)] {
            assert_eq!(Accelerator::for_host(is_virt, &plain, allowed, || host), Accelerator::Tcg);
        }
    }
}
