//! The ends of a run that nobody has asked for: those of the firmware's own, and those by a watchdog.

use std::future::pending;
use std::pin::pin;
use std::time::Instant;

use libmica::ext::{ExitReason, ExitReport, Scene};
use libmica::{ClientState, Launch};
use micrun_firmware::Coredump;

use super::Task;
use crate::Result;
use crate::daemon::examine::examine;
use crate::daemon::watchdog::Watch;
use crate::pedestal::{Ending, KILLED, report};

impl Task {
    /// Changes how the client is watched over, or one of its resources.
    pub(super) async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if !self.vigil.set(key, value, self.pedestal.is_machine())? {
            return self.pedestal.set(&self.spec, key, value);
        }
        self.watch_anew();
        self.save(None).await;
        Ok(())
    }

    /// Has the watchdog know nothing of what was before.
    pub(super) fn watch_anew(&mut self) {
        let runs = self.state == ClientState::Running;
        let watch = Some(self.vigil.watchdog).filter(|_| runs).and_then(Watch::new);
        self.watch = watch.map(|watch| {
            let next = Instant::now() + watch.period();
            (watch, next)
        });
    }

    /// Takes the watchdog's next look; whether the run has ended by it.
    pub(super) async fn look(&mut self) -> bool {
        let (Some((watch, next)), Some(guest)) = (&mut self.watch, &mut self.guest) else { return false };
        let mut pulse = guest.pulse(watch.rules()).await;
        if watch.rules().console.is_some() {
            pulse.console = self.chronicle.console(&self.spec).await;
        }
        let now = Instant::now();
        *next = now + watch.period();
        if let Some(what) = watch.news_of_blindness(pulse) {
            log::warn!(
                client = self.spec.name();
                "{}: nothing tells its watchdog of its {what}, and it is not ended for that", self.spec.name()
            );
        }
        let Some(why) = watch.see(now, pulse) else { return false };
        self.bite(why).await;
        true
    }

    async fn bite(&mut self, why: String) {
        let Some(guest) = &mut self.guest else { return };
        // One that cannot be frozen is ended all the same.
        let _ = guest.pause().await;
        let mut bitten = report(KILLED, ExitReason::Watchdog, why);
        let scene = self.examine(&mut bitten).await;
        let Some(guest) = &mut self.guest else { return };
        let ended = guest.stop().await.map(|_| bitten);
        // There is nobody to answer; close_run has logged it.
        let ended = self.close_run(ended, scene).await;
        if ended.is_ok() && self.vigil.watchdog.restart {
            log::warn!(client = self.spec.name(); "{}: its watchdog starts it again", self.spec.name());
            if let Err(e) = self.start(Launch::default(), Instant::now(), pin!(pending())).await {
                log::error!(client = self.spec.name(); "{}: {}", self.spec.name(), e.sentence());
            }
        }
    }

    /// Works off an end that the firmware has come to by itself.
    pub(super) async fn reap(&mut self, ending: Ending) {
        let Some(guest) = &mut self.guest else { return };
        let mut verdict = guest.verdict(ending).await;
        let scene = self.examine(&mut verdict).await;
        let Some(guest) = &mut self.guest else { return };
        let ended = guest.reap(ending).await.map(|()| verdict);
        // There is nobody to answer; close_run has logged it.
        let _ = self.close_run(ended, scene).await;
    }

    /// Leaves a core of a run that is about to be stopped, if each end is to have one.
    pub(super) async fn examine_stop(&mut self) -> (Option<std::path::PathBuf>, Option<Scene>) {
        let mut stopped = report(0, ExitReason::Stopped, "");
        let is_wanted = self.is_running() && self.wish() == Coredump::Always;
        let Some(guest) = self.guest.as_mut().filter(|_| is_wanted) else { return (None, None) };
        if self.state == ClientState::Running && guest.pause().await.is_err() {
            return (None, None);
        }
        let scene = self.examine(&mut stopped).await;
        (stopped.core, scene)
    }

    async fn examine(&mut self, report: &mut ExitReport) -> Option<Scene> {
        let (wish, cores) = (self.wish(), self.chronicle.cores.clone());
        examine(&mut **self.guest.as_mut()?, &self.spec, &cores, wish, report).await
    }

    fn wish(&self) -> Coredump {
        self.vigil.coredump.unwrap_or_else(|| self.chronicle.cores.usual())
    }
}
