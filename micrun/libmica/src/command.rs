//! Control commands: texts of at most 32 bytes, one per connection.

use std::fmt;

use crate::attach::Attach;
use crate::{Error, Result};

/// Longest control message in bytes (upstream's `CTRL_MSG_SIZE`).
pub const MAX_LEN: usize = 32;
/// Highest score of the kernel's out-of-memory killer (proc(5), `oom_score_adj`).
pub const MAX_OOM_SCORE: u16 = 1000;
/// Words of [`Extras`].
const FIRMWARE: &str = "firmware";
const PATCH: &str = "patch";
const OOM: &str = "oom=";

/// Extension: what a start asks for beside its descriptors. Upstream's daemon takes a start without any of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// The firmware comes as a descriptor: a sealed memory file with the bytes of the client's file.
    pub firmware: bool,
    /// The state to go on from is that of firmware that had been patched, and to which one comes as a descriptor: its
    /// digest, in a sealed memory file. Only for [`Command::Restore`].
    pub patched: bool,
    /// How soon the kernel is to kill the firmware's process when memory runs out: at most [`MAX_OOM_SCORE`].
    pub oom_score: Option<u16>,
}

impl Extras {
    /// Reads the words behind the command; `None` if one of them is none of these.
    fn decode<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut extras = Self::default();
        for word in words {
            match word.strip_prefix(OOM) {
                Some(score) => {
                    extras.oom_score = Some(score.parse().ok().filter(|score| *score <= MAX_OOM_SCORE)?);
                }
                None if word == FIRMWARE => extras.firmware = true,
                None if word == PATCH => extras.patched = true,
                None => return None,
            }
        }
        Some(extras)
    }
}

impl fmt::Display for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.firmware {
            write!(f, " {FIRMWARE}")?;
        }
        if self.patched {
            write!(f, " {PATCH}")?;
        }
        match self.oom_score {
            Some(score) => write!(f, " {OOM}{score}"),
            None => Ok(()),
        }
    }
}

/// A command for one client, or ([`Command::is_for_daemon`]) for the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Boot the firmware. With anything asked for it is an extension.
    Start(Extras),
    /// Stop it.
    Stop,
    /// Stop it and forget the client.
    Remove,
    /// Ask for the status line.
    Status,
    /// Change a resource of the client.
    Set {
        /// Upstream's keys: `CPU`, `VCPU`, `CPUWeight`, `CPUCapacity`, `Memory`, `MaxMemory`, `MaxVCPU`.
        key: String,
        /// The new value.
        value: String,
    },
    /// Ask for the gdb command line.
    Gdb,
    /// Extension: what daemon this is.
    Version,
    /// Extension: all clients.
    List,
    /// Extension: what the daemon counts and measures.
    Metrics {
        /// In Prometheus's older text format, not in that of OpenMetrics.
        plain: bool,
    },
    /// Extension: all clients, with what they use.
    Ps,
    /// Extension: what happens from now on, until the daemon ends.
    Events,
    /// Extension: how the runs of all clients ended, also of those that were removed.
    History,
    /// Extension: everything that is known of a client.
    Inspect,
    /// Extension: freeze the firmware.
    Pause,
    /// Extension: let it go on.
    Resume,
    /// Extension: what it has used.
    Stats,
    /// Extension: answer when the current run has ended.
    Wait,
    /// Extension: say what the firmware is doing.
    Diagnose {
        /// The sender reads the console and has heard nothing: it is to be remembered.
        silent: bool,
    },
    /// Extension: be connected to a console from now on.
    Attach(Attach),
    /// Extension: say in lines of the log what the labels say that come as a descriptor with it.
    About,
    /// Extension: write the state of the machine to the descriptor that comes with it.
    Checkpoint,
    /// Extension: change the memory of the running firmware to what another one has, which comes as a descriptor with it.
    Patch,
    /// Extension: boot, and go on where the state says that comes by the descriptor with it.
    Restore(Extras),
}

impl Command {
    /// Whether it goes to the daemon's own socket. [`Command::Version`] may go to a client's as well.
    pub fn is_for_daemon(&self) -> bool {
        matches!(
            self,
            Self::Version | Self::List | Self::Metrics { .. } | Self::Ps | Self::Events | Self::History
        )
    }

