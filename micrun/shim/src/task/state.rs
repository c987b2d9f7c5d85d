//! The life of a task as one enum. A move that is not listed here is an error.

use std::time::SystemTime;

use containerd_shim_protos::api::Status;

use crate::error::{Error, Result};

/// How and when a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Exit status as a shell would show it: 0-255, 128+signal after a signal.
    pub status: u32,
    /// When it ended.
    pub at: SystemTime,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The client is known to the daemon; nothing runs.
    Created,
    /// `start` has been sent to the daemon and not been answered.
    Starting,
    /// It was never started, and Delete is ending it: no start comes any more.
    Abandoned,
    /// The RTOS runs.
    Running,
    /// The RTOS is frozen.
    Paused,
    /// The RTOS has ended and its output has been delivered.
    Stopped(Exit),
    /// The client and its files are being removed.
    Deleting(Option<Exit>),
}

impl State {
    /// The name used in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped(_) => "stopped",
            Self::Abandoned | Self::Deleting(_) => "being deleted",
        }
    }

    /// The status as the Task API reports it.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Created | Self::Starting | Self::Abandoned => Status::CREATED,
            Self::Running => Status::RUNNING,
            Self::Paused => Status::PAUSED,
            Self::Stopped(_) | Self::Deleting(_) => Status::STOPPED,
        }
    }

    /// The exit, once there is one.
    pub(crate) fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Stopped(exit) => Some(exit),
            Self::Deleting(exit) => exit.as_ref(),
            _ => None,
        }
    }

    /// Created -> Starting.
    pub(crate) fn starting(&mut self, id: &str) -> Result<()> {
        match self {
            Self::Created => *self = Self::Starting,
            _ => return Err(self.refuse(id, "started")),
        }
        Ok(())
    }

    /// Starting -> Running, or back to Created when the daemon could not start it.
    pub(crate) fn started(&mut self, ok: bool) {
        if matches!(self, Self::Starting) {
            *self = if ok { Self::Running } else { Self::Created };
        }
    }

    /// Created -> Abandoned. False unless it was never started.
    #[must_use]
    pub(crate) fn abandoned(&mut self) -> bool {
        if matches!(self, Self::Created) {
            *self = Self::Abandoned;
        }
        matches!(self, Self::Abandoned)
    }

    /// Whether Pause may be tried; it is done only once the daemon has done it.
    pub(crate) fn check_pausable(&self, id: &str) -> Result<()> {
        if matches!(self, Self::Running) { Ok(()) } else { Err(self.refuse(id, "paused")) }
    }

    /// Whether Resume may be tried.
    pub(crate) fn check_resumable(&self, id: &str) -> Result<()> {
        if matches!(self, Self::Paused) { Ok(()) } else { Err(self.refuse(id, "resumed")) }
    }

    /// Whether there is a state to write down.
    pub(crate) fn check_checkpointable(&self, id: &str) -> Result<()> {
        let running = matches!(self, Self::Running | Self::Paused);
        if running { Ok(()) } else { Err(self.refuse(id, "checkpointed")) }
    }

    /// Whether limits can still have an effect.
    pub(crate) fn check_updatable(&self, id: &str) -> Result<()> {
        let over = matches!(self, Self::Stopped(_) | Self::Deleting(_));
        if over { Err(self.refuse(id, "updated")) } else { Ok(()) }
    }

    /// Whether a command can be sent to the firmware's shell.
    pub(crate) fn check_executable(&self, id: &str) -> Result<()> {
        if matches!(self, Self::Running) { Ok(()) } else { Err(self.refuse(id, "given a command")) }
    }

    /// Running -> Paused. False when the task has ended meanwhile.
    #[must_use]
    pub(crate) fn paused(&mut self) -> bool {
        self.exchange(&Self::Running, Self::Paused)
    }

    /// Paused -> Running. False when the task has ended meanwhile.
    #[must_use]
    pub(crate) fn resumed(&mut self) -> bool {
        self.exchange(&Self::Paused, Self::Running)
    }

    fn exchange(&mut self, from: &Self, to: Self) -> bool {
        let matched = self == from;
        if matched {
            *self = to;
        }
        matched
    }

    /// Created, Starting, Abandoned, Running or Paused -> Stopped. False when the task had already ended.
    #[must_use]
    pub(crate) fn stopped(&mut self, exit: Exit) -> bool {
        match self {
            Self::Created | Self::Starting | Self::Abandoned | Self::Running | Self::Paused => {
                *self = Self::Stopped(exit);
                true
            }
            Self::Stopped(_) | Self::Deleting(_) => false,
        }
    }

    /// Created, Abandoned or Stopped -> Deleting.
    pub(crate) fn deleting(&mut self, id: &str) -> Result<()> {
        match self {
            Self::Created | Self::Abandoned => *self = Self::Deleting(None),
            Self::Stopped(exit) => *self = Self::Deleting(Some(exit.clone())),
            _ => return Err(self.refuse(id, "deleted")),
        }
        Ok(())
    }

    /// The error for what this state does not allow.
    pub(crate) fn refuse(&self, id: &str, verb: &'static str) -> Error {
        Error::State { id: id.to_owned(), state: self.name(), verb }
    }
}
