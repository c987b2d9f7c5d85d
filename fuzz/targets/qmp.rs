//! What QEMU says, which may be what a hostile firmware has made of it. The first byte says how it is cut.
#![no_main]

#[path = "../../micrun/micad/src/pedestal/qemu/ending.rs"]
mod ending;
#[path = "../../micrun/micad/src/pedestal/qemu/inbox.rs"]
mod inbox;
mod qemu;

use ending::ending_of;
use inbox::{Event, Inbox};
use libfuzzer_sys::fuzz_target;
use qemu::pedestal::{self, Ending};

/// All that is understood of it: the events, the migration, and how many documents there were.
fn read(bytes: &[u8], chunk: usize) -> (Vec<Event>, Option<String>, bool, usize) {
    let mut inbox = Inbox::new();
    let mut count = 0;
    for chunk in bytes.chunks(chunk) {
        inbox.received.extend_from_slice(chunk);
        while let Ok(Some(mut document)) = inbox.document() {
            count += 1;
            inbox.keep_event(&document);
            let _ = Inbox::answer(&mut document, 1);
        }
    }
    assert!(inbox.events.len() <= 16, "nobody takes them, and they are bounded");
    for event in &inbox.events {
        let ended = ending_of(event);
        assert_ne!(ended, Some(Ending::Died), "what still speaks has not died");
        assert!(ended.is_none() || *event != Event::StoppedOrResumed);
    }
    (inbox.events.into(), inbox.migration, inbox.machine_stopped, count)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((chunk, bytes)) = bytes.split_first() else { return };
    // A connection ends with the first line that is none.
    let good = bytes.split_inclusive(|byte| *byte == b'\n');
    let good: Vec<u8> = good
        .take_while(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok())
        .flatten()
        .copied()
        .collect();
    assert_eq!(read(&good, usize::from(*chunk).max(1)), read(&good, good.len().max(1)), "however it is cut");
    let _ = read(bytes, usize::from(*chunk).max(1));
});
