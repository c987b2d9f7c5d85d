//! What goes between a client and its task: requests one way, snapshots the other.

use std::os::fd::OwnedFd;
use std::time::Instant;

use libmica::ext::{Diagnosis, ExitReport, Labels, PatchReport};
use libmica::{ClientState, Launch, Service};
use micrun_trace::Current;
use tokio::sync::oneshot;

use crate::Result;
use crate::pedestal::{Door, Runner};

/// What is known of a client.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// State.
    pub(super) state: ClientState,
    /// What runs the firmware, while it runs.
    pub(super) runner: Option<Runner>,
    /// The terminals that can be read, also after the run.
    pub(super) services: Vec<Service>,
    /// The ways to the streams that can be attached to, also after the run.
    pub(super) doors: Vec<Door>,
    /// What its firmware was seen doing when it was reported as silent in this run.
    pub(super) silent: Option<Diagnosis>,
    /// The digest of the firmware that this run was patched to.
    pub(super) patched: Option<String>,
    /// The command line for gdb.
    pub(super) gdb: Option<String>,
    /// What runs the firmware, in words, if it is no process.
    pub(super) place: Option<String>,
    /// Number of the current or last run; 0 before the first. So many starts there were.
    pub(super) run: u64,
    /// When it began.
    pub(super) began_at: Option<String>,
    /// Whether it was given cgroups, which count what it uses.
    pub(super) in_cgroup: bool,
    /// The last run that has ended, and how.
    pub(super) ended: Option<(u64, ExitReport)>,
}

impl Snapshot {
    /// How the last run ended; `None` while one goes on, or before the first.
    pub(super) fn exit(&self) -> Option<&ExitReport> {
        self.ended_since(self.run)
    }

    /// How the run `number` ended, or the latest after it.
    pub(super) fn ended_since(&self, number: u64) -> Option<&ExitReport> {
        self.ended.as_ref().filter(|(run, _)| *run >= number).map(|(_, report)| report)
    }
}

/// Something to do for a client's task.
#[derive(Debug)]
pub(super) enum Action {
    Start(Launch),
    Stop,
    Pause,
    Resume,
    /// Say what the firmware is doing.
    Diagnose {
        /// Whether its console is read and nothing has come.
        silent: bool,
        answer: oneshot::Sender<Diagnosis>,
    },
    /// Write the machine's state there.
    Checkpoint(OwnedFd),
    /// Have the firmware's memory be that of another one.
    Patch {
        firmware: OwnedFd,
        answer: oneshot::Sender<PatchReport>,
    },
    /// Have the log say this of it.
    About(Labels),
    Set {
        key: String,
        value: String,
    },
    /// Stop and forget; the task ends.
    Remove,
    /// End the task and leave the firmware as it is.
    Detach,
}

/// An action, and where its result goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: Action,
    /// When.
    pub(super) asked: Instant,
    /// For which trace.
    pub(super) origin: Current,
    pub(super) answer: oneshot::Sender<Result<()>>,
}
