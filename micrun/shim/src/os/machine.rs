//! What the machine is at.

/// What systemd makes of itself, as process 1, once all units are stopped; the kernel keeps 15 bytes of a name. It then
/// sends SIGTERM to every process left, and waits `DefaultTimeoutStopSec` for those that stay (`systemd-shutdown(8)`).
const LAST_STAGE: &str = "systemd-shutdow";

/// Whether this is the end of everything, not of a service: whoever stays holds the machine up for 90 seconds. Other
/// inits than systemd wait for nobody.
pub(crate) fn is_going_down() -> bool {
    std::fs::read_to_string("/proc/1/comm").is_ok_and(|name| name.trim_end() == LAST_STAGE)
}
