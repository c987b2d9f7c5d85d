//! What each request gets for an answer.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use libmica::command::Extras;
use libmica::ext::{EXTENSIONS, PROTOCOL, Pools, Stats, Version};
use libmica::{ClientStatus, Command, CreateMessage, Launch, Outcome, Reply, names, trace};
use micrun_trace::Span;

use super::client::Client;
use super::connection::{Asked, Endpoint};
use super::request::{Action, Snapshot};
use super::table::usage;
use super::{Daemon, state};
use crate::metrics::{Format, counts};
use crate::pedestal::{self, Runner};
use crate::{Error, Result, blocking};

impl Daemon {
    /// The reply to `request`. It is a span of the trace that it is for: what is for none begins none.
    pub(super) async fn answer(self: &Arc<Self>, endpoint: &Endpoint, request: Asked) -> Reply {
        let command = command_name(endpoint, &request.bytes);
        let Some(context) = &request.context else { return self.reply(endpoint, command, request).await };
        let span = Span::server(&format!("mica {command}"), Some(context));
        if let Endpoint::Control(client) = endpoint {
            span.note("micrun.client", client.spec.name());
            span.note("micrun.pedestal", client.pedestal);
        }
        let note = |span: &Span, reply: &Reply| {
            if reply.outcome == Outcome::Failed {
                span.fail(|| reply.text.clone());
            }
        };
        span.around_all(self.reply(endpoint, command, request), note).await
    }

    async fn reply(self: &Arc<Self>, endpoint: &Endpoint, command: &'static str, request: Asked) -> Reply {
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
                micrun_trace::note("micrun.client", message.name.as_str());
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
            Command::Stats => {
                let daemon = Arc::clone(self);
                return Ok(json(&blocking::run(move || daemon.stats(&snapshot)).await));
            }
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
            Command::About => {
                let labels = fds.next().ok_or(Error::NoDescriptor("about"))?;
                Action::About(state::labels(labels.into())?)
            }
            Command::Set { key, value } => Action::Set { key, value },
        };
        client.act(action).await.map(|()| String::new())
    }

    /// Blocks.
    fn stats(&self, snapshot: &Snapshot) -> Stats {
        let found = usage(snapshot, &self.hierarchies);
        let used = found.unwrap_or_default();
        Stats {
            state: snapshot.state,
            pid: snapshot.runner.and_then(Runner::pid).unwrap_or_default(),
            cpu_usec: used.cpu_usec.unwrap_or_default(),
            memory_bytes: used.memory_bytes.unwrap_or_default(),
            processes: used.processes,
            read_bytes: used.read_bytes,
            written_bytes: used.written_bytes,
            of: found.map(|usage| usage.of),
            uptime_usec: used.uptime_usec,
            exit: snapshot.exit().cloned(),
            silent: snapshot.silent.clone(),
            patched: snapshot.patched.clone(),
        }
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
            extensions: owned(&[&EXTENSIONS[..], &[trace::EXTENSION]].concat()),
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
