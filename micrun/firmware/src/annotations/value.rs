//! How the text of an annotation becomes a value.

use std::fmt;
use std::time::Duration;

use super::{AUTO_CLOSE_TIMEOUT, duration};
use crate::text::quoted;
use crate::{Coredump, Os, Pedestal, Sha256Digest, Watchdog};

/// Longest prompt, in characters.
const MAX_PROMPT: usize = 64;
/// Longest greeting, in bytes.
const MAX_GREETING: usize = 64;
/// Longest text that firmware is waited for with, in bytes.
const MAX_SIGN: usize = 256;
/// Longest name of an rpmsg endpoint (`RPMSG_NAME_SIZE`, with its NUL).
const MAX_ENDPOINT: usize = 31;

/// A value as read: what it is, and what to tell the user about it.
pub struct Read<T> {
    pub(super) value: Option<T>,
    pub(super) warning: Option<String>,
}

impl<T> From<T> for Read<T> {
    fn from(value: T) -> Self {
        Self { value: Some(value), warning: None }
    }
}

/// The type of an annotation. [`Value::Read`] is what its text becomes.
pub trait Value {
    /// The type's name in the documentation.
    const KIND: &'static str;
    /// The type of the field.
    type Read;
    /// Reads the text, or gives the reason why it cannot be read.
    fn read(text: &str) -> Result<Read<Self::Read>, String>;
}

/// Whether a container closes by itself after its client has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoClose(pub bool);

/// A path inside the rootfs: UTF-8 text whose containment `rootfs::open` checks.
pub struct RootfsPath;

/// A line of text.
pub struct Text;

/// What a shell prints when it waits for a command.
pub struct Prompt;

/// A time within which something must happen. 0 is no limit.
pub struct TimeLimit;

/// What is typed on a console: text with `\r`, `\n`, `\0` and `\\` for those bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting(Vec<u8>);

/// The sign by which firmware shows that it is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// This text on its console.
    Console(String),
    /// An rpmsg endpoint that it announces by this name.
    Endpoint(String),
}

/// An amount of memory in MiB, at least one.
pub struct Megabytes;

impl Value for Os {
    const KIND: &'static str = "`uniproton`, `zephyr`, `freertos`, `nuttx`, `rt-thread`, `threadx`, `riot`, `u-boot`, `baremetal`, or another word";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        text.parse().map(Self::into)
    }
}

impl Value for Pedestal {
    const KIND: &'static str = "`baremetal`, `qemu`, `xen`, `jailhouse`, `hetero`";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        text.parse().map(Self::into)
    }
}

impl Value for Sha256Digest {
    const KIND: &'static str = "sha256 digest";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        text.parse::<Self>().map(Self::into).map_err(|error| error.to_string())
    }
}

impl Value for RootfsPath {
    const KIND: &'static str = "path in the rootfs";
    type Read = String;

    fn read(text: &str) -> Result<Read<String>, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(format!("{} is not a path; name a file inside the image", quoted(text)));
        }
        Ok(text.to_owned().into())
    }
}

impl Value for Text {
    const KIND: &'static str = "text";
    type Read = String;

    fn read(text: &str) -> Result<Read<String>, String> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(format!("{} is not a single line of text", quoted(text)));
        }
        Ok(text.to_owned().into())
    }
}

impl Value for Prompt {
    const KIND: &'static str = "text of at most 64 characters";
    type Read = String;

    fn read(text: &str) -> Result<Read<String>, String> {
        if text.chars().count() > MAX_PROMPT {
            return Err(format!(
                "{} is too long for a prompt; have the shell print one of at most {MAX_PROMPT} characters",
                quoted(text)
            ));
        }
        Text::read(text)
    }
}

impl Greeting {
    /// One zero byte.
    pub fn zero() -> Self {
        Self(vec![0])
    }

