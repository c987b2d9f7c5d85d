//! Status lines of a mica daemon: the first line is the client's name, the second is looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use libmica::ClientStatus;

fuzz_target!(|text: &str| {
    let (name, line) = text.split_once('\n').unwrap_or(("rtos", text));
    for status in [ClientStatus::parse(line), ClientStatus::parse_for(name, line)].into_iter().flatten() {
        assert!(line.contains(status.state.as_str()) && line.starts_with(&status.display_name));
        // Padding that was cut off comes back; what is said is the same.
        let again = ClientStatus::parse_for(&status.display_name, &status.to_string());
        if libmica::names::display_name(&status.display_name) == status.display_name {
            assert_eq!(again.expect("what was written can be read").state, status.state);
        }
    }
});
