//! Numbers, times and texts as people read them.

use std::time::SystemTime;

use libmica::ext::ExitReport;

/// What stands for a value that there is not.
pub(super) const NONE: &str = "-";

/// Bytes, in the largest unit of which there is one.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A span of time, by its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// A span of time in microseconds, to the millisecond.
pub(super) fn precise(usec: u64) -> String {
    format!("{}.{:03}s", usec / 1_000_000, usec / 1000 % 1000)
}

/// How a run ended, in short: status and reason.
pub(super) fn exit(report: &ExitReport) -> String {
    format!("{} {}", report.status, report.reason.as_str())
}

/// How long ago that was, if it was; the clocks of two machines may differ.
pub(super) fn ago(at: &str, now: SystemTime) -> Option<String> {
    let at = humantime::parse_rfc3339(at).ok()?;
    now.duration_since(at).ok().map(|since| format!("{} ago", span(since.as_secs())))
}

/// A text that a terminal only shows: what it would act on becomes `?`. Sentences may quote QEMU's or a firmware's words.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn units_are_those_of_people() {
        for (number, text) in [
            (0, "0.0 KiB"),
            (1536, "1.5 KiB"),
            (25_270_000, "24.0 MiB"),
            (3 << 30, "3.0 GiB"),
            (1 << 40, "1.0 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert!(bytes(u64::MAX).ends_with(" TiB"));
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m 01s"),
            (3600, "1h 00m"),
            (90_000, "1d 01h"),
            (8_640_000, "100d 00h"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(precise(61_002_900), "61.002s");
        let now = UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(ago("1970-01-01T00:00:40.000000000Z", now).as_deref(), Some("1m 00s ago"));
        assert_eq!(ago("1970-01-01T00:02:00Z", now), None);
        assert_eq!(harmless("a\x1b[2Jb\n"), "a?[2Jb?");
    }
}
