//! The Task service as a client sees it, v2 or v3: the messages are the same, only the package differs.

use std::time::Duration;

use containerd_shim_protos::api::{
    CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest, CreateTaskResponse, DeleteRequest,
    DeleteResponse, Empty, KillRequest, PauseRequest, PidsRequest, PidsResponse, ResizePtyRequest,
    ResumeRequest, ShutdownRequest, StartRequest, StartResponse, StateRequest, StateResponse, StatsRequest,
    StatsResponse, WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{self, Code};

/// Task v2: containerd 1.2 to 2.x.
pub const V2: &str = "containerd.task.v2.Task";
/// Task v3: containerd 2.0 and later.
pub const V3: &str = "containerd.task.v3.Task";
/// How long an answer may take: more than anything does on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(100);

/// A connection to a shim.
#[derive(Clone)]
pub struct Task {
    client: ttrpc::Client,
    service: &'static str,
    deadline: Duration,
}

impl Task {
    /// Connects and speaks Task v2.
    pub fn connect_to(address: &str) -> Self {
        let client = ttrpc::Client::connect(address)
            .unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
        Self { client, service: V2, deadline: DEADLINE }
    }

    /// The same connection, another service.
    #[must_use]
    pub fn speaking(&self, service: &'static str) -> Self {
        Self { service, ..self.clone() }
    }

    /// The same connection, less patient.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// Any request.
    pub fn call<R: Message>(&self, method: &str, request: &impl Message) -> ttrpc::Result<R> {
        self.call_with(method, request, &[])
    }

    /// Any request, with metadata.
    pub fn call_with<R: Message>(
        &self,
        method: &str,
        request: &impl Message,
        metadata: &[(&str, &str)],
    ) -> ttrpc::Result<R> {
        let mut raw = ttrpc::Request::new();
        self.service.clone_into(&mut raw.service);
        method.clone_into(&mut raw.method);
        raw.payload = request.write_to_bytes().expect("a request can be encoded");
        raw.timeout_nano = self.timeout();
        for (key, value) in metadata {
            let mut pair = ttrpc::proto::KeyValue::new();
            (*key).clone_into(&mut pair.key);
            (*value).clone_into(&mut pair.value);
            raw.metadata.push(pair);
        }
        let response = self.client.request(raw)?;
        Ok(R::parse_from_bytes(&response.payload).expect("the response is of the method's type"))
    }

    /// Any bytes as a request.
    pub fn send_bytes(&self, method: &str, payload: Vec<u8>) -> ttrpc::Result<()> {
        let mut raw = ttrpc::Request::new();
        self.service.clone_into(&mut raw.service);
        method.clone_into(&mut raw.method);
        raw.payload = payload;
        raw.timeout_nano = self.timeout();
        self.client.request(raw).map(drop)
    }

    fn timeout(&self) -> i64 {
        i64::try_from(self.deadline.as_nanos()).expect("deadlines are short")
    }

    /// Create.
    pub fn create(&self, request: &CreateTaskRequest) -> ttrpc::Result<CreateTaskResponse> {
        self.call("Create", request)
    }

    /// Start.
    pub fn start(&self, id: &str) -> ttrpc::Result<StartResponse> {
        self.call("Start", &StartRequest { id: id.into(), ..Default::default() })
    }

    /// State.
    pub fn state(&self, id: &str) -> ttrpc::Result<StateResponse> {
        self.call("State", &StateRequest { id: id.into(), ..Default::default() })
    }

    /// Wait.
    pub fn wait(&self, id: &str) -> ttrpc::Result<WaitResponse> {
        self.call("Wait", &WaitRequest { id: id.into(), ..Default::default() })
    }

    /// Kill.
    pub fn kill(&self, id: &str, signal: u32) -> ttrpc::Result<Empty> {
        self.call("Kill", &KillRequest { id: id.into(), signal, ..Default::default() })
    }

    /// Delete.
    pub fn delete(&self, id: &str) -> ttrpc::Result<DeleteResponse> {
        self.call("Delete", &DeleteRequest { id: id.into(), ..Default::default() })
    }

    /// Pids.
    pub fn pids(&self, id: &str) -> ttrpc::Result<PidsResponse> {
        self.call("Pids", &PidsRequest { id: id.into(), ..Default::default() })
    }

    /// Connect.
    pub fn connect(&self, id: &str) -> ttrpc::Result<ConnectResponse> {
        self.call("Connect", &ConnectRequest { id: id.into(), ..Default::default() })
    }

    /// Pause.
    pub fn pause(&self, id: &str) -> ttrpc::Result<Empty> {
        self.call("Pause", &PauseRequest { id: id.into(), ..Default::default() })
    }

    /// Resume.
    pub fn resume(&self, id: &str) -> ttrpc::Result<Empty> {
        self.call("Resume", &ResumeRequest { id: id.into(), ..Default::default() })
    }

    /// Stats.
    pub fn stats(&self, id: &str) -> ttrpc::Result<StatsResponse> {
        self.call("Stats", &StatsRequest { id: id.into(), ..Default::default() })
    }

    /// `CloseIO` of stdin.
    pub fn close_stdin(&self, id: &str) -> ttrpc::Result<Empty> {
        self.call("CloseIO", &CloseIORequest { id: id.into(), stdin: true, ..Default::default() })
    }

    /// `ResizePty`.
    pub fn resize(&self, id: &str, width: u32, height: u32) -> ttrpc::Result<Empty> {
        self.call("ResizePty", &ResizePtyRequest { id: id.into(), width, height, ..Default::default() })
    }

    /// Shutdown, as containerd sends it: not `now`.
    pub fn shutdown(&self, id: &str) -> ttrpc::Result<Empty> {
        self.call("Shutdown", &ShutdownRequest { id: id.into(), ..Default::default() })
    }
}

/// The status code of a refusal; panics on anything that is no answer of the shim.
#[track_caller]
pub fn code_of<T: std::fmt::Debug>(answer: &ttrpc::Result<T>) -> Code {
    match answer {
        Ok(_) => Code::OK,
        Err(ttrpc::Error::RpcStatus(status)) => status.code(),
        Err(error) => panic!("no answer: {error}"),
    }
}
