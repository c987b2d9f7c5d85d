//! How firmware is asked to end by itself, before its power is cut.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::annotations::{Greeting, duration_of};
use crate::text::quoted;

/// The console, as a stream of a client.
const CONSOLE: &str = "0";
/// Longest name of a stream: a `set` has 32 bytes.
const MAX_STREAM: usize = 18;
/// Most bytes of a text in one word.
const PIECE: usize = 18;
/// What a line ends with that says so itself.
const ENDS: [u8; 3] = [b'\r', b'\n', 0];

/// What tells firmware that it is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopCommand {
    /// Something is typed.
    Line {
        /// Where: the name of a stream in a client's status, or its number there.
        stream: String,
        /// What, with its end.
        bytes: Vec<u8>,
    },
    /// The machine's power button is pressed.
    Button,
}

impl StopCommand {
    fn line(stream: &str, text: &str) -> Result<Self, String> {
        let greeting: Greeting = text.parse()?;
        let mut bytes = greeting.bytes().to_vec();
        match bytes.last() {
            None => return Err(format!("{} has nothing to type", quoted(text))),
            Some(last) if ENDS.contains(last) => {}
            Some(_) => bytes.push(b'\r'),
        }
        Ok(Self::Line { stream: stream.to_owned(), bytes })
    }
}

impl FromStr for StopCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_stream = |name: &str| {
            (1..=MAX_STREAM).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match text.split_once(':') {
            None if text == "button" => Ok(Self::Button),
            Some(("console", line)) => Self::line(CONSOLE, line),
            Some(("endpoint", rest)) => match rest.split_once(':') {
                Some((name, line)) if is_stream(name) => Self::line(name, line),
                _ => Err(format!(
                    "{} is not endpoint:NAME:TEXT, with a NAME of at most {MAX_STREAM} characters without blanks",
                    quoted(text)
                )),
            },
            _ => Err(format!("{} is not console:TEXT, endpoint:NAME:TEXT or button", quoted(text))),
        }
    }
}

impl fmt::Display for StopCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Button => f.write_str("button"),
            Self::Line { stream, bytes } => {
                match stream.as_str() {
                    CONSOLE => f.write_str("console:")?,
                    name => write!(f, "endpoint:{name}:")?,
                }
                Greeting::from(bytes.strip_suffix(b"\r").unwrap_or(bytes).to_vec()).fmt(f)
            }
        }
    }
}

/// How a client's firmware is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Stop {
    /// What tells it to end; `None` cuts its power at once.
    pub command: Option<StopCommand>,
    /// How long it may take after that; `None` leaves it to whoever wants its end.
    pub timeout: Option<Duration>,
}

impl Stop {
    /// What `set` calls it.
    pub const KEY: &str = "Stop";

    /// Does what one word says.
    pub fn apply(&mut self, word: &str) -> Result<(), String> {
        match (word.split_once(':'), &mut self.command) {
            (None, _) if word == "off" => *self = Self::default(),
            (None, _) if word == "button" => self.command = Some(StopCommand::Button),
            (Some(("timeout", time)), _) => self.timeout = Some(duration_of(time)?),
            (Some(("line", stream)), command) => {
                *command = Some(StopCommand::Line { stream: stream.to_owned(), bytes: Vec::new() });
            }
            (Some(("text", piece)), Some(StopCommand::Line { bytes, .. }))
                if bytes.len() <= Greeting::MAX =>
            {
                bytes.extend(decoded(piece).ok_or_else(|| format!("{} has a broken %", quoted(piece)))?);
            }
            _ => {
                return Err(format!(
                    "{} is not button, line:STREAM and then text:PIECE, timeout:TIME or off",
                    quoted(word)
                ));
            }
        }
        Ok(())
    }

    /// The words that say it.
    pub fn words(&self) -> Vec<String> {
        let mut words = match &self.command {
            None => Vec::new(),
            Some(StopCommand::Button) => vec!["button".to_owned()],
            Some(StopCommand::Line { stream, bytes }) => {
                std::iter::once(format!("line:{stream}")).chain(pieces(bytes)).collect()
            }
        };
        words.extend(self.timeout.map(|time| format!("timeout:{}ms", time.as_millis())));
        words
    }
}

impl From<Stop> for Vec<String> {
    fn from(stop: Stop) -> Self {
        stop.words()
    }
}

impl TryFrom<Vec<String>> for Stop {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let mut stop = Self::default();
        words.iter().try_for_each(|word| stop.apply(word))?;
        Ok(stop)
    }
}

/// Bytes as words without blanks and control characters, as URLs have them.
fn pieces(bytes: &[u8]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for byte in bytes {
        let coded = match byte {
            b'%' => "%25".to_owned(),
            byte if byte.is_ascii_graphic() => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        match pieces.last_mut() {
            Some(piece) if piece.len() + coded.len() <= PIECE => piece.push_str(&coded),
            _ => pieces.push(coded),
        }
    }
    pieces.into_iter().map(|piece| format!("text:{piece}")).collect()
}

fn decoded(piece: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), piece.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let (digits, behind) = behind.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_command_is_a_line_with_its_end_or_a_button() {
        for (text, bytes) in [
            ("console:exit 0", &b"exit 0\r"[..]),
            ("console:a:b\\n", b"a:b\n"),
            ("console:\\0", b"\0"),
            ("endpoint:rpmsg-tty1:100% off", b"100% off\r"),
        ] {
            let command: StopCommand = text.parse().unwrap();
            assert!(
                matches!(&command, StopCommand::Line { bytes: typed, .. } if typed == bytes),
                "{command:?}"
            );
            assert_eq!(command.to_string(), text);
        }
        assert_eq!("button".parse(), Ok(StopCommand::Button));
        for (text, words) in [
            ("exit 0", "is not console:TEXT"),
            ("console:", "has nothing to type"),
            ("console:\\t", "without r, n, 0 or"),
            ("endpoint:rpmsg-tty1", "is not endpoint:NAME:TEXT"),
            ("endpoint:a b:exit", "is not endpoint:NAME:TEXT"),
            ("button:2", "is not console:TEXT"),
        ] {
            let refused = text.parse::<StopCommand>().unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }

    #[test]
    fn a_daemon_learns_it_word_by_word() {
        let most = "%".repeat(Greeting::MAX);
        for text in
            ["button", "console:exit 0", "endpoint:rpmsg-tty1:100% off\\0", &format!("console:{most}")]
        {
            let timeout = Some(Duration::from_millis(1500));
            let stop = Stop { command: Some(text.parse().unwrap()), timeout };
            let words = stop.words();
            assert!(words.iter().all(|word| format!("set {} {word}", Stop::KEY).len() <= 32), "{words:?}");
            assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_graphic())), "{words:?}");
            assert_eq!(Stop::try_from(words), Ok(stop), "{text}");
        }
        assert!(Stop::default().words().is_empty());
        let mut stop = Stop::default();
        assert!(stop.apply("text:exit").unwrap_err().contains("is not button, line:STREAM"));
        stop.apply("line:0").unwrap();
        for wrong in ["text:%", "text:%2", "text:%zz"] {
            assert!(stop.apply(wrong).unwrap_err().contains("has a broken %"), "{wrong}");
        }
        while stop.apply("text:xxxxxxxxxxxxxxxxxx").is_ok() {}
        assert!(matches!(&stop.command, Some(StopCommand::Line { bytes, .. }) if bytes.len() < 100));
        stop.apply("off").unwrap();
        assert_eq!(stop, Stop::default());
    }
}
