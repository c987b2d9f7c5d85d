//! Interrupts that wait for a machine's first processor, as far as QEMU's monitor can tell without changing anything.

use serde_json::{Value, json};

use super::diagnosis::ask;
use super::emulator::Emulator;
use super::exit_record::parse_words;
use crate::pedestal::registers::number;

/// Most interrupts that are named.
const MOST: usize = 4;
/// The GIC of `virt`, version 3: the distributor (shared interrupts, from 32 on) and the first processor's own registers.
const DISTRIBUTOR: u64 = 0x0800_0000;
const REDISTRIBUTOR: u64 = 0x080b_0000;
/// Offsets of the enable and the pending bits in both (Arm IHI 0069, 12.8).
const ENABLED: u64 = 0x100;
const PENDING: u64 = 0x200;
/// Words of such bits: `virt` has 288 interrupts, the first 32 of them are the processor's own.
const SHARED: usize = 8;
/// The interrupt control and state register of a Cortex-M.
const ICSR: u64 = 0xe000_ed04;

/// What is pending, as a clause; `registers` is the monitor's text. `None` where QEMU does not tell. Its monitor is no
/// processor, and version 2 of the GIC asks which one reads; version 3 hides secure interrupts from it.
pub(super) async fn look(emulator: &mut Emulator, registers: &str) -> Option<String> {
    if let Some((pending, enabled)) = number(registers, "mip").zip(number(registers, "mie")) {
        return Some(list(Bits { pending, enabled, first: 0 }.all(), riscv));
    }
    if registers.contains("XPSR=") {
        let [icsr] = words(emulator, ICSR).await?;
        return Some(cortex_m(icsr));
    }
    let has = async |emulator: &mut Emulator, property, wanted: Value| {
        let found = emulator.command("qom-get", json!({"path": "/machine", "property": property})).await;
        found.is_ok_and(|found| found == wanted)
    };
    if has(emulator, "gic-version", json!("3")).await && has(emulator, "secure", json!(false)).await {
        return gic(emulator).await;
    }
    None
}

async fn gic(emulator: &mut Emulator) -> Option<String> {
    let [own] = words(emulator, REDISTRIBUTOR + PENDING).await?;
    let [own_enabled] = words(emulator, REDISTRIBUTOR + ENABLED).await?;
    let shared: [u32; SHARED] = words(emulator, DISTRIBUTOR + PENDING + 4).await?;
    let shared_enabled: [u32; SHARED] = words(emulator, DISTRIBUTOR + ENABLED + 4).await?;
    let pairs = [(own, own_enabled)].into_iter().chain(shared.into_iter().zip(shared_enabled));
    let bits = pairs.zip((0..).step_by(32)).flat_map(|((pending, enabled), first)| {
        Bits { pending: pending.into(), enabled: enabled.into(), first }.all()
    });
    Some(list(bits, |number| format!("interrupt {number}")))
}

/// Words of the machine's memory or of its devices.
async fn words<const N: usize>(emulator: &mut Emulator, address: u64) -> Option<[u32; N]> {
    parse_words(&ask(emulator, &format!("xp /{N}xw {address:#x}")).await.ok()?)
}

/// Interrupts as registers show them.
struct Bits {
    pending: u64,
    enabled: u64,
    /// The number of the lowest bit.
    first: u32,
}

impl Bits {
    /// The numbers of those that are pending, and whether each is enabled.
    fn all(self) -> impl Iterator<Item = (u32, bool)> {
        let Self { pending, enabled, first } = self;
        let is = |bits: u64, number: u32| bits >> number & 1 == 1;
        (0..u64::BITS)
            .filter(move |number| is(pending, *number))
            .map(move |number| (first + number, is(enabled, number)))
    }
}

fn list(interrupts: impl Iterator<Item = (u32, bool)>, name: impl Fn(u32) -> String) -> String {
    let word = |(number, enabled)| {
        let not = if enabled { "" } else { " (not enabled)" };
        format!("{}{not}", name(number))
    };
    let names: Vec<_> = interrupts.map(word).collect();
    match names.len() {
        0 => "no interrupt is pending".to_owned(),
        1..=MOST => format!("pending: {}", names.join(", ")),
        all => format!("pending: {} and {} more", names[..MOST].join(", "), all - MOST),
    }
}

/// The bits of `mip` and `mie` (The RISC-V Instruction Set Manual, volume II, 3.1.9).
fn riscv(number: u32) -> String {
    let level = match number {
        1 | 5 | 9 => "supervisor",
        3 | 7 | 11 => "machine",
        _ => return format!("interrupt {number}"),
    };
    let kind = ["software", "timer", "external"][number as usize / 4];
    format!("{level} {kind} interrupt")
}

/// What a Cortex-M is at, and what comes next: the highest exception that is enabled (Armv7-M manual, B3.2.4).
fn cortex_m(icsr: u32) -> String {
    let next = match icsr >> 12 & 0x1ff {
        0 => "no enabled interrupt is pending".to_owned(),
        number => format!("pending: {}", exception(number)),
    };
    match icsr & 0x1ff {
        0 => next,
        active => format!("it handles {}; {next}", exception(active)),
    }
}

/// The exceptions of a Cortex-M.
fn exception(number: u32) -> String {
    let name = match number {
        2 => "NMI",
        3 => "HardFault",
        4 => "MemManage",
        5 => "BusFault",
        6 => "UsageFault",
        7 => "SecureFault",
        11 => "SVCall",
        12 => "DebugMonitor",
        14 => "PendSV",
        15 => "SysTick",
        16.. => return format!("interrupt {}", number - 16),
        _ => return format!("exception {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending() {
        let riscv = |pending, enabled| list(Bits { pending, enabled, first: 0 }.all(), riscv);
        assert_eq!(riscv(0, 0x880), "no interrupt is pending");
        assert_eq!(
            riscv(0xa0, 0x20),
            "pending: supervisor timer interrupt, machine timer interrupt (not enabled)"
        );
        assert_eq!(
            riscv(0x2f00_0000, u64::MAX),
            "pending: interrupt 24, interrupt 25, interrupt 26, interrupt 27 and 1 more"
        );
    }

    #[test]
    fn a_cortex_m_in_a_handler() {
        assert_eq!(cortex_m(0x0000_0800), "no enabled interrupt is pending");
        assert_eq!(cortex_m(0x0000_f003), "it handles HardFault; pending: SysTick");
        assert_eq!(cortex_m(0x0041_2010), "it handles interrupt 0; pending: interrupt 2");
    }
}
