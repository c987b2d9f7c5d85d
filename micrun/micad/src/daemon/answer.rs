//! What each request gets for an answer.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use libmica::command::Extras;
use libmica::ext::{EXTENSIONS, PROTOCOL, Pools, Stats, Version};
use libmica::{ClientStatus, Command, CreateMessage, Launch, Reply, names};

use super::Daemon;
use super::client::Client;
use super::connection::{Asked, Endpoint};
use super::request::{Action, Snapshot};
use crate::metrics::{Format, counts};
use crate::pedestal::{self, Runner, Usage};
use crate::{Error, Result, blocking};

impl Daemon {
    /// The reply to `request`.
    pub(super) async fn answer(self: &Arc<Self>, endpoint: &Endpoint, request: Asked) -> Reply {
        let command = command_name(endpoint, &request.bytes);
        let result = match endpoint {
            Endpoint::Create => self.answer_create(&request.bytes).await,
            Endpoint::Control(client) => self.answer_control(client, request).await,
        };
        match result {
            Ok(text) => {
                counts::DONE.count(command);
                Reply::success(text)
            }
            Err(e) => {
                counts::FAILED.count(command);
                let text = e.sentence();
                match endpoint {
                    Endpoint::Create => log::warn!("refused: {text}"),
                    Endpoint::Control(client) => {
                        let name = client.spec.name();
                        log::warn!(client = name, pedestal = client.pedestal; "{name}: refused: {text}");
                    }
                }
                Reply::failed(text)
            }
        }
    }

    async fn answer_create(self: &Arc<Self>, request: &[u8]) -> Result<String> {
        match Command::decode(request) {
            Ok(Command::List) => {
                let daemon = Arc::clone(self);
                Ok(json(&blocking::run(move || daemon.list()).await))
            }
            Ok(Command::Ps) => {
                let daemon = Arc::clone(self);
                Ok(json(&blocking::run(move || daemon.ps()).await))
            }
            Ok(Command::History) => {
                let endings = self.chronicle.endings.clone();
                Ok(json(&blocking::run(move || endings.all()).await?))
            }
            Ok(Command::Version) => Ok(json(&self.version())),
            Ok(Command::Metrics { plain }) => {
                Ok(self.metrics(if plain { Format::Plain } else { Format::OpenMetrics }).await)
            }
            _ => {
                let message = CreateMessage::from_slice(request)?;
                self.creating(|daemon| daemon.create(message)).await.map(|()| String::new())
            }
        }
    }

    async fn answer_control(self: &Arc<Self>, client: &Arc<Client>, request: Asked) -> Result<String> {
        let command = Command::decode(&request.bytes)?;
        let mut fds = request.fds.into_iter();
        let snapshot = client.snapshot();
        let action = match command {
            Command::Status => return Ok(status(client, &snapshot).to_string()),
            Command::Gdb => return gdb(client, snapshot),
            Command::Version => return Ok(json(&self.version())),
            Command::Stats => return Ok(json(&blocking::run(move || stats(&snapshot)).await)),
            Command::Wait => return Ok(json(&client.ended().await?)),
            Command::Diagnose { silent } => return Ok(json(&client.diagnose(silent).await?)),
            Command::Patch => {
                let firmware = fds.next().ok_or(Error::NoDescriptor("patch"))?;
                return Ok(json(&client.patch(firmware).await?));
            }
            Command::Remove => return self.remove(client).await.map(|()| String::new()),
            Command::Inspect => {
                let (daemon, client) = (Arc::clone(self), Arc::clone(client));
                return Ok(json(&blocking::run(move || daemon.inspect(&client)).await?));
            }
            Command::List | Command::Ps | Command::Events | Command::History | Command::Metrics { .. } => {
                let command = format!("{command} (send it to the daemon's own socket)");
                return Err(libmica::Error::UnknownCommand(command).into());
            }
            Command::Start(extras) => Action::Start(launch(None, extras, fds)?),
            Command::Restore(extras) => {
                let snapshot = fds.next().ok_or(Error::NoDescriptor("restore"))?;
                Action::Start(launch(Some(snapshot), extras, fds)?)
            }
            // The broker answers it ([`super::attach`]).
            Command::Attach(_) => return Err(libmica::Error::UnknownCommand(command.to_string()).into()),
            Command::Checkpoint => Action::Checkpoint(fds.next().ok_or(Error::NoDescriptor("checkpoint"))?),
            Command::Stop => Action::Stop,
            Command::Pause => Action::Pause,
            Command::Resume => Action::Resume,
            Command::Set { key, value } => Action::Set { key, value },
        };
        client.act(action).await.map(|()| String::new())
    }

