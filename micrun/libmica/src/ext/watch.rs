//! The documents of those who watch clients: `ps`, `events` and `history`.

use serde::{Deserialize, Serialize};

use super::{ClientEntry, Diagnosis, ExitReport, PatchReport, Scene};

/// Most bytes of a console that are remembered of an end.
pub const MAX_LAST_WORDS: usize = 4096;

/// Most ends of a client that are remembered.
pub const MAX_ENDS: usize = 16;

/// Answer to `ps`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientTable {
    /// When it was read, in microseconds since the host was booted.
    pub at_usec: u64,
    /// All clients, by name.
    pub clients: Vec<ClientRow>,
}

/// One client of a [`ClientTable`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// What `list` says of it.
    #[serde(flatten)]
    pub client: ClientEntry,
    /// How often its firmware was started.
    pub starts: u64,
    /// What the present run uses, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What its streams have shown in the present run, or the last one. A daemon of an earlier version does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<Shown>,
}

/// What the streams of a client have shown in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Bytes.
    pub bytes: u64,
    /// Those of them that somebody who reads has missed.
    pub lost_bytes: u64,
}

/// What a run uses. Linux measures nothing of a core of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Time since the firmware's start in microseconds.
    pub uptime_usec: u64,
    /// CPU time in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_usec: Option<u64>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes, with their threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Bytes read from block devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Whose numbers these are.
    pub of: Account,
}

/// Who has counted what a run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Account {
    /// The cgroup that the start came with: these are the numbers of the container's metrics.
    Cgroup,
    /// The process: there is no such cgroup, or it does not count.
    #[default]
    Process,
    /// Nobody: the firmware has a core of its own.
    Core,
    /// Something that a newer daemon knows.
    #[serde(other)]
    Unknown,
}

/// One line of the stream that `events` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number: one more than that of the event before. A daemon begins with 1.
    pub seq: u64,
    /// When: RFC 3339, UTC, with nanoseconds.
    pub at: String,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Happening {
    /// The stream begins. Its number is that of the last event before it.
    Watching {
        /// When the daemon began, and its numbers with it.
        since: String,
    },
    /// A client was created.
    Created {
        /// Its name.
        client: String,
        /// Its pedestal.
        pedestal: String,
    },
    /// Its firmware runs.
    Started {
        /// The client.
        client: String,
        /// The host process that runs it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// How many starts that makes.
        starts: u64,
    },
    /// Its firmware stands still.
    Paused {
        /// The client.
        client: String,
    },
    /// It goes on.
    Resumed {
        /// The client.
        client: String,
    },
    /// Its memory is that of another firmware.
    Patched {
        /// The client.
        client: String,
        /// What was changed.
        patch: PatchReport,
    },
    /// It shows no sign of life.
    Silent {
        /// The client.
        client: String,
        /// What it was seen doing.
        diagnosis: Diagnosis,
    },
    /// It has ended.
    Exited {
        /// The client.
        client: String,
        /// How.
        exit: ExitReport,
    },
    /// It did not start, or could not be ended.
    Failed {
        /// The client.
        client: String,
        /// A sentence for people.
        detail: String,
    },
    /// A client was removed.
    Removed {
        /// Its name.
        client: String,
    },
    /// The reader was too slow. Its number is that of the last event that it has missed.
    Missed {
        /// How many.
        count: u64,
    },
    /// The daemon goes down, and firmware runs on. Nothing follows.
    Ending,
    /// Something that a newer daemon knows.
    #[serde(other)]
    Unknown,
}

impl Happening {
    /// The client to which it happened; `None` if it concerns all.
    pub fn client(&self) -> Option<&str> {
        match self {
            Self::Created { client, .. }
            | Self::Started { client, .. }
            | Self::Paused { client }
            | Self::Resumed { client }
            | Self::Patched { client, .. }
            | Self::Silent { client, .. }
            | Self::Exited { client, .. }
            | Self::Failed { client, .. }
            | Self::Removed { client } => Some(client),
            Self::Watching { .. } | Self::Missed { .. } | Self::Ending | Self::Unknown => None,
        }
    }
}

/// How a run ended, and when it began. More will be told of ends one day: readers ignore what they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When the firmware was started; absent if the daemon that knew is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
    /// How it ended.
    #[serde(flatten)]
    pub report: ExitReport,
    /// Where its processor was then, if anything could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
    /// The last that its console showed: at most [`MAX_LAST_WORDS`] bytes, of which those that are no text are replaced.
    /// Absent if it showed nothing, or is forgotten before the end itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
}

/// Answer to `history`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// The clients whose ends are remembered, also those that were removed; by name.
    pub clients: Vec<ClientHistory>,
}

/// One client of a [`History`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHistory {
    /// Its name.
    pub name: String,
    /// Its ends, the latest last: at most [`MAX_ENDS`].
    pub ends: Vec<End>,
}
