//! What two looks at a processor tell of what it does.

use micrun_firmware::elf::Place;

use super::registers::Registers;

/// Two looks at a processor.
pub(super) struct Processor {
    pub(super) looks: [Registers; 2],
    /// The second look in the monitor's words.
    pub(super) text: String,
    /// Whether its thread ran between them.
    pub(super) busy: bool,
}

impl Processor {
    /// A sentence about it; `from` and `to` are the places of the two looks.
    pub(super) fn describe(&self, [from, to]: &[Place; 2]) -> String {
        let [first, second] = &self.looks;
        let here = format!("at {:#x}, {to} ({second})", second.pc);
        if second.has_no_vectors() {
            return format!(
                "its processor is {here}: an exception came before the firmware had installed exception vectors"
            );
        }
        if !self.busy {
            return format!("its processor waits for an interrupt {here}");
        }
        if first.pc == second.pc || is_one_function(from, to) {
            return format!("its processor spins {here}");
        }
        format!("its processor runs, {here}, before that at {:#x}, {from}", first.pc)
    }
}

fn is_one_function(from: &Place, to: &Place) -> bool {
    match (from, to) {
        (Place::Symbol { name: from, .. }, Place::Symbol { name: to, .. }) => from == to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pc: u64) -> Registers {
        Registers::parse(&format!("PC={pc:016x}\nPSTATE=600003c5 -ZC- EL1h")).unwrap()
    }

    fn describe(looks: [u64; 2], busy: bool, places: &[Place; 2]) -> String {
        Processor { looks: looks.map(look), text: String::new(), busy }.describe(places)
    }

    #[test]
    fn a_sentence_for_each_kind() {
        let main = |offset| Place::Symbol { name: "main".into(), offset };
        let masked = "(EL1h, interrupts masked)";
        assert_eq!(
            describe([0x4010_0008; 2], false, &[main(8), main(8)]),
            format!("its processor waits for an interrupt at 0x40100008, in main+0x8 {masked}")
        );
        assert_eq!(
            describe([0x4010_0004, 0x4010_0008], true, &[main(4), main(8)]),
            format!("its processor spins at 0x40100008, in main+0x8 {masked}")
        );
        assert_eq!(
            describe([0x4010_0004, 0x10], true, &[main(4), Place::Outside]),
            format!(
                "its processor is at 0x10, outside of the firmware's segments {masked}: an exception came before the \
                 firmware had installed exception vectors"
            )
        );
        assert_eq!(
            describe([0x4010_0004, 0x4010_0100], true, &[Place::Unnamed, Place::Unnamed]),
            format!(
                "its processor runs, at 0x40100100, in the firmware, whose ELF names no function there {masked}, \
                 before that at 0x40100004, in the firmware, whose ELF names no function there"
            )
        );
    }
}
