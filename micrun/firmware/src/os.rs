//! The guest operating systems.

use std::fmt;
use std::str::FromStr;

/// Which operating system a firmware is. Nothing is executed by it: it is told to users and to tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Os {
    /// openEuler's UniProton: upstream's default, hence what an image without this marker holds.
    #[default]
    UniProton,
    /// The Zephyr RTOS.
    Zephyr,
    /// FreeRTOS.
    FreeRtos,
    /// A program without an operating system.
    BareMetal,
}

impl Os {
    /// All of them, upstream's first. A new one is added here and in [`Os::as_str`].
    pub const ALL: [Self; 4] = [Self::UniProton, Self::Zephyr, Self::FreeRtos, Self::BareMetal];

    /// The name that annotations use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UniProton => "uniproton",
            Self::Zephyr => "zephyr",
            Self::FreeRtos => "freertos",
            Self::BareMetal => "baremetal",
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Os {
    type Err = String;

    /// Upstream compares case-sensitively, and its message is kept.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|os| os.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str);
            format!(
                "unsupported guest os {} (supported: {}){}",
                crate::text::quoted(text),
                known.join(", "),
                crate::text::hint(text, known)
            )
        })
    }
}
