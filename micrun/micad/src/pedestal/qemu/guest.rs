//! A QEMU process and what the daemon does with it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use libmica::ext::{ExitReason, ExitReport};
use libmica::{ClientState, Service};
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};

use super::qmp::{Event, Qmp};
use super::{exit_record, migration};
use crate::pedestal::console::Console;
use crate::pedestal::process::{ExitKind, Process, ProcessId};
use crate::pedestal::{self, Ending, Guest, Runner, report};
use crate::{Error, Result};

/// How long QEMU may take for a command; it answers in microseconds unless the firmware waits for its console.
const COMMAND_BOUND: Duration = Duration::from_secs(2);
/// How long it may take to say what it has come to, and the pause before it is asked again.
const CONNECT_BOUND: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(1);
/// How long QEMU may take to quit before it is killed.
const QUIT_BOUND: Duration = Duration::from_secs(1);
/// How long the kernel may take to end a killed process.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// What a later daemon needs to take a QEMU over.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Saved {
    /// The process.
    pub(super) process: ProcessId,
    /// Its number for the console's master.
    pub(super) master: i32,
    /// Its number for the console's slave.
    pub(super) slave: i32,
    /// The same of the second console, if there is one.
    #[serde(default)]
    pub(super) shell: Option<(i32, i32)>,
    /// Guest-physical address of the exit record, if the firmware has one.
    pub(super) exit_record: Option<u64>,
    /// The command line for gdb, if the client was created for debugging.
    pub(super) gdb: Option<String>,
}

/// One QEMU.
#[derive(Debug)]
pub(super) struct QemuGuest {
    pub(super) process: Process,
    /// `None` while QEMU does not answer, or once it has said something senseless.
    pub(super) qmp: Option<Qmp>,
    /// Where to ask again.
    pub(super) socket: PathBuf,
    /// And when.
    pub(super) retry: Instant,
    /// `None` once given up.
    pub(super) console: Option<Console>,
    /// The machine's second console, if it was asked for.
    pub(super) shell: Option<Console>,
    pub(super) saved: Saved,
    pub(super) state: ClientState,
    /// File with QEMU's own words.
    pub(super) log: PathBuf,
}

impl QemuGuest {
    /// Runs a QMP command.
    pub(super) async fn command(
        &mut self,
        command: &'static str,
        arguments: serde_json::Value,
    ) -> Result<serde_json::Value> {
        self.qmp()?.execute(command, arguments, COMMAND_BOUND).await
    }

    /// Lets the machine run.
    pub(super) async fn run(&mut self) -> Result<()> {
        self.qmp()?.resume(COMMAND_BOUND).await
    }

    pub(super) fn qmp(&mut self) -> Result<&mut Qmp> {
        self.qmp.as_mut().ok_or_else(|| Error::Qmp("closed".to_owned()))
    }

    /// Ends QEMU: asks it first, then kills it. It is gone when this returns; gives how it ended.
    pub(super) async fn terminate(&mut self) -> Result<ExitKind> {
        let quit = match self.qmp.take() {
            Some(mut qmp) => {
                let asked = async {
                    // It may close the socket instead of answering; its end is the answer.
                    let _ = qmp.execute("quit", json!({}), QUIT_BOUND).await;
                    self.process.ended().await;
                };
                timeout(QUIT_BOUND, asked).await.is_ok()
            }
            None => false,
        };
        if !quit {
            self.process.kill();
            if !self.process.ended_within(KILL_BOUND).await {
                return Err(Error::Unkillable(self.process.id().pid));
            }
        }
        Ok(self.process.reap())
    }

    /// Connects to a QEMU that ran meanwhile; whether [`Self::state`] is another then.
    pub(super) async fn reconnect(&mut self) -> Result<bool> {
        self.retry = Instant::now() + RETRY;
        let connected = timeout(CONNECT_BOUND, connect(&self.socket)).await;
        self.qmp = Some(connected.map_err(|_| Error::QmpTimeout("qmp_capabilities"))??);
        Ok(self.update_state())
    }

    /// Takes [`Self::state`] from what QEMU has said; whether it is another than before.
    fn update_state(&mut self) -> bool {
        let stopped = self.qmp.as_ref().is_some_and(Qmp::machine_stopped);
        let state = if stopped { ClientState::Suspended } else { ClientState::Running };
        std::mem::replace(&mut self.state, state) != state
    }

    async fn read_exit_record(&mut self) -> Option<[u32; 4]> {
        let address = self.saved.exit_record?;
        let line = format!("xp /4xw {address:#x}");
        let answer = self.command("human-monitor-command", json!({"command-line": line})).await;
        match answer {
            Ok(text) => exit_record::parse_words(text.as_str()?),
            Err(e) => {
                log::warn!("cannot read the exit record at {address:#x}: {}", e.sentence());
                None
            }
        }
    }

    /// The report for a QEMU that ended although nobody told it to.
    pub(super) fn death(&self, kind: ExitKind) -> ExitReport {
        let words = self.last_words();
        match kind {
            ExitKind::Signal(signal) => {
                let detail = format!("signal {signal} killed QEMU; {words}");
                report(128_u8.saturating_add(signal), ExitReason::Killed, detail)
            }
            ExitKind::Code(code) => {
                let detail = format!("QEMU ended with status {code}; {words}");
                report(1, ExitReason::Failed, detail)
            }
            ExitKind::Unknown => {
                report(137, ExitReason::Killed, format!("QEMU was killed, nobody saw by what; {words}"))
            }
        }
    }

