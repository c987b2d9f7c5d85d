//! QEMU's command line.

use std::ffi::OsString;
use std::os::fd::RawFd;

use micrun_firmware::client_conf::Device;

use super::machine::Machine;
use super::second_core;

/// The set of descriptors with KVM; those of the consoles have lower numbers.
const KVM_SET: u32 = 9;

/// What QEMU is given: descriptors that it inherits, by number, and a file.
pub(super) struct Descriptors {
    /// The firmware's path, as QEMU sees it.
    pub(super) firmware: String,
    /// The same of boot code in place of QEMU's own.
    pub(super) boot_code: Option<String>,
    /// Masters of the console and of the second one, if there is one.
    pub(super) consoles: Vec<RawFd>,
    /// Listening socket for QMP.
    pub(super) qmp: RawFd,
    /// Listening socket for gdb.
    pub(super) gdb: Option<RawFd>,
    /// The kernel's KVM, if that executes the machine's instructions.
    pub(super) kvm: Option<RawFd>,
    /// Whether the machine is to take up a saved state.
    pub(super) restored: bool,
}

/// The arguments for a machine called `name`. Nothing of it comes unchecked from outside: names are validated, machine
/// and CPU were checked against a list, the firmware is a descriptor.
pub(super) fn arguments(name: &str, machine: &Machine, fds: &Descriptors) -> Vec<OsString> {
    // A comma separates options; doubled, it is a comma.
    let name = name.replace(',', ",,");
    let mut line = Line::default();
    line.pair("-name", format!("{name},debug-threads=on"));
    line.word("-nodefaults").word("-no-user-config").pair("-display", "none");
    line.pair("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    line.pair("-machine", machine.option(fds.restored));
    // QEMU's own limit for translated code is an eighth of the host's memory: no limit for a container.
    match fds.kvm {
        None => line.pair("-accel", "tcg,tb-size=32"),
        Some(fd) => line
            .pair("-add-fd", format!("fd={fd},set={KVM_SET},opaque=kvm"))
            .pair("-accel", format!("kvm,device=/dev/fdset/{KVM_SET}")),
    };
    if let Some(model) = machine.model() {
        line.pair("-cpu", model);
    }
    if let Some(memory) = machine.memory_mb {
        line.pair("-m", memory.to_string());
    }
    if machine.cpus > 1 {
        line.pair("-smp", machine.cpus.to_string());
    }
    if let Some(bios) = &machine.bios {
        line.pair("-bios", fds.boot_code.clone().unwrap_or_else(|| bios.to_string()));
    }
    line.words(machine.arguments);
    for device in &machine.devices {
        line.device(*device);
    }
    let mut ports = Vec::new();
    for (fd, set) in fds.consoles.iter().zip(1..) {
        line.pair("-add-fd", format!("fd={fd},set={set},opaque=console"));
        line.pair("-chardev", format!("serial,id=console{set},path=/dev/fdset/{set}"));
        ports.push(format!("chardev:console{set}"));
    }
    if machine.swaps_ports {
        ports.resize(2, "null".to_owned());
        ports.reverse();
    }
    for port in ports {
        line.pair("-serial", port);
    }
    line.pair("-chardev", format!("socket,id=qmp,fd={},server=on,wait=off", fds.qmp));
    line.pair("-mon", "chardev=qmp,mode=control");
    if let Some(gdb) = fds.gdb {
        line.pair("-chardev", format!("socket,id=gdb,fd={gdb},server=on,wait=off"));
        line.pair("-gdb", "chardev:gdb");
    }
    // The machine stays, stopped, so that the exit record can be read.
    line.pair("-action", "shutdown=pause,reboot=shutdown,panic=pause");
    line.firmware(machine, &fds.firmware);
    if fds.restored {
        line.pair("-incoming", "defer");
    }
    line.word("-S");
    line.0
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn word(&mut self, word: impl Into<OsString>) -> &mut Self {
        self.0.push(word.into());
        self
    }

    fn words(&mut self, words: &[&str]) -> &mut Self {
        self.0.extend(words.iter().map(OsString::from));
        self
    }

    fn firmware(&mut self, machine: &Machine, file: &str) -> &mut Self {
        let Some(core) = machine.second_core else {
            self.pair("-kernel", file);
            if let Some(append) = &machine.append {
                // One word, whatever is in it: only options' values are taken apart at commas.
                self.pair("-append", append);
            }
            return self;
        };
        for (address, data) in second_core::stub(core, machine.entry) {
            self.pair("-device", format!("loader,addr={address:#x},data={data:#x},data-len=8"));
        }
        self.pair("-device", format!("loader,addr={:#x},cpu-num=0", core.stub));
        self.pair("-device", format!("loader,file={file}"))
    }

    /// Drivers of today speak virtio 1, not its draft.
    fn device(&mut self, device: Device) -> &mut Self {
        let name = device.as_str();
        self.pair("-global", "virtio-mmio.force-legacy=false");
        match device {
            Device::Rng => {
                self.pair("-object", "rng-builtin,id=rng").pair("-device", format!("{name},rng=rng"))
            }
            _ => self.pair("-device", name),
        }
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) -> &mut Self {
        self.word(option).word(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::accelerator::Accelerator;
    use super::*;

    /// The values that QEMU gets for these options.
    fn values(machine: &Machine, kvm: Option<RawFd>, restored: bool) -> [Option<String>; 3] {
        let (firmware, boot_code) = ("firmware".to_owned(), None);
        let fds = Descriptors { firmware, boot_code, consoles: vec![5], qmp: 6, gdb: None, kvm, restored };
        let words = arguments("a", machine, &fds);
        ["-machine", "-accel", "-cpu"].map(|option| {
            let value = words.iter().skip_while(|word| *word != option).nth(1);
            value.map(|word| word.to_string_lossy().into_owned())
        })
    }

    #[test]
    fn the_accelerator_decides_on_the_processor_and_its_interrupts() {
        let expected = |values: [&str; 3]| values.map(|value| Some(value.to_owned()));
        let machine = Machine::plain(0);
        let translated = ["virt,gic-version=3,acpi=off", "tcg,tb-size=32", "cortex-a53"];
        assert_eq!(values(&machine, None, false), expected(translated));
        let restored = ["virt,gic-version=3", "tcg,tb-size=32", "cortex-a53"];
        assert_eq!(values(&machine, None, true), expected(restored));
        let machine = Machine { accelerator: Accelerator::Kvm, ..machine };
        let executed = ["virt,gic-version=host,acpi=off", "kvm,device=/dev/fdset/9", "host"];
        assert_eq!(values(&machine, Some(7), false), expected(executed));
    }
}
