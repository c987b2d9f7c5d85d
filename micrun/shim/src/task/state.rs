//! The states of a task as one enum. A move that is not listed here is an error.

use containerd_shim_protos::api::Status;

use super::exit::Exit;
use super::subject::Subject;
use crate::error::{Error, Result};

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is made, and waits for Start.
    Created,
    /// Start is under way.
    Starting,
    /// It is being ended before it ever ran: no Start comes any more.
    Abandoned,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It has ended and its output has been delivered, or it could not be started.
    Stopped(Exit),
    /// Delete is under way.
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

    /// Whether no process of it will run any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Stopped(_) | Self::Deleting(_))
    }

    /// Created -> Starting.
    pub(super) fn starting(&mut self, subject: &Subject) -> Result<()> {
        match self {
            Self::Created => *self = Self::Starting,
            _ => return Err(self.refuse(subject, "started")),
        }
        Ok(())
    }

    /// Starting -> Running.
    pub(super) fn started(&mut self) {
        self.exchange(&Self::Starting, Self::Running);
    }

    /// Created -> Abandoned. False unless it never ran.
    pub(super) fn abandoned(&mut self) -> bool {
        self.exchange(&Self::Created, Self::Abandoned) || *self == Self::Abandoned
    }

    /// Running -> Paused. False when the task has ended meanwhile.
    pub(super) fn paused(&mut self) -> bool {
        self.exchange(&Self::Running, Self::Paused)
    }

    /// Paused -> Running. False when the task has ended meanwhile.
    pub(super) fn resumed(&mut self) -> bool {
        self.exchange(&Self::Paused, Self::Running)
    }

    /// Any but Stopped and Deleting -> Stopped. False when the task had already ended.
    pub(super) fn stopped(&mut self, exit: Exit) -> bool {
        let first = !self.is_over();
        if first {
            *self = Self::Stopped(exit);
        }
        first
    }

    /// Created, Abandoned or Stopped -> Deleting.
    pub(super) fn deleting(&mut self, subject: &Subject) -> Result<()> {
        match self {
            Self::Created | Self::Abandoned => *self = Self::Deleting(None),
            Self::Stopped(exit) => *self = Self::Deleting(Some(exit.clone())),
            _ => return Err(self.refuse(subject, "deleted")),
        }
        Ok(())
    }

    fn exchange(&mut self, from: &Self, to: Self) -> bool {
        let matched = self == from;
        if matched {
            *self = to;
        }
        matched
    }

    /// The error for what this state does not allow; `verb` is a participle.
    pub(super) fn refuse(&self, subject: &Subject, verb: &'static str) -> Error {
        Error::State { subject: subject.to_string(), state: self.name(), verb }
    }
}

/// What may be tried in a state that is not changed by it, or not before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Pause.
    Pause,
    /// Resume.
    Resume,
    /// Write the state down.
    Checkpoint,
    /// Change limits.
    Update,
    /// Give the firmware's shell a command.
    Command,
    /// Run another process beside the init process.
    Exec,
}

impl Attempt {
    /// Whether `state` allows it.
    pub(super) fn check(self, state: &State, subject: &Subject) -> Result<()> {
        let allowed = match self {
            Self::Pause | Self::Command => matches!(state, State::Running),
            Self::Resume => matches!(state, State::Paused),
            Self::Checkpoint => matches!(state, State::Running | State::Paused),
            Self::Update => !state.is_over(),
            Self::Exec => matches!(state, State::Created | State::Starting | State::Running),
        };
        if allowed { Ok(()) } else { Err(state.refuse(subject, self.participle())) }
    }

    fn participle(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Checkpoint => "checkpointed",
            Self::Update => "updated",
            Self::Command => "given a command",
            Self::Exec => "given another process",
        }
    }
}
