//! Descriptors that somebody else has left open.

use nix::libc;

/// Keeps descriptors that this program has inherited, beyond its standard ones, from the programs that it starts. containerd
/// passes none on purpose, but what it has inherited itself may leak through it: a shim would keep that for its pod's
/// whole life, and hand it on to the OCI runtime and to loggers.
#[expect(unsafe_code, reason = "neither nix nor rustix wraps close_range(2)")]
pub(crate) fn keep_from_children() {
    // A kernel before 5.11 does not know this, and then nothing is lost but the precaution.
    // SAFETY: with CLOSE_RANGE_CLOEXEC the call closes nothing, it only sets flags.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}
