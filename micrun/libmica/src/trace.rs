//! Extension `trace`: a line in front of a request says for which trace it is. Upstream's daemon knows no such line, so it
//! is sent only to a daemon whose `version` names the extension.
//!
//! ```text
//! trace TRACEPARENT[ TRACESTATE]\n
//! ```
//!
//! The two are the headers of W3C Trace Context.

/// Name of the extension, and the word that the line begins with.
pub const EXTENSION: &str = "trace";
/// Longest `traceparent`: that of version 00, which everyone can write.
const MAX_PARENT: usize = 55;
/// Longest `tracestate` that has to be passed on.
const MAX_STATE: usize = 512;
/// Longest line in bytes, with its end.
pub const MAX_LEN: usize = EXTENSION.len() + 1 + MAX_PARENT + 1 + MAX_STATE + 1;

/// For which trace a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The value of `traceparent`.
    pub parent: String,
    /// The value of `tracestate`; may be empty.
    pub state: String,
}

impl Context {
    /// A context of these texts. `None` if the first cannot stand on the line; a state that cannot is left out.
    pub fn new(parent: &str, state: &str) -> Option<Self> {
        let is_parent =
            !parent.is_empty() && parent.len() <= MAX_PARENT && parent.bytes().all(|b| b.is_ascii_graphic());
        let fits = state.len() <= MAX_STATE && state.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let state = if fits { state.trim() } else { "" };
        is_parent.then(|| Self { parent: parent.to_owned(), state: state.to_owned() })
    }

    /// The line.
    pub fn encode(&self) -> Vec<u8> {
        let blank = if self.state.is_empty() { "" } else { " " };
        format!("{EXTENSION} {}{blank}{}\n", self.parent, self.state).into_bytes()
    }

    /// Takes the line off a request; gives what is behind it as well. Without such a line, that is all of it.
    pub fn split(request: &[u8]) -> (Option<Self>, &[u8]) {
        let Some(length) = length_in(request) else { return (None, request) };
        let (line, rest) = request.split_at(length);
        let line =
            std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(EXTENSION)?.strip_prefix(' '));
        let line = line.and_then(|line| line.strip_suffix('\n'));
        let context = line.and_then(|line| {
            let (parent, state) = line.split_once(' ').unwrap_or((line, ""));
            Self::new(parent, state)
        });
        // What is behind a line that says nothing is a request all the same.
        (context, rest)
    }
}

/// Length of the line in front of `request`, if there is one.
fn length_in(request: &[u8]) -> Option<usize> {
    let rest = request.strip_prefix(EXTENSION.as_bytes())?.strip_prefix(b" ")?;
    let room = MAX_LEN - EXTENSION.len() - 1;
    let end = rest.iter().take(room).position(|&byte| byte == b'\n')?;
    Some(EXTENSION.len() + 1 + end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0c1902b7-01";

    #[test]
    fn a_line_is_taken_off_and_the_rest_is_the_request() {
        let context = Context::new(PARENT, "a=b c").unwrap();
        let line = context.encode();
        assert_eq!(line, format!("trace {PARENT} a=b c\n").into_bytes());
        let request = [&line[..], b"start oom=7"].concat();
        assert_eq!(Context::split(&request), (Some(context), &b"start oom=7"[..]));
        for whole in [&b"start"[..], b"", b"trace", b"trace x", b"tracex\nstop"] {
            assert_eq!(Context::split(whole), (None, whole));
        }
        assert_eq!(Context::split(b"trace \nstop"), (None, &b"stop"[..]));
        let endless = [&b"trace "[..], &[b'x'; MAX_LEN]].concat();
        assert_eq!(Context::split(&endless), (None, &endless[..]));
    }

    #[test]
    fn what_would_break_the_line_is_no_context() {
        for wrong in ["", "a b", "a\n", &"x".repeat(56)] {
            assert_eq!(Context::new(wrong, ""), None, "{wrong:?}");
        }
        for wrong in ["a\nb", "\u{e9}", &"x".repeat(513)] {
            assert_eq!(Context::new(PARENT, wrong).unwrap().state, "", "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parent in "[!-~]{1,55}", state in "[ -~]{0,512}", request in "[ -~]{0,32}") {
            let context = Context::new(&parent, &state).unwrap();
            let line = context.encode();
            prop_assert!(line.len() <= MAX_LEN);
            let bytes = [line.as_slice(), request.as_bytes()].concat();
            prop_assert_eq!(Context::split(&bytes), (Some(context), request.as_bytes()));
        }

        #[test]
        fn whatever_comes_is_split(request: Vec<u8>, begins: bool) {
            let request = if begins { [b"trace ".as_slice(), &request].concat() } else { request };
            let (_, rest) = Context::split(&request);
            prop_assert!(request.ends_with(rest));
        }
    }
}
