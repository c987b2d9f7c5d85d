//! Connections: one request, one reply, close. Each has its own task, so that none waits for another.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use libmica::ext::MAX_DESCRIPTORS;
use libmica::{Command, Reply, command, create, trace};
use micrun_trace::Parent;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::{Daemon, attach};
use crate::metrics::counts;

/// How long a client may take to send its request.
const REQUEST_BOUND: Duration = Duration::from_secs(5);
/// How long the rest of a request may take after its beginning: clients send it in one write.
const REST_BOUND: Duration = Duration::from_millis(250);
/// How long a client may take to read the reply.
const REPLY_BOUND: Duration = Duration::from_secs(5);
/// Reads of 4096 bytes to spend on a peer that sends more than a request.
const MAX_DISCARDS: usize = 64;
/// Pause after a failed accept, most likely for want of descriptors.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Which socket a connection came by.
#[derive(Clone)]
pub(super) enum Endpoint {
    /// The daemon's own.
    Create,
    /// A client's.
    Control(Arc<Client>),
}

/// What a peer asks for: the bytes, and the descriptors that came with them.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
    /// For which trace.
    pub(super) context: Option<Parent>,
}

impl Asked {
    /// Takes the line off that says for which trace it is.
    fn new(bytes: &[u8], fds: Vec<OwnedFd>) -> Self {
        let (context, request) = trace::Context::split(bytes);
        let context = context.and_then(|it| Parent::read(&it.parent, Some(&it.state)));
        Self { bytes: request.to_owned(), fds, context }
    }
}

