//! What is known to fail. Each entry is tried all the same: one that passes must be taken off.

use crate::subjects::{LINUX, MICA, RUNC};

/// Rules that a shim breaks for a reason: subject, case, reason.
pub const EXPECTED: &[(&str, &str, &str)] = &[
    (
        RUNC,
        "readme_delete_of_what_never_was",
        "the shim of containerd 1.6 wants the file `runtime` in the bundle, which Create writes",
    ),
    (
        RUNC,
        "containerd_shim_load_pids_of_a_stopped_task",
        "answers an empty list; containerd up to 2.3 then cleans the task up, and its exit status is lost",
    ),
    (
        MICA,
        "readme_unknown_services_are_unimplemented",
        "ttrpc 0.10 (Rust) answers INVALID_ARGUMENT; the services that containerd knows are all registered",
    ),
    (LINUX, "readme_unknown_services_are_unimplemented", "as above"),
];

/// Why a case is expected to fail on a subject.
pub fn of(subject: &str, case: &str) -> Option<&'static str> {
    EXPECTED.iter().find(|(s, c, _)| (*s, *c) == (subject, case)).map(|(_, _, reason)| *reason)
}