    fn version(&self) -> Version {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let config = self.config.get();
        let shared = config.shared_cpus.as_ref().map(|pool| pool.cpus.to_string());
        Version {
            daemon: "micad".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            pedestals: owned(&pedestal::NAMES),
            extensions: owned(&EXTENSIONS),
            policy: Some(config.policy.to_wire()),
            pools: Some(Pools { shared, machines: self.pedestals.waiting() }),
        }
    }
}

/// What a request counts as.
fn command_name(endpoint: &Endpoint, request: &[u8]) -> &'static str {
    match (endpoint, Command::decode(request)) {
        (Endpoint::Create, Ok(command)) if command.is_for_daemon() => command.name(),
        (Endpoint::Create, _) => counts::CREATE,
        (Endpoint::Control(_), Ok(command)) => command.name(),
        (Endpoint::Control(_), Err(_)) => counts::INVALID,
    }
}

/// What a start is given: what the state was patched to, the firmware, if they come as descriptors, then the cgroups to
/// join.
fn launch(
    snapshot: Option<OwnedFd>,
    extras: Extras,
    mut fds: impl Iterator<Item = OwnedFd>,
) -> Result<Launch> {
    let patched =
        if extras.patched { Some(fds.next().ok_or(Error::NoDescriptor("restore patch"))?) } else { None };
    let firmware =
        if extras.firmware { Some(fds.next().ok_or(Error::NoDescriptor("firmware"))?) } else { None };
    Ok(Launch { snapshot, patched, firmware, cgroups: fds.collect(), oom_score: extras.oom_score })
}

fn status(client: &Client, snapshot: &Snapshot) -> ClientStatus {
    ClientStatus {
        display_name: names::display_name(client.spec.name()),
        cpu: client.spec.message.cpu.clone(),
        state: snapshot.state,
        // As upstream's: services are those of firmware that runs.
        services: snapshot.runner.map(|_| snapshot.services.clone()).unwrap_or_default(),
    }
}

fn stats(snapshot: &Snapshot) -> Stats {
    let usage = snapshot.runner.and_then(Runner::usage);
    let Usage { cpu_usec, memory_bytes, uptime_usec } = usage.unwrap_or_default();
    let pid = snapshot.runner.and_then(Runner::pid).unwrap_or_default();
    let (exit, silent) = (snapshot.exit().cloned(), snapshot.silent.clone());
    let patched = snapshot.patched.clone();
    Stats { state: snapshot.state, pid, cpu_usec, memory_bytes, uptime_usec, exit, silent, patched }
}

fn gdb(client: &Client, snapshot: Snapshot) -> Result<String> {
    let name = client.spec.name().to_owned();
    if !client.spec.message.debug {
        return Err(Error::NotForDebugging { name });
    }
    let runs = snapshot.runner.is_some();
    snapshot.gdb.ok_or(if runs {
        Error::NoDebugger { name }
    } else {
        Error::WrongState { command: "debug", name, state: snapshot.state }
    })
}

#[expect(clippy::expect_used, reason = "maps with text keys and plain fields always serialise")]
fn json<T: serde::Serialize>(document: &T) -> String {
    serde_json::to_string(document).expect("a document of plain fields")
}
