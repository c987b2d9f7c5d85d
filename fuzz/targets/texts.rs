//! What firmware on a core and the kernel leave to be read: a trace buffer, the interrupts, the kernel's log. The first
//! line is the name of an interrupt.
#![no_main]

#[path = "../../micrun/micad/src/pedestal/baremetal/texts.rs"]
mod texts;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(line) = texts::last_line(bytes) {
        assert!(!line.contains(char::is_control) && line.chars().count() <= 200, "{line:?} fits a sentence");
    }
    let text = String::from_utf8_lossy(bytes);
    let (name, table) = text.split_once('\n').unwrap_or((&text, ""));
    let _ = texts::interrupts(table, name);
    for record in text.lines() {
        if let Some((severity, message)) = texts::log_record(record) {
            assert!(severity <= 7 && record.ends_with(message));
        }
    }
    assert!(text.starts_with(&texts::short(&text)));
});
