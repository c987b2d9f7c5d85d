//! The allocator.

/// Has all threads take memory from one arena. glibc gives each of several threads one of its own, up to eight for a
/// processor, and keeps it when the thread has ended: a shim would hold 100 kB and more for each thread that ever worked
/// beside another one, for its pod's whole life. Its threads hardly meet.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "neither nix nor rustix wraps mallopt(3)")]
pub(crate) fn share_one_arena() {
    // SAFETY: it sets a number of the allocator, and is called before there is a second thread.
    unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1) };
}

/// Other C libraries have one.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_one_arena() {}
