//! The guest operating systems.

mod signs;

use std::fmt;
use std::str::FromStr;

pub(crate) use signs::SIGNS;

/// Longest name of one.
const MAX_NAME: usize = 32;

/// Which operating system a firmware is. Nothing is executed by it: it is told to users and to tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Os {
    /// openEuler's UniProton: upstream's default, hence what an image without this marker holds.
    #[default]
    UniProton,
    /// The Zephyr RTOS.
    Zephyr,
    /// FreeRTOS.
    FreeRtos,
    /// Apache NuttX.
    NuttX,
    /// RT-Thread.
    RtThread,
    /// Eclipse ThreadX.
    ThreadX,
    /// RIOT.
    Riot,
    /// The boot loader U-Boot.
    UBoot,
    /// A program without an operating system.
    BareMetal,
    /// Any other, by its name.
    Other(OtherOs),
}

/// The name of an operating system that is not in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherOs(String);

impl Os {
    /// All that are in the list, upstream's first. A new one is added here, in [`Os::as_str`] and to the signs.
    pub const KNOWN: [Self; 9] = [
        Self::UniProton,
        Self::Zephyr,
        Self::FreeRtos,
        Self::NuttX,
        Self::RtThread,
        Self::ThreadX,
        Self::Riot,
        Self::UBoot,
        Self::BareMetal,
    ];

    /// The name that annotations use.
    pub fn as_str(&self) -> &str {
        match self {
            Self::UniProton => "uniproton",
            Self::Zephyr => "zephyr",
            Self::FreeRtos => "freertos",
            Self::NuttX => "nuttx",
            Self::RtThread => "rt-thread",
            Self::ThreadX => "threadx",
            Self::Riot => "riot",
            Self::UBoot => "u-boot",
            Self::BareMetal => "baremetal",
            Self::Other(OtherOs(name)) => name,
        }
    }

    /// For a name that is not in the list: the one that was perhaps meant, as a clause.
    pub fn hint(&self) -> Option<String> {
        let Self::Other(OtherOs(name)) = self else { return None };
        Some(crate::text::hint(name, Self::KNOWN.iter().map(Self::as_str))).filter(|hint| !hint.is_empty())
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Os {
    type Err = String;

    /// Case-sensitive, as upstream is, whose first words the message has.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(known) = Self::KNOWN.into_iter().find(|os| os.as_str() == text) {
            return Ok(known);
        }
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let word = text.bytes().all(|byte| letter(byte) || matches!(byte, b'.' | b'_' | b'-'))
            && text.bytes().next().is_some_and(letter);
        if word && text.len() <= MAX_NAME {
            return Ok(Self::Other(OtherOs(text.to_owned())));
        }
        Err(format!(
            "unsupported guest os {}: a name has at most {MAX_NAME} small letters, digits, '.', '_' and '-' \
             (known: {}){}",
            crate::text::quoted(text),
            Self::KNOWN.each_ref().map(Self::as_str).join(", "),
            crate::text::hint(text, Self::KNOWN.iter().map(Self::as_str))
        ))
    }
}
