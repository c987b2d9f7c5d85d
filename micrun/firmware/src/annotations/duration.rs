//! Durations as upstream's users write them: plain seconds, or Go's `time.ParseDuration` syntax.

use std::time::Duration;

use crate::text::quoted;

/// A duration with its sign; the size of a negative one is of no use to anybody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signed {
    Positive(Duration),
    Negative,
}

/// Go's units, in nanoseconds. Two code points stand for "micro", as in Go.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads `90`, `1m30s`, `1.5h`, `-5s`.
pub(super) fn parse(text: &str) -> Result<Signed, String> {
    let refuse =
        || format!("{} is not a duration; write seconds, or for example 500ms, 90s, 1m30s", quoted(text));
    let (negative, magnitude) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok());
    let duration = match plain(magnitude).flatten() {
        Some(seconds) => Duration::from_secs(seconds),
        None => with_units(magnitude).ok_or_else(refuse)?,
    };
    // -0 is 0, as in Go.
    if negative && !duration.is_zero() { Ok(Signed::Negative) } else { Ok(Signed::Positive(duration)) }
}

fn with_units(mut rest: &str) -> Option<Duration> {
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(number, scale)?)?;
        rest = tail;
    }
    // Go's limit: an i64 of nanoseconds, about 292 years.
    u64::try_from(nanos).ok().filter(|n| i64::try_from(*n).is_ok()).map(Duration::from_nanos)
}

/// `number` (digits with at most one point) times `scale`, cut off below one nanosecond.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits beyond the fifteenth are below a nanosecond of every unit.
    let fraction = fraction.get(..15.min(fraction.len()))?;
    let part = match fraction.parse::<u64>() {
        Ok(digits) => u128::from(digits) * scale / 10u128.pow(u32::try_from(fraction.len()).ok()?),
        Err(_) if fraction.is_empty() => 0,
        Err(_) => return None,
    };
    Some(u128::from(whole) * scale + part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn positive(text: &str) -> Option<Duration> {
        match parse(text) {
            Ok(Signed::Positive(duration)) => Some(duration),
            _ => None,
        }
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, millis) in [
            ("0", 0),
            ("30", 30_000),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("5.s", 5_000),
            ("300ms", 300),
            ("1000µs", 1),
            ("+2s", 2_000),
            ("-0", 0),
            ("1h2m3s4ms", 3_723_004),
        ] {
            assert_eq!(positive(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("-5s"), Ok(Signed::Negative));
        for text in ["", "-", "s", ".s", "1..5s", "5 s", "1x", "5s3", "9999999999h", "1.2", "٣s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn near_misses_never_panic(text in "[-+]?[0-9.]{0,30}(ns|us|µs|ms|s|m|h)?[0-9.]{0,30}[smh]?") {
            let _ = parse(&text);
        }

        #[test]
        fn sums_its_parts(h in 0u64..1000, m in 0u64..1000, s in 0u64..1000) {
            let text = format!("{h}h{m}m{s}s");
            prop_assert_eq!(positive(&text), Some(Duration::from_secs(h * 3600 + m * 60 + s)));
        }
    }
}
