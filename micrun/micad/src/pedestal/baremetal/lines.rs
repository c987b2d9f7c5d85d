//! The terminals of one client.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use libmica::Service;
use tokio::time::Instant;

use super::endpoint::{Announced, CONSOLE, Endpoint};
use super::introduction;
use super::line::{Line, Owner, SavedLine};
use super::sysfs::{Remoteproc, System};
use crate::pedestal::broker::{Door, MOST_STREAMS};
use crate::{Error, Result};

/// Most devices of which is remembered that they could not be used. Firmware can announce ever new ones.
const MOST_COMPLAINTS: usize = 64;

/// The terminals, the console first.
pub(super) struct Lines {
    all: Vec<Line>,
    /// Rpmsg devices that could not be used, which was logged.
    complained: BTreeSet<String>,
    /// Whose they are.
    owner: Owner,
}

impl Lines {
    /// A console for firmware that is to be started. Firmware may end as soon as it has announced its console,
    /// and takes with it what was not read: everything else must be there before.
    pub(super) fn new(owner: Owner) -> Result<Self> {
        let mut lines = Self::without_console(owner);
        lines.all.push(Line::new(CONSOLE, 0, &lines.owner.spec.tty_link, &lines.owner)?);
        Ok(lines)
    }

    /// What is left of those that an earlier daemon has written down.
    pub(super) fn adopt(saved: &[SavedLine], owner: Owner) -> Self {
        let all = saved.iter().filter_map(Line::adopt).collect();
        Self { all, ..Self::without_console(owner) }
    }

    fn without_console(owner: Owner) -> Self {
        Self { all: Vec::new(), complained: BTreeSet::new(), owner }
    }

    /// The client's name.
    fn client(&self) -> &str {
        self.owner.spec.name()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What [`Self::adopt`] needs.
    pub(super) fn save(&self) -> Vec<SavedLine> {
        self.all.iter().map(Line::save).collect()
    }

    /// Lets the bytes pass through those that are written down.
    pub(super) fn begin(&mut self, written: &[SavedLine]) {
        self.all.iter_mut().filter(|line| written.contains(&line.save())).for_each(Line::begin);
    }

    /// What was announced, for a status.
    pub(super) fn services(&self) -> Vec<Service> {
        self.all.iter().filter_map(Line::service).collect()
    }

    /// The ways to those that were announced.
    pub(super) fn doors(&self) -> Vec<Door> {
        self.all.iter().filter_map(Line::door).collect()
    }

    /// Takes up the terminals that the firmware has announced since the last look.
    pub(super) fn look(&mut self, system: &System, remoteproc: &Remoteproc, announced: &Announced) {
        for endpoint in announced.terminals() {
            if !self.all.iter().any(|line| line.serves(&endpoint))
                && let Err(e) = self.take_up(system, remoteproc, &endpoint)
            {
                if self.complained.len() == MOST_COMPLAINTS {
                    self.complained.clear();
                }
                // It may work at the next look.
                if self.complained.insert(endpoint.device) {
                    log::error!(client = self.client(); "{}", e.sentence());
                }
            }
        }
    }

    /// Takes a terminal up: for a line that waits for one of that name, or a new one.
    fn take_up(&mut self, system: &System, remoteproc: &Remoteproc, endpoint: &Endpoint) -> Result<()> {
        let fits = self.all.iter().position(|line| line.fits(endpoint));
        if fits.is_none() && self.all.len() == MOST_STREAMS {
            let problem = "the client has four others, which is enough";
            return Err(Error::Terminal { device: endpoint.device.clone(), problem });
        }
        let Some(tty) = endpoint.open(system, self.client())? else { return Ok(()) };
        let index = fits.unwrap_or(self.all.len());
        if fits.is_none() {
            let (number, link) = self.free_place();
            self.all.push(Line::new(&endpoint.name, number, &link, &self.owner)?);
        }
        self.all[index].accept(endpoint, tty, &self.owner)?;
        // The terminal is open: what the firmware says from now on is kept.
        match introduction::introduce(system, remoteproc, endpoint) {
            Ok(true) => {}
            Ok(false) => log::info!(
                client = self.client();
                "{}: firmware that waits for a first message is silent until somebody types: modprobe rpmsg_ctrl, rpmsg_char",
                endpoint.device
            ),
            Err(e) => log::warn!(
                client = self.client();
                "{}: Linux's end cannot be announced to the firmware: {e}", endpoint.device
            ),
        }
        Ok(())
    }

    /// A number for one more line, and its link: the client's own with a dot and the number, which is no client's own.
    fn free_place(&self) -> (usize, PathBuf) {
        let numbered = |n: usize| {
            let mut link = self.owner.spec.tty_link.clone().into_os_string();
            link.push(format!(".{n}"));
            (n, PathBuf::from(link))
        };
        let free = |(_, link): &(usize, PathBuf)| !self.all.iter().any(|line| line.is_at(link));
        (1..MOST_STREAMS).map(numbered).find(free).unwrap_or_else(|| numbered(MOST_STREAMS))
    }

    /// Completes what an earlier daemon may not have come to: a console for the firmware, and its terminal for
    /// each broker.
    pub(super) fn complete(&mut self, system: &System, remoteproc: &Remoteproc) -> Result<()> {
        let link = &self.owner.spec.tty_link;
        if !self.all.iter().any(|line| line.is_at(link)) {
            self.all.insert(0, Line::new(CONSOLE, 0, link, &self.owner)?);
        }
        for endpoint in Announced::read(system, remoteproc).terminals() {
            let tty = endpoint.open(system, self.client())?;
            let served = self.all.iter_mut().find(|line| line.serves(&endpoint));
            if let (Some(line), Some(tty)) = (served, tty) {
                line.repeat(tty);
            }
        }
        Ok(())
    }

    /// Lets the last output reach the ptys, after the firmware's end. False if that takes longer than `bound`:
    /// the rest follows when somebody reads.
    pub(super) async fn drain(&self, bound: Duration) -> bool {
        self.all.iter().for_each(Line::run_is_over);
        let deadline = Instant::now() + bound;
        let mut complete = true;
        for line in &self.all {
            complete &= line.drained(deadline.saturating_duration_since(Instant::now())).await;
        }
        complete
    }

    /// How many bytes the console has ever shown.
    pub(super) async fn shown(&self) -> Option<u64> {
        self.all.iter().find(|line| line.is_at(&self.owner.spec.tty_link))?.shown().await
    }

    /// Gives everything up.
    pub(super) fn close(&mut self) {
        self.all.drain(..).for_each(Line::close);
    }
}
