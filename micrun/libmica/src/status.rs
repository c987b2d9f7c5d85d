//! The status line: `%-30s%-20s%-20s%s` of name, CPUs, state and services.

use std::fmt;
use std::path::PathBuf;

use crate::names;

const NAME_WIDTH: usize = 30;
const CPU_WIDTH: usize = 20;
const STATE_WIDTH: usize = 20;

/// State of a client: the states of `OpenAMP`'s remoteproc, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ClientState {
    /// Not running: never started, stopped, or ended by itself.
    Offline,
    /// Firmware loaded.
    Configured,
    /// About to boot.
    Ready,
    /// Running.
    Running,
    /// Frozen; it can go on.
    Suspended,
    /// Broken.
    Error,
    /// Stopped.
    Stopped,
}

impl ClientState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Offline,
        Self::Configured,
        Self::Ready,
        Self::Running,
        Self::Suspended,
        Self::Error,
        Self::Stopped,
    ];

    /// The word in a status line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "Offline",
            Self::Configured => "Configured",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::Suspended => "Suspended",
            Self::Error => "Error",
            Self::Stopped => "Stopped",
        }
    }
}

impl fmt::Display for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A service that the firmware offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Endpoint name: `rpmsg-tty`, `rpmsg-rpc`, `rpmsg-umt`, `debug-rtos-kernel`.
    pub name: String,
    /// The device that leads to it, for `rpmsg-tty`.
    pub device: Option<PathBuf>,
}

/// A status line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStatus {
    /// The name as shown: shortened beyond 31 bytes, so no identity.
    pub display_name: String,
    /// The CPUs as given at creation; may be empty.
    pub cpu: String,
    /// The state.
    pub state: ClientState,
    /// The services, in the daemon's order.
    pub services: Vec<Service>,
}

impl ClientStatus {
    /// Reads a status line; `None` if it is none.
    ///
    /// A name of 31 bytes before a CPU text of 20 or more looks exactly like one of 30 before one of 21:
    /// who knows the name uses [`Self::parse_for`].
    pub fn parse(line: &str) -> Option<Self> {
        // The 31st byte belongs to the name only if the two other columns then fit exactly.
        Self::parse_at(line, NAME_WIDTH, true)
            .or_else(|| Self::parse_at(line, NAME_WIDTH + 1, true))
            .or_else(|| Self::parse_at(line, NAME_WIDTH, false))
    }

    /// Reads the status line of the client `name`; `None` if it is not its line.
    pub fn parse_for(name: &str, line: &str) -> Option<Self> {
        let shown = names::display_name(name);
        let status = Self::parse_at(line, shown.len().max(NAME_WIDTH), false)?;
        (status.display_name == shown).then_some(status)
    }

    /// Reads a line whose name column has `name_width` bytes. `fixed`: only if the CPU text keeps to its
    /// column as well.
    fn parse_at(line: &str, name_width: usize, fixed: bool) -> Option<Self> {
        let display_name = line.get(..name_width)?.trim_end_matches(' ');
        if display_name.is_empty() || (name_width > NAME_WIDTH && display_name.len() < name_width) {
            return None;
        }
        let rest = &line[name_width..];
        let last = if fixed { CPU_WIDTH } else { names::CPU_MAX };
        (CPU_WIDTH..=last).find_map(|width| {
            let cpu = rest.get(..width)?.trim_end_matches(' ');
            // Padding is only there up to the column's width.
            if width > CPU_WIDTH && cpu.len() < width {
                return None;
            }
            let (state, services) = parse_state(rest.get(width..)?)?;
            Some(Self {
                display_name: display_name.to_owned(),
                cpu: cpu.to_owned(),
                state,
                services: parse_services(services),
            })
        })
    }
}

impl fmt::Display for ClientStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        column(f, &self.display_name, NAME_WIDTH)?;
        column(f, &self.cpu, CPU_WIDTH)?;
        column(f, self.state.as_str(), STATE_WIDTH)?;
        for service in &self.services {
            match &service.device {
                Some(device) => write!(f, "{}({}) ", service.name, device.display())?,
                None => write!(f, "{} ", service.name)?,
            }
        }
        Ok(())
    }
}

/// A column is so many bytes wide, as C's `printf` counts, not characters.
fn column(f: &mut fmt::Formatter<'_>, text: &str, width: usize) -> fmt::Result {
    let padding = width.saturating_sub(text.len());
    write!(f, "{text}{:padding$}", "")
}

/// The heading that upstream's `mica status` prints, with the columns of a status line.
pub fn header() -> String {
    format!("{:<NAME_WIDTH$}{:<CPU_WIDTH$}{:<STATE_WIDTH$}{}", "Name", "Assigned CPU", "State", "Service")
}

/// A state word in its column of 20, and what follows; the padding may be missing at the end of the line.
fn parse_state(text: &str) -> Option<(ClientState, &str)> {
    ClientState::ALL.into_iter().find_map(|state| {
        let rest = text.strip_prefix(state.as_str())?;
        let padding = STATE_WIDTH - state.as_str().len();
        if rest.bytes().take(padding).all(|b| b == b' ') {
            return Some((state, rest.get(padding..).unwrap_or_default()));
        }
        None
    })
}

fn parse_services(text: &str) -> Vec<Service> {
    let one = |piece: &str| match piece.split_once('(') {
        None => Service { name: piece.to_owned(), device: None },
        // Upstream cuts long lines: a device without its parenthesis is not a usable path.
        Some((name, device)) => {
            Service { name: name.to_owned(), device: device.strip_suffix(')').map(PathBuf::from) }
        }
    };
    text.split_ascii_whitespace().map(one).collect()
}
