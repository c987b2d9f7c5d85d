//! The JSON documents that our daemon's extension commands answer before `MICA-SUCCESS`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::status::ClientState;

mod watch;

pub use watch::{
    Account, ClientHistory, ClientRow, ClientTable, End, Event, Happening, History, MAX_ENDS, Usage,
};

mod labels;

pub use labels::Labels;

mod scene;

pub use scene::{Scene, Site};

/// Version of these documents.
pub const PROTOCOL: u32 = 1;
/// The commands that upstream's daemon does not have. Our daemon names [`crate::trace::EXTENSION`] beside them, which is
/// none.
pub const EXTENSIONS: [&str; 17] = [
    "version",
    "list",
    "metrics",
    "pause",
    "resume",
    "stats",
    "wait",
    "diagnose",
    "checkpoint",
    "restore",
    "patch",
    "ps",
    "events",
    "history",
    "inspect",
    "attach",
    "about",
];
/// The name of the pool of CPUs that firmware without CPUs of its own shares.
pub const SHARED_POOL: &str = "shared";
/// Most descriptors that come with a command.
pub const MAX_DESCRIPTORS: usize = 16;

/// Answer to `version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Name of the daemon.
    pub daemon: String,
    /// Its version.
    pub version: String,
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The pedestals it can use.
    pub pedestals: Vec<String>,
    /// The extension commands it knows.
    pub extensions: Vec<String>,
    /// What it allows its clients. A daemon of an earlier version does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The pools of its host. A daemon of an earlier version does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<Pools>,
}

/// What a daemon allows every client. In lists, `*` stands for any text and `?` for any one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The configuration that says so.
    pub file: String,
    /// Pedestals.
    pub pedestals: Vec<String>,
    /// Remote processors, by name or id.
    pub remoteprocs: Vec<String>,
    /// QEMU machines, without options.
    pub machines: Vec<String>,
    /// QEMU CPU models.
    pub cpus: Vec<String>,
    /// The most memory in MiB; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory_mb: Option<u32>,
    /// The most virtual CPUs; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_vcpus: Option<u32>,
    /// The largest firmware in MiB; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_firmware_mb: Option<u32>,
}

/// The pools of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pools {
    /// The CPUs that all firmware without CPUs of its own shares, as `2-3`; absent if there is no such pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// The machines that wait for a firmware; absent if none ever does. A daemon of an earlier version does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<WaitingMachines>,
}

/// QEMU machines that were started ahead and wait for a firmware.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingMachines {
    /// How many wait.
    pub ready: usize,
    /// How many wait at most.
    pub most: usize,
    /// Memory in bytes that those that wait have to themselves.
    pub memory_bytes: u64,
    /// Starts that have found one since the daemon began.
    pub hits: u64,
    /// Starts that have not.
    pub misses: u64,
}

/// Answer to `list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientList {
    /// All clients, by name.
    pub clients: Vec<ClientEntry>,
}

/// One client of a [`ClientList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEntry {
    /// Full name.
    pub name: String,
    /// State.
    pub state: ClientState,
    /// Pedestal.
    pub pedestal: String,
    /// CPUs as given at creation; may be empty.
    pub cpu: String,
    /// The host's CPUs that the process of the running firmware may use, as the kernel has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// [`SHARED_POOL`] if it is to share its CPUs with all others there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Host process that runs the firmware, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Console, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<PathBuf>,
    /// How the last run ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitReport>,
    /// What the firmware of the present run was seen doing when it was reported as silent, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Diagnosis>,
    /// The digest of the firmware to which the present run was patched, as OCI writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched: Option<String>,
}

/// Answer to `stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// State.
    pub state: ClientState,
    /// Host process that runs the firmware; 0 if none does.
    pub pid: u32,
    /// CPU time in microseconds; 0 if Linux does not measure it.
    pub cpu_usec: u64,
    /// Memory in bytes; 0 if Linux does not measure it.
    pub memory_bytes: u64,
    /// Processes, with their threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Bytes read from block devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Whose numbers these are. A daemon of an earlier version does not tell: they are the process's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Account>,
    /// Time since the firmware's start in microseconds; 0 if it does not run.
    pub uptime_usec: u64,
    /// How the last run ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitReport>,
    /// What the firmware of the present run was seen doing when it was reported as silent, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Diagnosis>,
    /// The digest of the firmware to which the present run was patched, as OCI writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched: Option<String>,
}

/// What was changed in the memory of running firmware: answer to `patch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchReport {
    /// The digest of the firmware that memory is equal to now, as OCI writes it.
    pub firmware: String,
    /// How many ranges of memory were written.
    pub ranges: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How long the machine stood still, in microseconds; 0 if nothing was to be written.
    pub pause_usec: u64,
}

/// What firmware was seen doing: answer to `diagnose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// A sentence for people, without its subject's name.
    pub detail: String,
    /// When: RFC 3339, UTC, with nanoseconds.
    pub seen_at: String,
}

/// How a run ended: answer to `wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// Exit status, 0 to 255.
    pub status: u8,
    /// Why it ended.
    pub reason: ExitReason,
    /// A sentence for people.
    pub detail: String,
    /// When: RFC 3339, UTC, with nanoseconds.
    pub exited_at: String,
    /// The file with what was in memory and registers then, if there is one: an ELF core for gdb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<PathBuf>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitReason {
    /// The firmware powered the machine off; the status is its own, or 0 without an exit record.
    Exited,
    /// The firmware's exception handler ran; the status is 128 + a signal-like number.
    Fault,
    /// The firmware asked for a reset; status 1.
    Reset,
    /// The machine reported a panic.
    Panicked,
    /// A `stop` or `rm` ended it; status 0.
    Stopped,
    /// A signal that the daemon did not send killed its process; status 128 + signal.
    Killed,
    /// Its process ended with an error; status 1, the detail is its last words.
    Failed,
    /// A watchdog that the client was given has seen no life; status 137.
    Watchdog,
    /// A reason that a newer daemon knows.
    #[serde(other)]
    Unknown,
}

impl ExitReason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Exited,
        Self::Fault,
        Self::Reset,
        Self::Panicked,
        Self::Stopped,
        Self::Killed,
        Self::Failed,
        Self::Watchdog,
        Self::Unknown,
    ];

    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Fault => "fault",
            Self::Reset => "reset",
            Self::Panicked => "panicked",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Failed => "failed",
            Self::Watchdog => "watchdog",
            Self::Unknown => "unknown",
        }
    }
}