    /// The bytes; none is no greeting.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Value for Greeting {
    const KIND: &'static str = "text with `\\r`, `\\n`, `\\0`, `\\\\`";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'\\' => match rest.next() {
                    Some(b'r') => b'\r',
                    Some(b'n') => b'\n',
                    Some(b'0') => 0,
                    Some(b'\\') => b'\\',
                    _ => return Err(format!("{} has a \\ without r, n, 0 or \\ behind it", quoted(text))),
                },
                byte => byte,
            });
        }
        if bytes.len() > MAX_GREETING {
            return Err(format!("{} is too long; write at most {MAX_GREETING} bytes", quoted(text)));
        }
        Ok(Self(bytes).into())
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            0 => f.write_str("\\0"),
            byte => write!(f, "{}", byte.escape_ascii()),
        })
    }
}

impl Value for Coredump {
    const KIND: &'static str = "`off`, `fault`, `always`";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        text.parse().map(Self::into)
    }
}

impl Value for Watchdog {
    const KIND: &'static str = "words: `heartbeat:TIME`, `spin:TIME`, `console:TIME`, `end`, `restart`";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        text.parse().map(Self::into)
    }
}

impl Value for Ready {
    const KIND: &'static str = "`console:TEXT` or `endpoint:NAME`";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        match text.split_once(':') {
            Some(("console", sign)) if is_sign(sign) => Ok(Self::Console(sign.to_owned()).into()),
            Some(("endpoint", name)) if is_endpoint(name) => Ok(Self::Endpoint(name.to_owned()).into()),
            _ => Err(format!(
                "{} is not a sign of readiness; write console:TEXT (one line of at most {MAX_SIGN} bytes), or \
                 endpoint:NAME (at most {MAX_ENDPOINT} characters without blanks)",
                quoted(text)
            )),
        }
    }
}

fn is_sign(text: &str) -> bool {
    text.len() <= MAX_SIGN && Text::read(text).is_ok()
}

fn is_endpoint(name: &str) -> bool {
    (1..=MAX_ENDPOINT).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console(text) => write!(f, "console:{text}"),
            Self::Endpoint(name) => write!(f, "endpoint:{name}"),
        }
    }
}

impl Value for u32 {
    const KIND: &'static str = "number";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        match text.parse::<Self>() {
            Ok(number) if number > 0 => Ok(number.into()),
            _ => Err(format!("{} is not a number of 1 or more", quoted(text))),
        }
    }
}

impl Value for Megabytes {
    const KIND: &'static str = "MiB";
    type Read = u32;

    fn read(text: &str) -> Result<Read<u32>, String> {
        u32::read(text).map_err(|reason| format!("{reason}; write a number of MiB without a unit"))
    }
}

impl Value for bool {
    const KIND: &'static str = "bool";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        parse_bool(text)
            .map(Self::into)
            .ok_or_else(|| format!("{} is not a bool; write true or false", quoted(text)))
    }
}

impl Value for AutoClose {
    const KIND: &'static str = "bool";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        Ok(parse_bool(text).map(Self).map_or_else(
            || Read {
                value: None,
                warning: Some(format!(
                    "{} is not a bool and is ignored; write a time as container.auto_close_timeout",
                    quoted(text)
                )),
            },
            Read::from,
        ))
    }
}

impl Value for Duration {
    const KIND: &'static str = "seconds, or a duration such as `1m30s`";
    type Read = Self;

    fn read(text: &str) -> Result<Read<Self>, String> {
        match duration::parse(text)? {
            duration::Signed::Positive(duration) => Ok(duration.into()),
            duration::Signed::Negative => Ok(Read {
                value: Some(AUTO_CLOSE_TIMEOUT),
                warning: Some(format!("{} is negative; 30s is used instead", quoted(text))),
            }),
        }
    }
}

impl Value for TimeLimit {
    const KIND: &'static str = <Duration as Value>::KIND;
    type Read = Duration;

    fn read(text: &str) -> Result<Read<Duration>, String> {
        match duration::parse(text)? {
            duration::Signed::Positive(duration) => Ok(duration.into()),
            duration::Signed::Negative => Err(format!("{} is negative; 0 means no limit", quoted(text))),
        }
    }
}

/// The spellings of Go's `strconv.ParseBool`, which upstream uses.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
