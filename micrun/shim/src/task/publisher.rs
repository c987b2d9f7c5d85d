//! The publisher of task events: one queue on the way to containerd, in order, bounded, patient.
//!
//! containerd may be away for a while (it is restarted under running containers), and an event that overtakes
//! another breaks its state (threads containerd#3177, #4769; rust-extensions' publisher requeues each failed
//! event on its own and loses the order).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::ttrpc;
use tokio::sync::Notify;

use super::events::{Event, EventSink};
use crate::os::lock::lock;

/// How many undelivered events are kept: a pod's shim makes four per container.
const CAPACITY: usize = 2048;
/// First and longest pause between attempts while containerd is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Delivers one event at a time to containerd.
#[async_trait]
pub(crate) trait Publisher: Send {
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
    pub(crate) async fn run(&self, mut publisher: impl Publisher) {
        loop {
            let Some((at, event)) = self.front() else {
                self.arrived.notified().await;
                // The answer to the rpc that made the event goes first: who asked waits for it, and on a busy machine
                // containerd's thread for events would take the processor before it is written.
                tokio::task::yield_now().await;
                continue;
            };
            self.deliver(&mut publisher, at, &event).await;
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
            log::error!(
                "{} events were lost: containerd did not accept them within {limit:?}",
                self.lock().len()
            );
        }
    }

    async fn deliver(&self, publisher: &mut impl Publisher, at: SystemTime, event: &Event) {
        let mut pause = BACKOFF.0;
        loop {
            match publisher.deliver(self.envelope(at, event)).await {
                Ok(()) => return,
                Err(ttrpc::Error::RpcStatus(status)) if status.code() != ttrpc::Code::UNAVAILABLE => {
                    log::error!("containerd refused event {}: {}", event.topic(), status.message());
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

    fn lock(&self) -> MutexGuard<'_, VecDeque<(SystemTime, Event)>> {
        lock(&self.waiting)
    }
}

impl EventSink for Queue {
    fn publish(&self, event: Event) {
        let mut waiting = self.lock();
        let dispensable = (waiting.len() >= CAPACITY).then(|| dispensable(&waiting));
        if let Some((_, lost)) = dispensable.and_then(|at| waiting.remove(at)) {
            let count = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            log::error!(
                "event {} was dropped, {count} so far: {CAPACITY} events wait for containerd",
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
impl Publisher for Containerd {
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