/// Serves the connections of `listener` until the task is aborted.
pub(super) async fn accept(listener: UnixListener, daemon: Arc<Daemon>, endpoint: Endpoint) {
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let (daemon, endpoint) = (Arc::clone(&daemon), endpoint.clone());
                tokio::spawn(async move {
                    if let Err(refusal) = daemon.attend(&mut stream, &endpoint).await {
                        send(&mut stream, &Reply::failed(refusal)).await;
                    }
                });
            }
            Err(e) => {
                log::warn!("cannot accept a connection: {e}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Daemon {
    /// Checks who is there, reads the request and answers it. The error is the sentence to refuse it with.
    async fn attend(self: &Arc<Self>, stream: &mut UnixStream, endpoint: &Endpoint) -> Result<(), String> {
        let uid = self.admit(stream)?;
        let Some(slot) = self.slots.take(uid) else {
            log::warn!("refused user {uid}, who has too many connections");
            counts::REFUSED.count(counts::TOO_MANY);
            return Err(format!("user {uid} has too many connections: close some first"));
        };
        let mut silence = slot.silence();
        let asked = tokio::select! {
            biased;
            asked = listen(stream, endpoint) => asked?,
            () = silence.pushed_out() => {
                counts::REFUSED.count(counts::PUSHED_OUT);
                return Err(format!("no request, and user {uid} has newer connections that wait for theirs"));
            }
        };
        drop(silence);
        if let Some(request) = asked {
            // Most of what a connection needs is for the answer: one that asks nothing costs none of it.
            Box::pin(self.serve(stream, endpoint, request)).await;
        }
        Ok(())
    }

    /// Checks who is there; gives the user.
    pub(super) fn admit(&self, stream: &UnixStream) -> Result<u32, String> {
        let uid = stream.peer_cred().map_err(|e| format!("cannot tell who asks: {e}"))?.uid();
        let own = nix::unistd::geteuid().as_raw();
        if uid != 0 && uid != own && !self.config.get().allowed_uids.contains(&uid) {
            log::warn!("refused user {uid}");
            counts::REFUSED.count(counts::NOT_ALLOWED);
            return Err(format!(
                "user {uid} may not use the mica daemon: ask as root, or add the user to AllowedUids in micad.conf"
            ));
        }
        Ok(uid)
    }

    async fn serve(self: &Arc<Self>, stream: &mut UnixStream, endpoint: &Endpoint, request: Asked) {
        if matches!(endpoint, Endpoint::Create)
            && matches!(Command::decode(&request.bytes), Ok(Command::Events))
        {
            // When it begins: a stream may last as long as the daemon.
            counts::DONE.count(Command::Events.name());
            return self.chronicle.events.stream_to(stream).await;
        }
        if let Endpoint::Control(client) = endpoint
            && let Ok(Command::Attach(attach)) = Command::decode(&request.bytes)
        {
            match attach::attach(client, stream, &attach) {
                // The broker answers.
                Ok(()) => return counts::DONE.count("attach"),
                Err(e) => {
                    counts::FAILED.count("attach");
                    return send(stream, &Reply::failed(e.sentence())).await;
                }
            }
        }
        let waits = request.bytes == b"wait";
        let reply = tokio::select! {
            reply = self.answer(endpoint, request) => reply,
            // Only `wait` takes long enough for that. Everything else is done, whether anyone still listens or not.
            () = gone(stream), if waits => return,
        };
        send(stream, &reply).await;
    }
}

/// Reads the request. `None` if the peer asked nothing; the error is the sentence to refuse it with.
async fn listen(stream: &mut UnixStream, endpoint: &Endpoint) -> Result<Option<Asked>, String> {
    let read = match endpoint {
        Endpoint::Create => timeout(REQUEST_BOUND, read_create(stream)).await,
        Endpoint::Control(_) => timeout(REQUEST_BOUND, read_control(stream)).await,
    };
    match read {
        Ok(Ok(request)) => Ok(Some(request)),
        Ok(Err(e)) => {
            log::debug!("a peer went away: {e}");
            Ok(None)
        }
        Err(_) => {
            counts::REFUSED.count(counts::SILENT);
            Err(format!("no request within {REQUEST_BOUND:?}"))
        }
    }
}

/// A create message, or the text of a command. Upstream takes one recv for the request; here what follows at
/// once belongs to it as well.
async fn read_create(stream: &mut UnixStream) -> io::Result<Asked> {
    let most = trace::MAX_LEN + create::SIZE + 1;
    let mut request = Vec::with_capacity(most);
    let mut limited = stream.take(most as u64);
    limited.read_buf(&mut request).await?;
    let is_text = |r: &[u8]| r.len() <= command::MAX_LEN && Command::decode(r).is_ok();
    let is_short = |request: &[u8]| {
        let (_, asked) = trace::Context::split(request);
        asked.len() < create::SIZE && !is_text(asked)
    };
    while !request.is_empty() && is_short(&request) {
        match timeout(REST_BOUND, limited.read_buf(&mut request)).await {
            Ok(Ok(n)) if n > 0 => {}
            Ok(Err(e)) => return Err(e),
            _ => break,
        }
    }
    let mut asked = Asked::new(&request, Vec::new());
    // One byte more than allowed tells that it is too long.
    asked.bytes.truncate(create::SIZE + 1);
    Ok(asked)
}

/// A command; one byte more than allowed tells that it is too long.
async fn read_control(stream: &mut UnixStream) -> io::Result<Asked> {
    let mut bytes = vec![0; trace::MAX_LEN + command::MAX_LEN + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = stream
        .async_io(Interest::READABLE, || {
            let mut buffer = [IoSliceMut::new(&mut bytes)];
            Ok(rustix::net::recvmsg(&*stream, &mut buffer, &mut control, RecvFlags::CMSG_CLOEXEC)?)
        })
        .await?;
    bytes.truncate(received.bytes);
    let fds = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    let mut asked = Asked::new(&bytes, fds);
    asked.bytes.truncate(command::MAX_LEN + 1);
    Ok(asked)
}

async fn send(stream: &mut UnixStream, reply: &Reply) {
    let bytes = reply.encode();
    let write = async {
        stream.write_all(&bytes).await?;
        discard(stream);
        stream.shutdown().await
    };
    match timeout(REPLY_BOUND, write).await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => log::debug!("a peer did not take its reply: {e}"),
        Err(_) => log::warn!("a peer did not read its reply within {REPLY_BOUND:?}"),
    }
}

/// Reads what the peer has sent beyond its request: closing with that unread would reset the connection, and
/// the peer's last read would fail although the reply is there.
fn discard(stream: &UnixStream) {
    let mut rest = [0; 4096];
    for _ in 0..MAX_DISCARDS {
        if !stream.try_read(&mut rest).is_ok_and(|n| n > 0) {
            return;
        }
    }
}

/// Returns once the peer has closed the connection. One that has only finished writing is still there.
pub(super) async fn gone(stream: &UnixStream) {
    let mut rest = [0; 64];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
    let mut hung_up = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let polled = nix::poll::poll(&mut hung_up, PollTimeout::ZERO);
    if polled.is_err() || !hung_up[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)) {
        std::future::pending::<()>().await;
    }
}
