//! What an event of QEMU means for the firmware in it.

use super::inbox::Event;
use crate::pedestal::Ending;

/// How the firmware has ended, if the event says so.
pub(super) fn ending_of(event: &Event) -> Option<Ending> {
    match event {
        Event::StoppedOrResumed => None,
        Event::Panicked => Some(Ending::Panicked),
        // Reasons are QAPI's ShutdownCause.
        Event::Shutdown(reason) => match reason.as_str() {
            "guest-shutdown" => Some(Ending::PoweredOff),
            "guest-reset" => Some(Ending::Reset),
            "guest-panic" => Some(Ending::Panicked),
            "host-signal" => Some(Ending::Signalled),
            _ => None,
        },
    }
}