    /// What QEMU wrote to its log last.
    fn last_words(&self) -> String {
        const LINES: usize = 5;
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        match lines.as_slice() {
            [] => "it said nothing".to_owned(),
            lines => format!("it said: {}", lines[lines.len().saturating_sub(LINES)..].join("; ")),
        }
    }
}

/// Connects, and finds out what QEMU has come to while no daemon was connected. A reset looks like a power-off then.
async fn connect(socket: &Path) -> Result<Qmp> {
    let mut qmp = Qmp::connect(socket).await?;
    let answer = qmp.execute("query-status", json!({}), COMMAND_BOUND).await?;
    let (stopped, missed) = match answer.get("status").and_then(serde_json::Value::as_str) {
        // After a checkpoint of a machine that was frozen, or in the middle of one.
        Some("paused" | "postmigrate" | "finish-migrate") => (true, None),
        Some("shutdown") => (false, Some(Event::Shutdown("guest-shutdown".to_owned()))),
        Some("guest-panicked") => (false, Some(Event::Panicked)),
        _ => (false, None),
    };
    qmp.missed(stopped, missed);
    Ok(qmp)
}

fn ending_of(event: &Event) -> Option<Ending> {
    match event {
        Event::StoppedOrResumed => None,
        Event::Panicked => Some(Ending::Panicked),
        // Reasons are QAPI's ShutdownCause.
        Event::Shutdown(reason) => match reason.as_str() {
            "guest-shutdown" => Some(Ending::PoweredOff),
            "guest-reset" => Some(Ending::Reset),
            "guest-panic" => Some(Ending::Panicked),
            "host-signal" => Some(Ending::Signalled),
            _ => None,
        },
    }
}

#[async_trait]
impl Guest for QemuGuest {
    fn runner(&self) -> Runner {
        Runner::Process(self.process.id())
    }

    fn state(&self) -> ClientState {
        self.state
    }

    fn services(&self) -> Vec<Service> {
        let device = |console: &Console| Some(console.link().to_owned());
        let console = self.console.as_ref().and_then(device);
        let shell =
            self.shell.as_ref().map(|shell| Service { name: "rpmsg-tty1".to_owned(), device: device(shell) });
        std::iter::once(Service { name: "rpmsg-tty".to_owned(), device: console }).chain(shell).collect()
    }

    fn save(&self) -> serde_json::Value {
        json!(self.saved)
    }

    fn gdb(&self) -> Option<String> {
        self.saved.gdb.clone()
    }

    async fn event(&mut self) -> pedestal::Event {
        loop {
            let Some(qmp) = &mut self.qmp else {
                tokio::select! {
                    biased;
                    () = self.process.ended() => return pedestal::Event::Ended(Ending::Died),
                    () = sleep_until(self.retry) => {}
                }
                match self.reconnect().await {
                    Ok(true) => return pedestal::Event::StateChanged,
                    Ok(false) => {}
                    Err(e) => log::debug!("{}", e.sentence()),
                }
                continue;
            };
            let event = tokio::select! {
                biased;
                event = qmp.event() => event,
                () = self.process.ended() => return pedestal::Event::Ended(Ending::Died),
            };
            match event {
                Ok(event) => {
                    if let Some(ending) = ending_of(&event) {
                        return pedestal::Event::Ended(ending);
                    }
                    if self.update_state() {
                        return pedestal::Event::StateChanged;
                    }
                }
                Err(e) => {
                    log::debug!("{}", e.sentence());
                    self.qmp = None;
                    self.retry = Instant::now() + RETRY;
                }
            }
        }
    }

    async fn reap(&mut self, ending: Ending) -> Result<ExitReport> {
        let report = match ending {
            Ending::PoweredOff => exit_record::interpret(self.read_exit_record().await),
            Ending::Reset => report(1, ExitReason::Reset, "the firmware asked for a reset"),
            Ending::Panicked => report(1, ExitReason::Panicked, "the machine reported a panic"),
            Ending::Signalled => report(128 + 15, ExitReason::Killed, "a signal asked QEMU to end"),
            Ending::Died => {
                self.qmp = None;
                return Ok(self.death(self.process.reap()));
            }
        };
        self.terminate().await?;
        Ok(report)
    }

    async fn stop(&mut self) -> Result<ExitReport> {
        self.terminate().await?;
        Ok(report(0, ExitReason::Stopped, "stopped by command"))
    }

    async fn pause(&mut self) -> Result<()> {
        self.command("stop", json!({})).await?;
        self.update_state();
        Ok(())
    }

    async fn resume(&mut self) -> Result<()> {
        self.run().await?;
        self.update_state();
        Ok(())
    }

    async fn checkpoint(&mut self, to: OwnedFd) -> Result<()> {
        migration::save(self, to).await
    }

    fn release(&mut self) {
        for console in [self.console.take(), self.shell.take()].into_iter().flatten() {
            console.close();
        }
    }
}
