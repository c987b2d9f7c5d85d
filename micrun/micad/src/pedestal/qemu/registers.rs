//! The few registers that tell what a processor is doing, out of the monitor's `info registers`.

use std::fmt;

use crate::pedestal::registers::number;

/// Where aarch64 looks for its exception vectors when no firmware has installed any: at most 0x800 bytes at address 0.
const FIRST_VECTORS: std::ops::Range<u64> = 0..0x800;

/// A look at a processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registers {
    /// The program counter, as QEMU has stored it last: it is that of the present function, not always of the present
    /// instruction.
    pub(super) pc: u64,
    /// The exception level or mode, in QEMU's word for it.
    mode: Option<String>,
    /// Whether interrupts are masked.
    masked: bool,
    /// Cause and place of the last trap; RISC-V alone keeps them readable.
    trap: Option<(u64, u64)>,
}

impl Registers {
    /// Reads the monitor's text: of aarch64, of arm (A, R and M profiles) and of RISC-V.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let word = |names: &[&str]| names.iter().find_map(|name| number(text, name));
        let status = text.lines().find_map(|line| {
            let (name, rest) = line.trim_start().split_once('=')?;
            matches!(name, "PSTATE" | "PSR" | "XPSR").then_some((name, rest))
        });
        let mode = status.and_then(|(_, rest)| rest.split_whitespace().skip(1).find(|word| is_mode(word)));
        let bits = status.and_then(|(_, rest)| u64::from_str_radix(rest.split_whitespace().next()?, 16).ok());
        Some(Self {
            pc: word(&["PC", "R15", "pc"])?,
            mode: mode.map(str::to_owned),
            // The I bit; the M profile has PRIMASK instead, which is not shown.
            masked: status.is_some_and(|(name, _)| name != "XPSR")
                && bits.is_some_and(|bits| bits & 0x80 != 0),
            trap: word(&["mcause"]).zip(word(&["mepc"])).filter(|trap| *trap != (0, 0)),
        })
    }

    /// Where the last exception came from, if the processor keeps that.
    pub(super) fn trapped_at(&self) -> Option<u64> {
        self.trap.map(|(_, at)| at)
    }

    /// Whether the processor stands where it goes with an exception that no firmware has prepared for.
    pub(super) fn has_no_vectors(&self) -> bool {
        self.mode.as_ref().is_some_and(|mode| mode.starts_with("EL")) && FIRST_VECTORS.contains(&self.pc)
    }
}

/// The names of exception levels (aarch64) and of modes (arm; M profile). They go into a sentence for people.
fn is_mode(word: &str) -> bool {
    const LONGEST: usize = 16;
    let is_name = word.len() <= LONGEST && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_name
        && (word.starts_with("EL") || word.ends_with("32") || word.ends_with("-thread") || word == "handler")
}

/// What is told of it beside the place.
impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mask = if self.masked { "interrupts masked" } else { "interrupts not masked" };
        match &self.mode {
            Some(mode) if mode.ends_with("thread") || mode == "handler" => write!(f, "{mode} mode")?,
            Some(mode) => write!(f, "{mode}, {mask}")?,
            None => f.write_str("mode unknown")?,
        }
        match self.trap {
            Some((cause, at)) => write!(f, ", last trap: cause {cause:#x} at {at:#x}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As QEMU 10.0 prints them.
    #[test]
    fn what_the_monitor_prints() {
        let aarch64 = "\r\nCPU#0\r\n PC=0000000040100010 X00=0000000000000000\r\nX30=0000000000000000  \
            SP=0000000000000000\r\nPSTATE=400003c5 -Z-- EL1h    FPU disabled\r\n";
        let read = Registers::parse(aarch64).unwrap();
        assert_eq!((read.pc, read.to_string().as_str()), (0x4010_0010, "EL1h, interrupts masked"));
        let cortex_m =
            "R12=00000000 R13=20001000 R14=ffffffff R15=0000000a\r\nXPSR=41000000 -Z-- T priv-thread\r\n";
        let read = Registers::parse(cortex_m).unwrap();
        assert_eq!((read.pc, read.to_string().as_str()), (0xa, "priv-thread mode"));
        let cortex_a =
            "R12=00000000 R13=00000000 R14=00000000 R15=40010004\r\nPSR=60000113 -ZC- A S svc32\r\n";
        let read = Registers::parse(cortex_a).unwrap();
        assert_eq!((read.pc, read.to_string().as_str()), (0x4001_0004, "svc32, interrupts not masked"));
        let riscv = " V      =  0\r\n pc       0000000080000004\r\n mepc     0000000080200000\r\n mcause   \
            0000000000000001\r\n x0/zero  0000000000000000\r\n";
        let read = Registers::parse(riscv).unwrap();
        assert_eq!(read.pc, 0x8000_0004);
        assert_eq!(read.to_string(), "mode unknown, last trap: cause 0x1 at 0x80200000");
        assert_eq!(Registers::parse("no registers here"), None);
    }

    /// Found by `fuzz/run monitor`.
    #[test]
    fn what_is_no_name_of_a_mode_is_not_repeated() {
        let read = Registers::parse("PC=10\nPSTATE=000003c5 ---- EL1h\u{1b}[31m\u{0}").unwrap();
        assert_eq!(read.to_string(), "mode unknown");
    }

    #[test]
    fn the_place_of_an_exception_without_vectors() {
        let at = |pc: u64| Registers::parse(&format!("PC={pc:016x}\nPSTATE=000003c5 ---- EL1h")).unwrap();
        assert!(at(0x200).has_no_vectors() && !at(0x800).has_no_vectors());
    }
}
