//! A connection to containerd: requests in one namespace, under one lease.

use std::env;
use std::time::{Duration, SystemTime};

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::api::{Empty, leases};
use crate::error::{Error, Result};

const NAMESPACE: &str = "containerd-namespace";
const LEASE: &str = "containerd-lease";
/// How long containerd keeps what a program left behind that was killed.
const EXPIRES: Duration = Duration::from_secs(60 * 60);

/// Which containerd, and which of its namespaces.
#[derive(Clone, Debug)]
pub struct Place {
    /// The socket's path.
    pub address: String,
    /// The namespace.
    pub namespace: String,
}

impl Place {
    /// What is said, else what containerd's own clients take: `CONTAINERD_ADDRESS` and `CONTAINERD_NAMESPACE`, else their
    /// usual values.
    pub fn new(address: Option<&str>, namespace: Option<&str>) -> Self {
        let address = said(address, "CONTAINERD_ADDRESS", "/run/containerd/containerd.sock");
        let address = address.strip_prefix("unix://").unwrap_or(&address).to_owned();
        Self { address, namespace: said(namespace, "CONTAINERD_NAMESPACE", "default") }
    }
}

fn said(option: Option<&str>, variable: &str, usual: &str) -> String {
    let variable = || env::var(variable).ok().filter(|it| !it.is_empty());
    option.map(str::to_owned).or_else(variable).unwrap_or_else(|| usual.to_owned())
}

/// A connection.
pub struct Client {
    channel: Channel,
    namespace: MetadataValue<Ascii>,
    /// What holds the new content until an image does.
    lease: Option<MetadataValue<Ascii>>,
}

impl Client {
    /// Connects; somebody has to listen.
    pub async fn connect(place: &Place) -> Result<Self> {
        let Place { address, namespace } = place.clone();
        let unreachable = |source| Error::Unreachable { address: address.clone(), source };
        let endpoint = Endpoint::from_shared(format!("unix://{address}")).map_err(unreachable)?;
        let channel = endpoint.connect().await.map_err(unreachable)?;
        let namespace = namespace.parse().map_err(|_| Error::Namespace { namespace })?;
        Ok(Self { channel, namespace, lease: None })
    }

    /// Begins a lease: containerd removes nothing of what is written from now on. What a lease of that name still holds,
    /// which a power cut has left, is removed.
    pub async fn lease(&mut self, id: &str) -> Result<()> {
        let refused = |status| Error::refused("begin a lease", &status);
        match self.create_lease(id).await {
            Err(status) if is_there(&status) => {
                self.release(id, true).await?;
                self.create_lease(id).await.map_err(refused)?;
            }
            created => created.map_err(refused)?,
        }
        self.lease = id.parse().ok();
        Ok(())
    }

    async fn create_lease(&self, id: &str) -> Result<(), Status> {
        let expires = humantime::format_rfc3339_seconds(SystemTime::now() + EXPIRES).to_string();
        let labels = [("containerd.io/gc.expire".to_owned(), expires)].into();
        let request = leases::CreateRequest { id: id.to_owned(), labels };
        self.call::<_, Empty>(leases::CREATE, request).await.map(|_| ())
    }

    /// Ends the lease. With `sync`, what nothing else holds is gone before this returns.
    pub async fn release(&mut self, id: &str, sync: bool) -> Result<()> {
        self.lease = None;
        let request = leases::DeleteRequest { id: id.to_owned(), sync };
        self.ask::<_, Empty>(leases::DELETE, request, "end the lease").await.map(|_| ())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(NAMESPACE, self.namespace.clone());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert(LEASE, lease.clone());
        }
        request
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }

    /// One question and its answer.
    pub async fn call<A, B>(&self, method: &'static str, message: A) -> Result<B, Status>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        let codec = ProstCodec::<A, B>::default();
        let method = PathAndQuery::from_static(method);
        Ok(self.ready().await?.unary(self.request(message), method, codec).await?.into_inner())
    }

    /// The same; `what` containerd was asked to do, if it does not.
    pub async fn ask<A, B>(&self, method: &'static str, message: A, what: impl Into<String>) -> Result<B>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        self.call(method, message).await.map_err(|status| Error::refused(what, &status))
    }

    /// The same, about something that may not be there.
    pub async fn ask_of<A, B>(
        &self,
        method: &'static str,
        message: A,
        what: impl Into<String>,
    ) -> Result<Option<B>>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        match self.ask(method, message, what).await {
            Err(error) if error.is_missing() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// One question and many answers.
    pub(crate) async fn answers<A, B>(&self, method: &'static str, message: A) -> Result<Streaming<B>, Status>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        let codec = ProstCodec::<A, B>::default();
        let method = PathAndQuery::from_static(method);
        Ok(self.ready().await?.server_streaming(self.request(message), method, codec).await?.into_inner())
    }

    /// A talk, which begins with a first question. The answers come in the order of the questions.
    pub(crate) async fn talk<A, B>(&self, method: &'static str, first: A) -> Result<Talk<A, B>, Status>
    where
        A: Message + 'static,
        B: Message + Default + 'static,
    {
        let (questions, receiver) = mpsc::channel(1);
        let closed = |_| Status::cancelled("the connection is closed");
        questions.send(first).await.map_err(closed)?;
        let codec = ProstCodec::<A, B>::default();
        let method = PathAndQuery::from_static(method);
        let request = self.request(ReceiverStream::new(receiver));
        let answers = self.ready().await?.streaming(request, method, codec).await?.into_inner();
        Ok(Talk { questions, answers })
    }
}

/// Questions and answers in turn.
pub(crate) struct Talk<A, B> {
    questions: mpsc::Sender<A>,
    answers: Streaming<B>,
}

impl<A, B: Message> Talk<A, B> {
    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Result<B, Status> {
        self.answers.message().await?.ok_or_else(|| Status::cancelled("containerd has ended the connection"))
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, question: A) -> Result<B, Status> {
        // If nobody takes it, the answers say why.
        let _ = self.questions.send(question).await;
        self.answer().await
    }
}

/// Whether containerd says that something is there already.
pub fn is_there(status: &Status) -> bool {
    status.code() == Code::AlreadyExists
}