    /// The bytes that go over the wire.
    pub fn encode(&self) -> Result<Vec<u8>> {
        if let Self::Set { key, value } = self
            && !(is_word(key) && is_word(value))
        {
            return Err(Error::InvalidSet);
        }
        let text = self.to_string();
        if text.len() > MAX_LEN {
            let actual = text.len();
            return Err(Error::CommandTooLong { command: text, actual, limit: MAX_LEN });
        }
        Ok(text.into_bytes())
    }

    /// Reads a received command. As upstream does, it ends at the first NUL, and whatever begins with
    /// `set` is a set. The errors' texts are those that upstream's daemon answers.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.split(|&b| b == 0).next().unwrap_or_default();
        let unknown = || Error::UnknownCommand(String::from_utf8_lossy(bytes).into_owned());
        if bytes.len() > MAX_LEN {
            return Err(unknown());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| unknown())?;
        if let Some(starts) = Self::decode_start(text) {
            return starts.ok_or_else(unknown);
        }
        Ok(match text {
            "stop" => Self::Stop,
            "rm" => Self::Remove,
            "status" => Self::Status,
            "gdb" => Self::Gdb,
            "version" => Self::Version,
            "list" => Self::List,
            "metrics" => Self::Metrics { plain: false },
            "metrics plain" => Self::Metrics { plain: true },
            "ps" => Self::Ps,
            "events" => Self::Events,
            "history" => Self::History,
            "inspect" => Self::Inspect,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "stats" => Self::Stats,
            "wait" => Self::Wait,
            "diagnose" => Self::Diagnose { silent: false },
            "diagnose silent" => Self::Diagnose { silent: true },
            "checkpoint" => Self::Checkpoint,
            "patch" => Self::Patch,
            "about" => Self::About,
            attach if attach.starts_with("attach ") => {
                Self::Attach(attach["attach ".len()..].parse().map_err(|()| unknown())?)
            }
            set if set.starts_with("set") => Self::decode_set(set)?,
            _ => return Err(unknown()),
        })
    }

    /// The word it begins with.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Stop => "stop",
            Self::Remove => "rm",
            Self::Status => "status",
            Self::Set { .. } => "set",
            Self::Gdb => "gdb",
            Self::Version => "version",
            Self::List => "list",
            Self::Metrics { .. } => "metrics",
            Self::Ps => "ps",
            Self::Events => "events",
            Self::History => "history",
            Self::Inspect => "inspect",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stats => "stats",
            Self::Wait => "wait",
            Self::Diagnose { .. } => "diagnose",
            Self::Attach(_) => "attach",
            Self::Checkpoint => "checkpoint",
            Self::Patch => "patch",
            Self::About => "about",
            Self::Restore(_) => "restore",
        }
    }

    /// `None` if it is no start; `Some(None)` if it asks for what nobody knows.
    #[expect(clippy::option_option, reason = "both kinds of `no` are needed, and only here")]
    fn decode_start(text: &str) -> Option<Option<Self>> {
        let mut words = text.split(' ');
        let command: fn(Extras) -> Self = match words.next()? {
            "start" => Self::Start,
            "restore" => Self::Restore,
            _ => return None,
        };
        let command = Extras::decode(words).map(command);
        Some(command.filter(|it| !matches!(it, Self::Start(Extras { patched: true, .. }))))
    }

    fn decode_set(text: &str) -> Result<Self> {
        let tokens: Vec<&str> = text.split(' ').filter(|t| !t.is_empty()).collect();
        let [_, key, value] = tokens[..] else { return Err(Error::InvalidSet) };
        if !is_word(key) || !is_word(value) {
            return Err(Error::InvalidSet);
        }
        Ok(Self::Set { key: key.to_owned(), value: value.to_owned() })
    }
}

/// What a key or a value of `set` may be: it goes into logs and files, so nothing that a terminal would act on.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Start(extras) | Self::Restore(extras) => write!(f, "{extras}"),
            Self::Set { key, value } => write!(f, " {key} {value}"),
            Self::Attach(attach) => write!(f, " {attach}"),
            Self::Diagnose { silent: true } => f.write_str(" silent"),
            Self::Metrics { plain: true } => f.write_str(" plain"),
            _ => Ok(()),
        }
    }
}
