//! The async client: one connection per command, each with its own time bound.

mod attach;
mod events;
mod exchange;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::attach::Attach;
use crate::command::{Command, Extras};
use crate::create::CreateMessage;
use crate::ext::{ClientList, ClientTable, Diagnosis, ExitReport, History, PatchReport, Stats, Version};
use crate::status::ClientStatus;
use crate::{Error, Result, names, trace};

pub use attach::{Attached, Output};
pub use events::Events;

/// How long a command may take, connection and reply included. `wait` has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Bound of `start`, which boots the firmware.
    pub start: Duration,
    /// Bound of `checkpoint`, `restore` and `patch`, which read or move the memory of a machine.
    pub transfer: Duration,
    /// Bound of every other command.
    pub other: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            transfer: Duration::from_secs(150),
            other: Duration::from_secs(5),
        }
    }
}

/// What a start is given beside the command. Upstream's daemon takes nothing of it.
#[derive(Debug, Default)]
pub struct Launch {
    /// Open `cgroup.procs` files: whoever runs the firmware as a process writes `0` to each of them first, so
    /// that it is in these cgroups from its first instruction. The daemon needs no right to them.
    pub cgroups: Vec<OwnedFd>,
    /// Where to read the state to go on from, if the machine is not to boot.
    pub snapshot: Option<OwnedFd>,
    /// The digest of the firmware that the snapshot's was patched to, in a sealed memory file.
    pub patched: Option<OwnedFd>,
    /// The firmware, in a sealed memory file: the daemon then makes no copy of the client's file. The bytes are
    /// accounted to whoever has written them.
    pub firmware: Option<OwnedFd>,
    /// How soon the kernel is to kill the firmware's process when memory runs out: 0 to 1000 (proc(5),
    /// `oom_score_adj`).
    pub oom_score: Option<u16>,
}

impl Launch {
    /// What is sent with the command, in the daemon's order.
    fn descriptors(&self, with_extras: bool) -> Vec<BorrowedFd<'_>> {
        let extras = self.patched.iter().chain(&self.firmware).filter(|_| with_extras);
        self.snapshot.iter().chain(extras).chain(&self.cgroups).map(AsFd::as_fd).collect()
    }
}

/// A client of the mica daemon whose sockets are in one directory.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
    timeouts: Timeouts,
    /// Says for which trace a request is.
    context: fn() -> Option<trace::Context>,
    /// Whether the daemon takes that, as its latest `version` said.
    takes_context: Arc<AtomicBool>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(names::RUNTIME_DIR)
    }
}

