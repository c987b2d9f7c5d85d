//! Annotations of a container: a key on each even line, its value on the next.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use micrun_firmware::Annotations;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let mut map = BTreeMap::new();
    while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
        map.insert(key.to_owned(), value.to_owned());
    }
    match Annotations::from_map(&map) {
        Ok(annotations) => assert!(annotations.warnings().len() <= 2 * map.len()),
        Err(error) => assert!(!error.to_string().contains('\u{1b}'), "an error is fit for a terminal"),
    }
});
