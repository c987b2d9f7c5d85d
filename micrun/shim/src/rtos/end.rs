//! Learns how an RTOS ended, from a daemon that may be restarted meanwhile or know no `wait`.

use std::time::{Duration, SystemTime};

use libmica::ext::{ExitReason, ExitReport};
use libmica::{ClientState, Error};
use nix::libc::{SIGINT, SIGKILL, SIGTERM};

use crate::task::exit::Exit;
use crate::task::mica::Mica;

/// First and longest pause while the daemon is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often a daemon without `wait` is asked.
const POLL: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct End {
    /// Our own word for it; `None` when a `stop` command was the cause.
    status: Option<u32>,
    at: SystemTime,
    /// For the log.
    pub detail: String,
}

impl End {
    /// The exit as the Task API reports it, `asked` being the status for which the shim stopped the RTOS.
    pub(crate) fn exit(&self, asked: Option<u32>) -> Exit {
        let stopped = || asked.unwrap_or_else(|| Exit::signalled(SIGTERM.unsigned_abs()).status);
        Exit { status: self.status.unwrap_or_else(stopped), at: self.at }
    }
}

/// Whether a signal means the end to an RTOS, which knows no signals.
pub(super) fn stops(signal: u32) -> bool {
    [SIGTERM, SIGKILL, SIGINT].iter().any(|number| number.unsigned_abs() == signal)
}

/// Whether a signal cuts the power, whatever there is to ask.
pub(super) fn is_final(signal: u32) -> bool {
    signal == SIGKILL.unsigned_abs()
}

/// Waits until the client's run has ended.
pub(crate) async fn wait(mica: &dyn Mica, name: &str) -> End {
    let mut pause = BACKOFF.0;
    loop {
        match mica.wait(name).await {
            Ok(report) => return reported(report),
            Err(Error::Unsupported { .. }) => return poll(mica, name).await,
            Err(error @ (Error::ClientNotFound { .. } | Error::Failed { .. })) => return unseen(&error),
            Err(error) => log::warn!("waiting for {name}: {error}; asking again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

/// Upstream's daemon notices the end of an RTOS when it is asked for the status, and says no more than that.
async fn poll(mica: &dyn Mica, name: &str) -> End {
    loop {
        match mica.status(name).await.map(|status| status.state) {
            Ok(ClientState::Offline | ClientState::Stopped) => return end(Some(0), "the client is offline"),
            Ok(ClientState::Error) => return end(Some(1), "the client is in error"),
            Ok(_) => {}
            Err(error @ Error::ClientNotFound { .. }) => return unseen(&error),
            Err(error) => log::debug!("cannot ask for the state of {name}: {error}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The end that the daemon has seen.
pub(crate) fn reported(report: ExitReport) -> End {
    let at = humantime::parse_rfc3339(&report.exited_at).unwrap_or_else(|_| SystemTime::now());
    // One that was asked to end in vain has a status.
    let is_own = report.reason != ExitReason::Stopped || report.status != 0;
    let status = is_own.then_some(u32::from(report.status));
    End { status, at, detail: report.detail }
}

fn unseen(error: &Error) -> End {
    end(Some(Exit::unknown().status), &format!("nobody saw it end: {error}"))
}

fn end(status: Option<u32>, detail: &str) -> End {
    End { status, at: SystemTime::now(), detail: detail.to_owned() }
}
