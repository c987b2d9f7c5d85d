//! containerd's events service (`containerd.services.events.ttrpc.v1.Events`), as a server that keeps what it
//! gets, and can go away and come back.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use containerd_shim_protos::api::{Empty, ForwardRequest};
use containerd_shim_protos::events::task::{
    TaskCreate, TaskDelete, TaskExit, TaskPaused, TaskResumed, TaskStart,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::{Events, create_events, ttrpc};
use micrun_host_tests::wait;

/// What containerd calls its topics.
pub mod topic {
    /// A task was created.
    pub const CREATE: &str = "/tasks/create";
    /// Its process was started.
    pub const START: &str = "/tasks/start";
    /// Its process was frozen.
    pub const PAUSED: &str = "/tasks/paused";
    /// Its process goes on.
    pub const RESUMED: &str = "/tasks/resumed";
    /// Its process has ended.
    pub const EXIT: &str = "/tasks/exit";
    /// It was deleted.
    pub const DELETE: &str = "/tasks/delete";
}

/// The events of a life, in the order that the README demands.
pub const LIFE: [&str; 4] = [topic::CREATE, topic::START, topic::EXIT, topic::DELETE];

/// An event as it came.
#[derive(Clone, Debug)]
pub struct Event {
    /// Everything.
    pub envelope: Envelope,
    /// The container it is about; empty when the event is none of the Task API's.
    pub container: String,
}

impl Event {
    fn new(envelope: Envelope) -> Self {
        macro_rules! container {
            ($($topic:pat => $message:ty),*) => {
                match envelope.topic.as_str() {
                    $($topic => <$message>::parse_from_bytes(&envelope.event.value)
                        .map(|event| event.container_id).unwrap_or_default(),)*
                    _ => String::new(),
                }
            };
        }
        let container = container! {
            topic::CREATE => TaskCreate, topic::START => TaskStart, topic::PAUSED => TaskPaused,
            topic::RESUMED => TaskResumed, topic::EXIT => TaskExit, topic::DELETE => TaskDelete
        };
        Self { envelope, container }
    }

    /// Its message.
    pub fn decode<M: Message>(&self) -> M {
        M::parse_from_bytes(&self.envelope.event.value).expect("the event is of its topic's type")
    }
}

#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<Event>>,
    /// While this is true, requests are taken and not answered.
    stuck: Mutex<bool>,
    released: Condvar,
}

impl Events for Recorder {
    fn forward(&self, _: &ttrpc::TtrpcContext, request: ForwardRequest) -> ttrpc::Result<Empty> {
        let stuck = self.stuck.lock().unwrap();
        drop(self.released.wait_while(stuck, |stuck| *stuck).unwrap());
        self.seen.lock().unwrap().push(Event::new(request.envelope.unwrap_or_default()));
        Ok(Empty::new())
    }
}

/// The server.
pub struct EventsServer {
    socket: PathBuf,
    recorder: Arc<Recorder>,
    server: Option<ttrpc::Server>,
}

impl EventsServer {
    /// Serves on a socket.
    pub fn start(socket: PathBuf) -> Self {
        let mut server = Self { socket, recorder: Arc::default(), server: None };
        server.come_back();
        server
    }

    /// Where it serves, as containerd writes it into `TTRPC_ADDRESS`.
    pub fn address(&self) -> String {
        self.socket.display().to_string()
    }

    /// Hangs up and leaves no socket, as a containerd that is stopped.
    pub fn vanish(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown();
        }
        // The server may have removed it.
        let _ = fs::remove_file(&self.socket);
    }

    /// Serves again at the same place.
    pub fn come_back(&mut self) {
        let service = create_events(self.recorder.clone());
        let mut server = ttrpc::Server::new()
            .bind(&format!("unix://{}", self.socket.display()))
            .expect("the events socket can be bound")
            .register_service(service);
        server.start().expect("the events server starts");
        self.server = Some(server);
    }

    /// Takes requests without an answer, or answers those it has taken.
    pub fn set_stuck(&self, stuck: bool) {
        *self.recorder.stuck.lock().unwrap() = stuck;
        self.recorder.released.notify_all();
    }

    /// What has come for a container.
    pub fn of(&self, id: &str) -> Vec<Event> {
        let seen = self.recorder.seen.lock().unwrap();
        seen.iter().filter(|event| event.container == id).cloned().collect()
    }

    /// The topics of what has come for a container.
    pub fn topics_of(&self, id: &str) -> Vec<String> {
        self.of(id).into_iter().map(|event| event.envelope.topic).collect()
    }

    /// Waits for the first event of a topic.
    #[track_caller]
    pub fn expect(&self, id: &str, topic: &str) -> Event {
        let found = wait::poll(|| self.of(id).into_iter().find(|event| event.envelope.topic == topic));
        found.unwrap_or_else(|| panic!("no {topic} of {id} came, but {:?}", self.topics_of(id)))
    }

    /// Waits for a whole life and asserts that it is in order and has nothing twice.
    #[track_caller]
    pub fn expect_life(&self, id: &str) {
        self.expect(id, topic::DELETE);
        assert_eq!(self.topics_of(id), LIFE, "the events of {id}");
    }
}
