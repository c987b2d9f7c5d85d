//! Task events on their way to containerd: one queue, in order, bounded, patient.
//!
//! containerd may be away for a while (it is restarted under running containers), and an event that overtakes
//! another breaks its state (threads containerd#3177, #4769; rust-extensions' publisher requeues each failed
//! event on its own and loses the order).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::events::task::{
    TaskCheckpointed, TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskOOM, TaskPaused,
    TaskResumed, TaskStart,
};
use containerd_shim_protos::protobuf::MessageDyn;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::{topics, ttrpc};
use tokio::sync::Notify;

use crate::task::state::Exit;

/// How many undelivered events are kept: a pod's shim makes four per container.
const CAPACITY: usize = 2048;
/// First and longest pause between attempts while containerd is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

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
    /// A container's own process runs.
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

    /// Packs the message the way containerd's typeurl package expects: the bare name, no host in front.
    fn any(&self) -> Any {
        let message = self.message();
        let mut any = Any::new();
        message.descriptor_dyn().full_name().clone_into(&mut any.type_url);
        any.value = message.write_to_bytes_dyn().unwrap_or_default();
        any
    }
}

/// Where the task service puts its events.
pub(crate) trait EventSink: Send + Sync {
    /// Takes an event; delivery happens later, in the order of these calls.
    fn publish(&self, event: Event);
}

/// What carries one event to containerd.
#[async_trait]
pub(crate) trait Courier: Send {
    /// Delivers an envelope, or says why not.
    async fn deliver(&mut self, envelope: Envelope) -> Result<(), ttrpc::Error>;
}

/// The queue between the task service and containerd.
pub(crate) struct Queue {
    namespace: String,
    waiting: Mutex<VecDeque<(SystemTime, Event)>>,
    dropped: AtomicU64,
    arrived: Notify,
    delivered: Notify,
}

impl Queue {
    /// An empty queue for events of a containerd namespace.
    pub(crate) fn new(namespace: &str) -> Arc<Self> {
        Arc::new(Self {
            namespace: namespace.to_owned(),
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
            arrived: Notify::new(),
            delivered: Notify::new(),
        })
    }

    /// Delivers events for ever, oldest first; the next is touched only when the one before is with containerd.
    pub(crate) async fn run(&self, mut courier: impl Courier) {
        loop {
            let Some((at, event)) = self.front() else {
                self.arrived.notified().await;
                continue;
            };
            self.deliver(&mut courier, at, &event).await;
            self.lock().pop_front();
            self.delivered.notify_waiters();
        }
    }

    /// Waits until everything has been delivered, at most `limit`.
    pub(crate) async fn flush(&self, limit: Duration) {
        let empty = async {
            loop {
                let delivered = self.delivered.notified();
                if self.lock().is_empty() {
                    return;
                }
                delivered.await;
            }
        };
        if tokio::time::timeout(limit, empty).await.is_err() {
            log::error!("{} events are lost: containerd did not take them in {limit:?}", self.lock().len());
        }
    }

    async fn deliver(&self, courier: &mut impl Courier, at: SystemTime, event: &Event) {
        let mut pause = BACKOFF.0;
        loop {
            match courier.deliver(self.envelope(at, event)).await {
                Ok(()) => return,
                Err(ttrpc::Error::RpcStatus(status)) if status.code() != ttrpc::Code::UNAVAILABLE => {
                    log::error!("containerd refuses event {}: {}", event.topic(), status.message());
                    return;
                }
                Err(error) => log::debug!("event {} waits for containerd: {error}", event.topic()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    fn envelope(&self, at: SystemTime, event: &Event) -> Envelope {
        let mut envelope = Envelope::new();
        envelope.timestamp = Some(Timestamp::from(at)).into();
        envelope.namespace.clone_from(&self.namespace);
        event.topic().clone_into(&mut envelope.topic);
        envelope.event = Some(event.any()).into();
        envelope
    }

    fn front(&self) -> Option<(SystemTime, Event)> {
        self.lock().front().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(SystemTime, Event)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Queue {
    fn publish(&self, event: Event) {
        let mut waiting = self.lock();
        let dispensable = (waiting.len() >= CAPACITY).then(|| dispensable(&waiting));
        if let Some((_, lost)) = dispensable.and_then(|at| waiting.remove(at)) {
            let count = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            log::error!(
                "event {} is lost, {count} so far: {CAPACITY} events wait for containerd",
                lost.topic()
            );
        }
        waiting.push_back((SystemTime::now(), event));
        drop(waiting);
        self.arrived.notify_one();
    }
}

/// Which event to do without: the oldest that is no exit, as a lost exit is a container that never ends. Not
/// the front, which may be on its way this moment.
fn dispensable(waiting: &VecDeque<(SystemTime, Event)>) -> usize {
    let oldest = waiting.iter().skip(1).position(|(_, event)| !matches!(event, Event::Exit(_)));
    1 + oldest.unwrap_or(0)
}

/// containerd's own events service over ttrpc, connected when it is first needed and again after it was away.
pub(crate) struct Containerd {
    address: String,
    client: Option<EventsClient>,
}

impl Containerd {
    /// `address` is what containerd passes as `TTRPC_ADDRESS`: a path, or `unix://` and a path.
    pub(crate) fn new(address: &str) -> Self {
        let address = if address.contains("://") { address.to_owned() } else { format!("unix://{address}") };
        Self { address, client: None }
    }
}

#[async_trait]
impl Courier for Containerd {
    async fn deliver(&mut self, envelope: Envelope) -> Result<(), ttrpc::Error> {
        let client = match self.client.take() {
            Some(client) => client,
            None => EventsClient::new(Client::connect(&self.address).await?),
        };
        let mut request = ForwardRequest::new();
        request.envelope = Some(envelope).into();
        // No deadline: an event sent again because its answer came late would be there twice. A containerd that
        // dies hangs up.
        let result = client.forward(ttrpc::context::Context::default(), &request).await;
        if matches!(result, Ok(_) | Err(ttrpc::Error::RpcStatus(_))) {
            self.client = Some(client);
        }
        result.map(|_| ())
    }
}
