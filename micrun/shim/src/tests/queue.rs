//! The event queue while containerd comes and goes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use containerd_shim_protos::api::{Empty, ForwardRequest};
use containerd_shim_protos::events::task::{TaskExit, TaskStart};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim_async::{Events, create_events};
use containerd_shim_protos::ttrpc;
use containerd_shim_protos::ttrpc::r#async::{Server, TtrpcContext};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::task::events::{Event, EventSink};
use crate::task::publisher::{Containerd, Publisher, Queue};

/// Delivers to the test; each entry of `failures` makes one delivery fail.
struct Fake {
    failures: VecDeque<ttrpc::Error>,
    delivered: UnboundedSender<Envelope>,
}

#[async_trait]
impl Publisher for Fake {
    async fn deliver(&mut self, envelope: Envelope) -> Result<(), ttrpc::Error> {
        if let Some(error) = self.failures.pop_front() {
            return Err(error);
        }
        self.delivered.send(envelope).map_err(|_| ttrpc::Error::LocalClosed)
    }
}

fn run(failures: Vec<ttrpc::Error>) -> (Arc<Queue>, UnboundedReceiver<Envelope>) {
    let (delivered, received) = unbounded_channel();
    let queue = Queue::new("ns");
    let runner = Arc::clone(&queue);
    let fake = Fake { failures: failures.into(), delivered };
    tokio::spawn(async move { runner.run(fake).await });
    (queue, received)
}

fn start(id: &str) -> Event {
    Event::start(id, 0)
}

#[tokio::test]
async fn order_is_kept_while_containerd_is_away() {
    let away = || ttrpc::Error::Socket("connection refused".into());
    let (queue, mut received) = run(vec![away(), away(), away()]);
    for n in 0..100 {
        queue.publish(start(&n.to_string()));
    }
    for n in 0..100 {
        let any = received.recv().await.unwrap().event.unwrap();
        assert_eq!(TaskStart::parse_from_bytes(&any.value).unwrap().container_id, n.to_string());
    }
    queue.flush(Duration::from_secs(100)).await;
    assert!(received.try_recv().is_err(), "nothing is delivered twice");
}

#[tokio::test]
async fn an_envelope_is_what_containerd_expects() {
    let (queue, mut received) = run(vec![]);
    let mut exit = TaskExit::new();
    exit.exit_status = 7;
    queue.publish(Event::Exit(exit));
    let envelope = received.recv().await.unwrap();
    assert_eq!((envelope.namespace.as_str(), envelope.topic.as_str()), ("ns", "/tasks/exit"));
    let any = envelope.event.unwrap();
    assert_eq!(any.type_url, "containerd.events.TaskExit");
    assert_eq!(TaskExit::parse_from_bytes(&any.value).unwrap().exit_status, 7);
}

#[tokio::test]
async fn a_refused_event_does_not_hold_up_the_next() {
    let refused = ttrpc::Error::RpcStatus(ttrpc::get_status(ttrpc::Code::INVALID_ARGUMENT, "no"));
    let (queue, mut received) = run(vec![refused]);
    queue.publish(start("refused"));
    queue.publish(start("taken"));
    let any = received.recv().await.unwrap().event.unwrap();
    assert_eq!(TaskStart::parse_from_bytes(&any.value).unwrap().container_id, "taken");
}

#[tokio::test]
async fn the_queue_is_bounded_and_keeps_the_newest() {
    let (delivered, mut received) = unbounded_channel();
    let queue = Queue::new("ns");
    for n in 0..5000 {
        queue.publish(start(&n.to_string()));
    }
    let runner = Arc::clone(&queue);
    tokio::spawn(async move { runner.run(Fake { failures: VecDeque::new(), delivered }).await });
    queue.flush(Duration::from_secs(100)).await;
    let mut ids = Vec::new();
    while let Ok(envelope) = received.try_recv() {
        let any = envelope.event.unwrap();
        ids.push(TaskStart::parse_from_bytes(&any.value).unwrap().container_id);
    }
    assert_eq!(ids.len(), 2048);
    assert_eq!((ids[0].as_str(), ids[2047].as_str()), ("0", "4999"));
}

/// A lost exit would be a container that never ends.
#[tokio::test]
async fn a_full_queue_does_without_anything_but_exits() {
    let (delivered, mut received) = unbounded_channel();
    let queue = Queue::new("ns");
    for n in 0..2048 {
        queue.publish(start("early"));
        if n % 2 == 0 {
            queue.publish(Event::Exit(TaskExit::new()));
        }
    }
    let runner = Arc::clone(&queue);
    tokio::spawn(async move { runner.run(Fake { failures: VecDeque::new(), delivered }).await });
    queue.flush(Duration::from_secs(100)).await;
    let topics: Vec<_> = std::iter::from_fn(|| received.try_recv().ok()).map(|e| e.topic).collect();
    assert_eq!(topics.len(), 2048);
    assert_eq!(topics.iter().filter(|topic| *topic == "/tasks/exit").count(), 1024);
}

/// containerd's events service, for as long as it runs.
struct Service(UnboundedSender<String>);

#[async_trait]
impl Events for Service {
    async fn forward(&self, _: &TtrpcContext, request: ForwardRequest) -> ttrpc::Result<Empty> {
        let any = request.envelope.unwrap().event.unwrap();
        self.0.send(TaskStart::parse_from_bytes(&any.value).unwrap().container_id).unwrap();
        Ok(Empty::new())
    }
}

async fn serve(address: &str, heard: &UnboundedSender<String>) -> Server {
    let service = create_events(Arc::new(Service(heard.clone())));
    let mut server = Server::new().bind(address).unwrap().register_service(service);
    server.start().await.unwrap();
    server
}

/// Over the wire: containerd comes late, is restarted and gets what happened meanwhile, in order, once.
#[tokio::test]
async fn a_restarted_containerd_gets_late_events_once() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("containerd.sock.ttrpc");
    let address = format!("unix://{}", socket.display());
    let (heard, mut received) = unbounded_channel();
    let queue = Queue::new("ns");
    let (runner, publisher) = (Arc::clone(&queue), Containerd::new(&address));
    tokio::spawn(async move { runner.run(publisher).await });
    let mut number = 0;
    for _ in 0..3 {
        // While nobody serves, then while somebody does.
        (0..50).for_each(|n| queue.publish(start(&(number + n).to_string())));
        let mut server = serve(&address, &heard).await;
        (50..100).for_each(|n| queue.publish(start(&(number + n).to_string())));
        for _ in 0..100 {
            assert_eq!(received.recv().await.unwrap(), number.to_string());
            number += 1;
        }
        queue.flush(Duration::from_secs(100)).await;
        server.shutdown().await.unwrap();
        std::fs::remove_file(&socket).unwrap();
    }
    assert!(received.try_recv().is_err());
}
