//! Whether firmware that was started lives: the sign that Start waits for, and the report of firmware that shows none.

use std::sync::Arc;
use std::time::Duration;

use micrun_firmware::annotations::Ready;
use tokio::sync::oneshot;

use super::container::Container;
use crate::error::{Error, Result, describe};
use crate::task::context::Context;
use crate::task::exit::Exit;
use crate::task::mica::Mica;
use crate::task::state::State;

/// First and longest pause between two looks for an endpoint.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(250));

impl Container {
    /// Waits for the sign that the firmware is up, if there is to be one. Firmware that does not give it in time is
    /// stopped. `ended` says that it has ended, and how.
    pub(super) async fn until_ready(
        &self,
        context: &Context,
        ended: oneshot::Receiver<String>,
    ) -> Result<()> {
        // What goes on from a checkpoint has been ready before.
        let Some(ready) = self.plan.ready.as_ref().filter(|_| self.plan.snapshot.is_none()) else {
            return Ok(());
        };
        let sign = async {
            match ready {
                Ready::Console(_) => self.tap.found().await,
                Ready::Endpoint(name) => announced(&*context.mica, &self.id, name).await,
            }
        };
        let late = async {
            match self.plan.ready_timeout {
                Some(limit) => {
                    tokio::time::sleep(limit).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        let reason = tokio::select! {
            biased;
            () = sign => {
                log::info!(container = self.id; "{} is ready: {ready}", self.id);
                return Ok(());
            }
            detail = ended => format!("it has ended: {}", detail.unwrap_or_default()),
            limit = late => {
                let seen = self.diagnose(context, false).await;
                if let Err(error) = self.stop(context, Exit::not_started().status).await {
                    log::warn!(container = self.id; "cannot stop {}: {}", self.id, describe(&error));
                }
                format!("it has not come within {limit:?}: {seen}")
            }
        };
        Err(Error::NotReady { id: self.id.clone(), sign: ready.to_string(), reason })
    }

    /// Reports firmware, once, that has shown no sign of life for its time: no byte on its console, and no endpoint.
    pub(super) async fn report_silence(self: Arc<Self>, context: Arc<Context>) {
        let Some(limit) = self.plan.ready_timeout.filter(|_| self.plan.snapshot.is_none()) else { return };
        tokio::select! {
            () = self.tap.heard() => return,
            _ = self.init.wait() => return,
            () = tokio::time::sleep(limit) => {}
        }
        // A frozen one cannot show any.
        if self.init.life.state() != State::Running || self.has_announced(&context).await {
            return;
        }
        let seen = self.diagnose(&context, true).await;
        log::warn!(
            container = self.id; "{} runs, but has shown no sign of life for {limit:?} (no byte on its console, no endpoint): {seen}",
            self.id
        );
    }

    /// Whether the firmware has announced an endpoint. The ports of an emulated machine are there without it.
    async fn has_announced(&self, context: &Context) -> bool {
        !self.plan.machine.is_emulated()
            && context.mica.status(&self.id).await.is_ok_and(|status| !status.services.is_empty())
    }

    /// What the daemon sees of the firmware.
    async fn diagnose(&self, context: &Context, silent: bool) -> String {
        match context.mica.diagnose(&self.id, silent).await {
            Ok(diagnosis) => diagnosis.detail,
            Err(libmica::Error::Unsupported { .. }) => {
                "this mica daemon cannot say what it is doing".to_owned()
            }
            Err(error) => format!("what it is doing is not known: {error}"),
        }
    }
}

/// Waits until the client has announced an endpoint of this name.
async fn announced(mica: &dyn Mica, client: &str, name: &str) {
    let mut pause = LOOK.0;
    loop {
        match mica.status(client).await {
            Ok(status) if status.services.iter().any(|service| service.name == name) => return,
            Ok(_) => {}
            Err(error) => log::debug!("cannot ask for the endpoints of {client}: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK.1);
    }
}
