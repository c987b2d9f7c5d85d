//! A QEMU process and the conversation with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libmica::ClientState;
use libmica::ext::{ExitReason, ExitReport};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use super::ending::ending_of;
use super::postmortem::last_registers;
use super::qmp::{Event, Qmp};
use crate::pedestal::process::{ExitKind, Process};
use crate::pedestal::{self, Ending, KILLED, report};
use crate::{Error, Result, blocking};

/// The same on every processor that QEMU runs on as a host, except MIPS (signal(7)).
const SIGABRT: u8 = 6;
const SIGSYS: u8 = 31;

/// How long QEMU may take for a command; it answers in microseconds unless the firmware waits for its console.
const COMMAND_BOUND: Duration = Duration::from_secs(2);
/// How long it may take to say what it has come to, and the pause before it is asked again.
const CONNECT_BOUND: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(1);
/// How long QEMU may take to quit before it is killed.
const QUIT_BOUND: Duration = Duration::from_secs(1);
/// How long the kernel may take to end a killed process.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// One QEMU process.
#[derive(Debug)]
pub(super) struct Emulator {
    process: Process,
    /// `None` while QEMU does not answer, or once it has said something senseless.
    qmp: Option<Qmp>,
    /// Where to ask again.
    socket: PathBuf,
    /// And when.
    retry: Instant,
    state: ClientState,
    /// File with QEMU's own words.
    log: PathBuf,
}

impl Emulator {
    /// A process that nobody has spoken to yet.
    pub(super) fn new(process: Process, socket: PathBuf, log: PathBuf) -> Self {
        Self { process, qmp: None, socket, retry: Instant::now(), state: ClientState::Running, log }
    }

    /// The process.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Whether its machine runs, as far as QEMU has said.
    pub(super) fn state(&self) -> ClientState {
        self.state
    }

    /// Where it listens for QMP.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its socket and its log are in another place now.
    pub(super) fn moved(&mut self, socket: PathBuf, log: PathBuf) {
        (self.socket, self.log) = (socket, log);
    }

    /// The connection; an error while there is none.
    pub(super) fn qmp(&mut self) -> Result<&mut Qmp> {
        self.qmp.as_mut().ok_or_else(|| Error::Qmp("closed".to_owned()))
    }

    /// Talks over this connection from now on.
    pub(super) fn set_qmp(&mut self, qmp: Qmp) {
        self.qmp = Some(qmp);
    }

    /// Runs a QMP command.
    pub(super) async fn command(&mut self, command: &'static str, arguments: Value) -> Result<Value> {
        self.qmp()?.execute(command, arguments, COMMAND_BOUND).await
    }

    /// Lets the machine run for the first time.
    pub(super) async fn run(&mut self) -> Result<()> {
        self.qmp()?.resume(COMMAND_BOUND).await
    }

    /// Freezes the machine.
    pub(super) async fn pause(&mut self) -> Result<()> {
        self.command("stop", json!({})).await?;
        self.update_state();
        Ok(())
    }

    /// Lets the frozen machine go on.
    pub(super) async fn resume(&mut self) -> Result<()> {
        self.run().await?;
        self.update_state();
        Ok(())
    }

    /// Waits until something happens to the machine that nobody asked for. May be cancelled and called again.
    pub(super) async fn event(&mut self) -> pedestal::Event {
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
            // QEMU's end closes the connection; until then nothing else need be watched.
            match qmp.event().await {
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

    /// Reaps the process, which has ended by itself.
    pub(super) fn reap(&mut self) -> ExitKind {
        self.qmp = None;
        self.process.reap()
    }

    /// The registers that QEMU wrote into its log when it gave a processor up and ended.
    pub(super) async fn last_registers(&self) -> Option<String> {
        let log = self.log.clone();
        let said = blocking::run(move || std::fs::read(log).unwrap_or_default()).await;
        last_registers(&String::from_utf8_lossy(&said)).map(str::to_owned)
    }

    /// The report for a QEMU that ended although nobody told it to.
    pub(super) async fn death(&self, kind: ExitKind) -> ExitReport {
        let log = self.log.clone();
        let words = blocking::run(move || last_words(&log)).await;
        match kind {
            // How its filters end it (`jail`): in the first process of a PID namespace, abort(3) looks like that.
            ExitKind::Signal(SIGSYS) => {
                let detail = format!("QEMU aborted, or made a system call that it may not make; {words}");
                report(128 + SIGABRT, ExitReason::Killed, detail)
            }
            ExitKind::Signal(signal) => {
                let detail = format!("signal {signal} killed QEMU; {words}");
                report(128_u8.saturating_add(signal), ExitReason::Killed, detail)
            }
            ExitKind::Code(code) => {
                let detail = format!("QEMU ended with status {code}; {words}");
                report(1, ExitReason::Failed, detail)
            }
            ExitKind::Unknown => report(
                KILLED,
                ExitReason::Killed,
                format!("QEMU was killed, and nobody saw by which signal; {words}"),
            ),
        }
    }
}

/// Connects, and finds out what QEMU has come to while no daemon was connected. A reset looks like a power-off then.
async fn connect(socket: &Path) -> Result<Qmp> {
    let mut qmp = Qmp::connect(socket).await?;
    let answer = qmp.execute("query-status", json!({}), COMMAND_BOUND).await?;
    let (stopped, missed) = match answer.get("status").and_then(Value::as_str) {
        // After a checkpoint of a machine that was frozen, or in the middle of one.
        Some("paused" | "postmigrate" | "finish-migrate") => (true, None),
        Some("shutdown") => (false, Some(Event::Shutdown("guest-shutdown".to_owned()))),
        Some("guest-panicked") => (false, Some(Event::Panicked)),
        _ => (false, None),
    };
    qmp.missed(stopped, missed);
    Ok(qmp)
}

/// What QEMU wrote to its log last.
fn last_words(log: &Path) -> String {
    const LINES: usize = 5;
    // What it says before the registers, when it gives a processor up (`cpu_abort`).
    const FATAL: &str = "qemu: fatal: ";
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let fatal = lines.iter().position(|line| line.starts_with(FATAL));
    let begin = fatal.unwrap_or(lines.len().saturating_sub(LINES));
    match &lines[begin..] {
        [] => "it said nothing".to_owned(),
        last => format!("it said: {}", last[..last.len().min(LINES)].join("; ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_last_words_begin_with_why_a_processor_was_given_up() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let said = |text: &str| {
            std::fs::write(log.path(), text).unwrap();
            last_words(log.path())
        };
        assert_eq!(said(""), "it said nothing");
        assert_eq!(said("a\nb\n\nc\nd\ne\nf\n"), "it said: b; c; d; e; f");
        let registers = ["R0=0\n", "R1=0\n", "R2=0\n", "R3=0\n", "R4=0\n"].concat();
        let words = said(&format!("a warning\nqemu: fatal: Lockup: can't escalate 3\n{registers}"));
        assert_eq!(words, "it said: qemu: fatal: Lockup: can't escalate 3; R0=0; R1=0; R2=0; R3=0");
    }
}
