//! The events of the Task API.

use containerd_shim_protos::api::CreateTaskRequest;
use containerd_shim_protos::events::task::{
    TaskCheckpointed, TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskIO, TaskOOM,
    TaskPaused, TaskResumed, TaskStart,
};
use containerd_shim_protos::protobuf::MessageDyn;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::topics;

use super::exit::Exit;
use crate::oci::any;

/// An event of the Task API.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The task was created.
    Create(TaskCreate),
    /// Its process was started.
    Start(TaskStart),
    /// Its process was frozen.
    Paused(TaskPaused),
    /// Its process goes on.
    Resumed(TaskResumed),
    /// Its state was written down.
    Checkpointed(TaskCheckpointed),
    /// The kernel has killed it for want of memory.
    Oom(TaskOOM),
    /// A command for its shell was taken.
    ExecAdded(TaskExecAdded),
    /// The command was sent.
    ExecStarted(TaskExecStarted),
    /// Its process has ended.
    Exit(TaskExit),
    /// It was deleted.
    Delete(TaskDelete),
}

impl Event {
    /// A container was created; `pid` is its init process.
    pub(crate) fn create(request: &CreateTaskRequest, pid: u32) -> Self {
        let mut io = TaskIO::new();
        io.stdin.clone_from(&request.stdin);
        io.stdout.clone_from(&request.stdout);
        io.stderr.clone_from(&request.stderr);
        io.terminal = request.terminal;
        let mut event = TaskCreate::new();
        event.container_id.clone_from(&request.id);
        event.bundle.clone_from(&request.bundle);
        event.rootfs.clone_from(&request.rootfs);
        event.checkpoint.clone_from(&request.checkpoint);
        event.io = Some(io).into();
        event.pid = pid;
        Self::Create(event)
    }

    /// The state of a container was written to `path`.
    pub(crate) fn checkpointed(container: &str, path: &str) -> Self {
        let (container_id, checkpoint) = (container.to_owned(), path.to_owned());
        Self::Checkpointed(TaskCheckpointed { container_id, checkpoint, ..TaskCheckpointed::default() })
    }

    /// A container's init process runs.
    pub(crate) fn start(container: &str, pid: u32) -> Self {
        Self::Start(TaskStart { container_id: container.to_owned(), pid, ..TaskStart::default() })
    }

    /// A container is frozen.
    pub(crate) fn paused(container: &str) -> Self {
        Self::Paused(TaskPaused { container_id: container.to_owned(), ..TaskPaused::default() })
    }

    /// A frozen container goes on.
    pub(crate) fn resumed(container: &str) -> Self {
        Self::Resumed(TaskResumed { container_id: container.to_owned(), ..TaskResumed::default() })
    }

    /// The kernel has killed a process of a container for want of memory.
    pub(crate) fn oom(container: &str) -> Self {
        Self::Oom(TaskOOM { container_id: container.to_owned(), ..TaskOOM::default() })
    }

    /// A further process is known.
    pub(crate) fn exec_added(container: &str, id: &str) -> Self {
        let (container_id, exec_id) = (container.to_owned(), id.to_owned());
        Self::ExecAdded(TaskExecAdded { container_id, exec_id, ..TaskExecAdded::default() })
    }

    /// A further process runs.
    pub(crate) fn exec_started(container: &str, id: &str, pid: u32) -> Self {
        let (container_id, exec_id) = (container.to_owned(), id.to_owned());
        Self::ExecStarted(TaskExecStarted { container_id, exec_id, pid, ..TaskExecStarted::default() })
    }

    /// The end of a process, `id` being the container's for its own one.
    pub(crate) fn exit(container: &str, id: &str, pid: u32, exit: &Exit) -> Self {
        let mut event = TaskExit::new();
        container.clone_into(&mut event.container_id);
        id.clone_into(&mut event.id);
        event.pid = pid;
        event.exit_status = exit.status;
        event.exited_at = Some(Timestamp::from(exit.at)).into();
        Self::Exit(event)
    }

    /// A container that is forgotten.
    pub(crate) fn delete(container: &str, pid: u32, exit: &Exit) -> Self {
        let mut event = TaskDelete::new();
        container.clone_into(&mut event.container_id);
        event.pid = pid;
        event.exit_status = exit.status;
        event.exited_at = Some(Timestamp::from(exit.at)).into();
        Self::Delete(event)
    }

    /// containerd's topic for it.
    pub(crate) fn topic(&self) -> &'static str {
        match self {
            Self::Create(_) => topics::TASK_CREATE_EVENT_TOPIC,
            Self::Start(_) => topics::TASK_START_EVENT_TOPIC,
            Self::Paused(_) => topics::TASK_PAUSED_EVENT_TOPIC,
            Self::Resumed(_) => topics::TASK_RESUMED_EVENT_TOPIC,
            Self::Checkpointed(_) => topics::TASK_CHECKPOINTED_EVENT_TOPIC,
            Self::Oom(_) => topics::TASK_OOM_EVENT_TOPIC,
            Self::ExecAdded(_) => topics::TASK_EXEC_ADDED_EVENT_TOPIC,
            Self::ExecStarted(_) => topics::TASK_EXEC_STARTED_EVENT_TOPIC,
            Self::Exit(_) => topics::TASK_EXIT_EVENT_TOPIC,
            Self::Delete(_) => topics::TASK_DELETE_EVENT_TOPIC,
        }
    }

    fn message(&self) -> &dyn MessageDyn {
        match self {
            Self::Create(message) => message,
            Self::Start(message) => message,
            Self::Paused(message) => message,
            Self::Resumed(message) => message,
            Self::Checkpointed(message) => message,
            Self::Oom(message) => message,
            Self::ExecAdded(message) => message,
            Self::ExecStarted(message) => message,
            Self::Exit(message) => message,
            Self::Delete(message) => message,
        }
    }

    /// The message as containerd's events service takes it.
    pub(super) fn any(&self) -> Any {
        any::pack(self.message())
    }
}

/// Where the task service puts its events.
pub(crate) trait EventSink: Send + Sync {
    /// Takes an event; delivery happens later, in the order of these calls.
    fn publish(&self, event: Event);
}
