//! What QEMU's monitor prints of a machine: its registers, and the words of its exit record. A blank line is between two
//! looks.
#![no_main]

#[path = "../../micrun/micad/src/pedestal/qemu/exit_record.rs"]
mod exit_record;
#[path = "../../micrun/micad/src/pedestal/qemu/processor.rs"]
mod processor;
mod qemu;
#[path = "../../micrun/micad/src/pedestal/qemu/registers.rs"]
mod registers;

use libfuzzer_sys::fuzz_target;
use libmica::ext::ExitReason;
use micrun_firmware::elf::Place;
use processor::Processor;
use qemu::pedestal;
use registers::Registers;

fuzz_target!(|text: &str| {
    let words = exit_record::parse_words(text);
    let report = exit_record::interpret(words, pedestal::report(3, ExitReason::Reset, "no record"));
    assert!(words.is_some() || (report.status, report.reason) == (3, ExitReason::Reset));

    let (first, second) = text.split_once("\n\n").unwrap_or((text, text));
    let (Some(first), Some(second)) = (Registers::parse(first), Registers::parse(second)) else { return };
    let main = || Place::Symbol { name: "main".into(), offset: 4 };
    for places in [[main(), main()], [Place::Outside, main()], [Place::Unnamed, Place::Unnamed]] {
        for busy in [false, true] {
            let looks = [first.clone(), second.clone()];
            let sentence = Processor { looks, text: String::new(), busy }.describe(&places);
            assert!(sentence.contains(&format!("{:#x}", second.pc)), "{sentence}");
            assert!(!sentence.contains(char::is_control), "{sentence:?} is fit for a terminal");
        }
    }
});
