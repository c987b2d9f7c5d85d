//! A context as it travels: W3C Trace Context, version 00, of which later versions are a longer form.

use std::fmt;

/// Name of the header with the ids.
pub const TRACEPARENT: &str = "traceparent";
/// Name of the header with what vendors add to it.
pub const TRACESTATE: &str = "tracestate";
/// The longest `tracestate` that is passed on (the specification's 3.3.1.5).
const MAX_STATE: usize = 512;
/// `00-` trace id `-` span id `-` flags.
const LENGTH: usize = 55;

/// The span of somebody else that asked for something: a well-formed `traceparent`, and the `tracestate` with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) flags: u8,
    state: String,
}

impl Parent {
    /// Reads the values of the headers; `None` if the first is no `traceparent`. A `tracestate` that cannot be passed on
    /// is left out.
    pub fn read(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let text = traceparent.trim_matches([' ', '\t']);
        let version = hex(text.get(..2)?)?;
        // A later version may have more behind it.
        let more = text.get(LENGTH..)?;
        if version == 0xff || !(more.is_empty() || (version > 0 && more.starts_with('-'))) {
            return None;
        }
        let mut parts = text[2..LENGTH].strip_prefix('-')?.split('-');
        let mut part = |length: usize| parts.next().filter(|part| part.len() == length);
        let (trace, span, flags) = (hex(part(32)?)?, hex(part(16)?)?, hex(part(2)?)?);
        let (span, flags) = (u64::try_from(span).ok()?, u8::try_from(flags).ok()?);
        let fits =
            |state: &&str| state.len() <= MAX_STATE && state.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let state = tracestate.map(str::trim).filter(fits).unwrap_or_default().to_owned();
        (trace != 0 && span != 0).then_some(Self { trace, span, flags, state })
    }

    /// A context of these ids.
    #[cfg(feature = "otel")]
    pub(crate) fn new(trace: u128, span: u64, flags: u8, state: String) -> Self {
        let fits = state.len() <= MAX_STATE;
        Self { trace, span, flags, state: if fits { state } else { String::new() } }
    }

    /// The value of `tracestate`; may be empty.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether whoever asked keeps its trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// As variables of a program's environment, by the convention of OpenTelemetry.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let state = Some(self.state.clone()).filter(|state| !state.is_empty());
        let state = state.map(|state| ("TRACESTATE", state));
        [("TRACEPARENT", self.to_string())].into_iter().chain(state).collect()
    }
}

/// The value of `traceparent`.
impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// A number in lower-case digits.
fn hex(text: &str) -> Option<u128> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    digits.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0c1902b7-01";

    #[test]
    fn the_specifications_example() {
        let parent = Parent::read(EXAMPLE, Some("congo=t61rcWkgMzE")).unwrap();
        assert_eq!((parent.to_string(), parent.state()), (EXAMPLE.to_owned(), "congo=t61rcWkgMzE"));
        assert!(parent.is_sampled());
        let names: Vec<_> = parent.variables().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["TRACEPARENT", "TRACESTATE"]);
        assert_eq!(Parent::read(EXAMPLE, None).unwrap().variables().len(), 1);
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        assert_eq!(Parent::read(&later, None).unwrap().to_string(), EXAMPLE);
        assert!(Parent::read(&format!("{later}-what-follows"), None).is_some());
        assert!(Parent::read(&format!("{later}."), None).is_none());
    }

    #[test]
    fn what_is_malformed_is_no_parent() {
        for wrong in [
            String::new(),
            format!("{EXAMPLE}-00"),
            EXAMPLE.to_uppercase(),
            EXAMPLE.replacen("00", "ff", 1),
            EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            EXAMPLE.replace("00f067aa0c1902b7", &"0".repeat(16)),
            EXAMPLE.replace('-', "_"),
            EXAMPLE.replacen("4b", "+b", 1),
            EXAMPLE[..54].to_owned(),
        ] {
            assert_eq!(Parent::read(&wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn a_state_that_cannot_be_passed_on_is_left_out() {
        for wrong in ["x".repeat(513), "a=\n".to_owned() + "b", "a=\u{e9}".to_owned()] {
            assert_eq!(Parent::read(EXAMPLE, Some(&wrong)).unwrap().state(), "");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1..u128::MAX, span in 1..u64::MAX, flags: u8, state in "[ -~]{0,512}") {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let parent = Parent::read(&text, Some(&state)).unwrap();
            prop_assert_eq!(parent.to_string(), text.clone());
            prop_assert_eq!(parent.state(), state.trim());
            prop_assert_eq!(Parent::read(&text, Some(parent.state())), Some(parent));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in ".{0,70}", hex in "[0-9a-f-]{50,60}") {
            for text in [text, hex] {
                if let Some(parent) = Parent::read(&text, Some(&text)) {
                    prop_assert!(text.trim().get(2..LENGTH) == Some(&parent.to_string()[2..]));
                }
            }
        }
    }
}