impl Client {
    /// A client of the daemon at `dir` (`/run/mica` is the usual one). Nothing is opened.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            timeouts: Timeouts::default(),
            context: || None,
            takes_context: Arc::default(),
        }
    }

    /// The same, which asks `context` for which trace each request is. It is told to a daemon whose [`Self::version`]
    /// names the extension.
    #[must_use]
    pub fn with_context(mut self, context: fn() -> Option<trace::Context>) -> Self {
        self.context = context;
        self
    }

    /// The same with other time bounds.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The directory of the daemon's sockets.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Creates a client. [`Error::AlreadyExists`] if the name is taken.
    pub async fn create(&self, message: &CreateMessage) -> Result<()> {
        let bytes = self.in_context(message.encode()?.to_vec());
        let socket = names::create_socket(&self.dir)?;
        let reply = exchange::exchange(&socket, "create", &bytes, &[], Some(self.timeouts.other)).await;
        match reply {
            Err(Error::Failed { text, .. }) if text.ends_with(" is already created") => {
                Err(Error::AlreadyExists { name: message.name.clone() })
            }
            other => other.map(drop),
        }
    }

    /// Boots the client's firmware.
    pub async fn start(&self, name: &str) -> Result<()> {
        self.launch(name, &Launch::default()).await
    }

    /// Boots the client's firmware, or with a snapshot lets it go on from there (an extension).
    pub async fn launch(&self, name: &str, launch: &Launch) -> Result<()> {
        let command = if launch.snapshot.is_some() { Command::Restore } else { Command::Start };
        let extras = Extras {
            firmware: launch.firmware.is_some(),
            patched: launch.patched.is_some(),
            oom_score: launch.oom_score,
        };
        match self.control_with(name, &command(extras), &launch.descriptors(true)).await {
            // Upstream's daemon, or an earlier one of ours, reads the firmware from the client's file.
            Err(Error::Unsupported { .. }) if extras != Extras::default() => self
                .control_with(name, &command(Extras::default()), &launch.descriptors(false))
                .await
                .map(drop),
            other => other.map(drop),
        }
    }

    /// Extension: writes the client's state to `to`, from which [`Self::launch`] can go on. A client that runs
    /// stands still meanwhile.
    pub async fn checkpoint(&self, name: &str, to: BorrowedFd<'_>) -> Result<()> {
        self.control_with(name, &Command::Checkpoint, &[to]).await.map(drop)
    }

    /// Extension: has the running firmware's memory be what `firmware` loads. It is an ELF in a sealed memory file.
    pub async fn patch(&self, name: &str, firmware: BorrowedFd<'_>) -> Result<PatchReport> {
        parse_json("patch", &self.control_with(name, &Command::Patch, &[firmware]).await?)
    }

    /// Extension: has the daemon's log say of the client what `labels`, in a sealed memory file, say of it.
    pub async fn about(&self, name: &str, labels: BorrowedFd<'_>) -> Result<()> {
        self.control_with(name, &Command::About, &[labels]).await.map(drop)
    }

    /// Stops the client's firmware.
    pub async fn stop(&self, name: &str) -> Result<()> {
        self.control(name, &Command::Stop).await.map(drop)
    }

    /// Stops the client and removes it.
    pub async fn remove(&self, name: &str) -> Result<()> {
        self.control(name, &Command::Remove).await.map(drop)
    }

    /// The client's status line, taken apart.
    pub async fn status(&self, name: &str) -> Result<ClientStatus> {
        let text = self.status_text(name).await?;
        ClientStatus::parse_for(name, &text).ok_or_else(|| {
            let problem = format!("not a status line of {name:?}: {text:?}");
            Error::MalformedReply { command: "status".to_owned(), problem }
        })
    }

    /// The client's status line as the daemon wrote it.
    pub async fn status_text(&self, name: &str) -> Result<String> {
        self.control(name, &Command::Status).await
    }

    /// Changes a resource of the client.
    pub async fn set(&self, name: &str, key: &str, value: &str) -> Result<()> {
        let command = Command::Set { key: key.to_owned(), value: value.to_owned() };
        self.control(name, &command).await.map(drop)
    }

    /// The command line that debugs the client with gdb.
    pub async fn gdb(&self, name: &str) -> Result<String> {
        self.control(name, &Command::Gdb).await
    }

    /// Extension: freezes the client.
    pub async fn pause(&self, name: &str) -> Result<()> {
        self.control(name, &Command::Pause).await.map(drop)
    }

    /// Extension: lets a frozen client go on.
    pub async fn resume(&self, name: &str) -> Result<()> {
        self.control(name, &Command::Resume).await.map(drop)
    }

    /// Extension: what the client has used.
    pub async fn stats(&self, name: &str) -> Result<Stats> {
        parse_json("stats", &self.control(name, &Command::Stats).await?)
    }

    /// Extension: what the client's firmware is doing. `silent` says that the caller reads its console and has heard
    /// nothing; the daemon then warns, and `stats` and `list` repeat it.
    pub async fn diagnose(&self, name: &str, silent: bool) -> Result<Diagnosis> {
        parse_json("diagnose", &self.control(name, &Command::Diagnose { silent }).await?)
    }

    /// Extension: how the client's current run ended, as soon as it has. Never times out.
    pub async fn wait(&self, name: &str) -> Result<ExitReport> {
        parse_json("wait", &self.control(name, &Command::Wait).await?)
    }

    /// Extension: what daemon this is. [`Error::Unsupported`] by upstream's.
    pub async fn version(&self) -> Result<Version> {
        let version = self.daemon(&Command::Version).await;
        let version = version.and_then(|text| parse_json::<Version>("version", &text));
        let takes =
            version.as_ref().is_ok_and(|it| it.extensions.iter().any(|known| known == trace::EXTENSION));
        self.takes_context.store(takes, Ordering::Relaxed);
        version
    }

    /// Extension: all clients. [`Error::Unsupported`] by upstream's daemon.
    pub async fn list(&self) -> Result<ClientList> {
        parse_json("list", &self.daemon(&Command::List).await?)
    }

    /// Extension: what the daemon counts and measures, as OpenMetrics text or, if `plain`, in Prometheus's older text
    /// format. [`Error::Unsupported`] by upstream's daemon.
    pub async fn metrics(&self, plain: bool) -> Result<String> {
        self.daemon(&Command::Metrics { plain }).await
    }

    /// Extension: all clients, with what they use. [`Error::Unsupported`] by upstream's daemon.
    pub async fn ps(&self) -> Result<ClientTable> {
        parse_json("ps", &self.daemon(&Command::Ps).await?)
    }

    /// Extension: how the latest runs of all clients ended, also of those that were removed.
    pub async fn history(&self) -> Result<History> {
        parse_json("history", &self.daemon(&Command::History).await?)
    }

    /// Extension: everything that the daemon knows of the client, as it tells it.
    pub async fn inspect(&self, name: &str) -> Result<serde_json::Value> {
        parse_json("inspect", &self.control(name, &Command::Inspect).await?)
    }

    /// Extension: what happens to clients from now on. An earlier daemon's refusal comes with the first line.
    pub async fn events(&self) -> Result<Events> {
        Events::open(&names::create_socket(&self.dir)?).await
    }

    /// Extension: be connected to a console of the client. [`Error::Unsupported`] by upstream's daemon.
    pub async fn attach(&self, name: &str, attach: &Attach) -> Result<Attached> {
        let socket = names::control_socket(&self.dir, name)?;
        let attached = tokio::time::timeout(self.timeouts.other, Attached::open(&socket, attach)).await;
        let after = self.timeouts.other;
        match attached.map_err(|_| Error::Timeout { command: "attach".to_owned(), after })? {
            Err(Error::DaemonNotRunning { .. }) if is_absent(&socket) && self.daemon_is_there() => {
                Err(Error::ClientNotFound { name: name.to_owned() })
            }
            other => other,
        }
    }

    async fn control(&self, name: &str, command: &Command) -> Result<String> {
        self.control_with(name, command, &[]).await
    }

    async fn control_with(&self, name: &str, command: &Command, fds: &[BorrowedFd<'_>]) -> Result<String> {
        let socket = names::control_socket(&self.dir, name)?;
        let bound = match command {
            Command::Start(_) => Some(self.timeouts.start),
            Command::Wait => None,
            Command::Checkpoint | Command::Restore(_) | Command::Patch => Some(self.timeouts.transfer),
            _ => Some(self.timeouts.other),
        };
        let (text, bytes) = (command.to_string(), command.encode()?);
        let request = self.in_context(bytes.clone());
        let mut reply = exchange::exchange(&socket, &text, &request, fds, bound).await;
        if request != bytes && matches!(&reply, Err(Error::Failed { text, .. }) if is_unknown(text)) {
            // Another daemon took the place of the one that was asked.
            self.takes_context.store(false, Ordering::Relaxed);
            reply = exchange::exchange(&socket, &text, &bytes, fds, bound).await;
        }
        match reply {
            // The daemon's own socket tells a missing client from a missing daemon.
            Err(Error::DaemonNotRunning { .. }) if is_absent(&socket) && self.daemon_is_there() => {
                Err(Error::ClientNotFound { name: name.to_owned() })
            }
            Err(Error::Failed { command, text }) if is_unknown(&text) => Err(Error::Unsupported { command }),
            other => other,
        }
    }

    async fn daemon(&self, command: &Command) -> Result<String> {
        let socket = names::create_socket(&self.dir)?;
        let name = command.to_string();
        let reply =
            exchange::exchange(&socket, &name, &command.encode()?, &[], Some(self.timeouts.other)).await;
        reply.map_err(|error| match error {
            Error::Failed { command, text } => exchange::refused(command, text),
            other => other,
        })
    }

    /// The request with the trace in front that it is for, if the daemon takes that.
    fn in_context(&self, request: Vec<u8>) -> Vec<u8> {
        match self.takes_context.load(Ordering::Relaxed).then(self.context).flatten() {
            Some(context) => [context.encode(), request].concat(),
            None => request,
        }
    }

    fn daemon_is_there(&self) -> bool {
        names::create_socket(&self.dir).is_ok_and(|socket| !is_absent(&socket))
    }
}

/// Whether a daemon refuses a command because it does not know it.
fn is_unknown(refusal: &str) -> bool {
    refusal.starts_with("Invalid command")
}

/// Whether it is known that there is no such socket.
fn is_absent(socket: &Path) -> bool {
    socket.try_exists().is_ok_and(|exists| !exists)
}

fn parse_json<T: serde::de::DeserializeOwned>(command: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::MalformedReply {
        command: command.to_owned(),
        problem: format!("not the expected JSON: {e}"),
    })
}
