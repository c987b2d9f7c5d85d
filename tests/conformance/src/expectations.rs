//! What is known to fail. Each entry is tried all the same: one that passes must be taken off.

use crate::subjects::MICA;

/// Rules that a shim breaks for a reason: subject, case, reason.
pub const EXPECTED: &[(&str, &str, &str)] = &[];

/// Rules that our shim will keep when a branch is merged: case, branch.
pub const PENDING: &[(&str, &str)] = &[];

/// Why a case is expected to fail on a subject.
pub fn of(subject: &str, case: &str) -> Option<&'static str> {
    let expected =
        EXPECTED.iter().find(|(s, c, _)| (*s, *c) == (subject, case)).map(|(_, _, reason)| *reason);
    let pending = || PENDING.iter().find(|(c, _)| subject == MICA && *c == case).map(|(_, branch)| *branch);
    expected.or_else(pending)
}
