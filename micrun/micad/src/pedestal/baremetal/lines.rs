//! The streams of one client: terminals and trace buffers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use libmica::Service;
use tokio::time::Instant;

use super::endpoint::{Announced, CONSOLE, Endpoint};
use super::introduction;
use super::line::{Kind, Line, Owner, SavedLine};
use super::sysfs::{Remoteproc, System};
use super::traces::{self, Buffer};
use crate::pedestal::broker::{Door, MOST_STREAMS};
use crate::{Error, Result};

/// Most terminals of one client.
const MOST_TERMINALS: usize = 4;
/// Most trace buffers of one client. The numbers of their lines follow those of the terminals.
pub(super) const MOST_TRACES: usize = MOST_STREAMS - MOST_TERMINALS;
/// Most devices of which is remembered that they could not be used. Firmware can announce ever new ones.
const MOST_COMPLAINTS: usize = 64;

/// The streams, the console first.
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
        lines.all.push(Line::new(CONSOLE, Kind::Terminal, 0, &lines.owner.spec.tty_link, &lines.owner)?);
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
    pub(super) fn client(&self) -> &str {
        self.owner.spec.name()
    }

    /// The names of the channels that are streams.
    pub(super) fn channels(&self) -> &[String] {
        &self.owner.channels
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
        self.in_order().filter_map(Line::service).collect()
    }

    /// The ways to those that were announced.
    pub(super) fn doors(&self) -> Vec<Door> {
        self.in_order().filter_map(Line::door).collect()
    }

    /// The terminals, then the traces.
    fn in_order(&self) -> impl Iterator<Item = &Line> {
        [Kind::Terminal, Kind::Trace]
            .into_iter()
            .flat_map(|kind| self.all.iter().filter(move |line| line.kind() == kind))
    }

    /// Takes up the terminals that the firmware has announced since the last look.
    pub(super) fn look(&mut self, system: &System, remoteproc: &Remoteproc, announced: &Announced) {
        for endpoint in announced.streams(&self.owner.channels) {
            if !self.serves(&endpoint.device)
                && let Err(e) = self.take_up(system, remoteproc, &endpoint)
            {
                self.complain(endpoint.device, &e);
            }
        }
        for buffer in traces::buffers(system, remoteproc) {
            if !self.serves(&buffer.name)
                && let Err(e) = self.take_up_trace(&buffer)
            {
                self.complain(buffer.name, &e);
            }
        }
    }

    fn serves(&self, device: &str) -> bool {
        self.all.iter().any(|line| line.serves(device))
    }

    /// Says once what is wrong with a device. It may work at the next look.
    fn complain(&mut self, device: String, error: &Error) {
        if self.complained.len() == MOST_COMPLAINTS {
            self.complained.clear();
        }
        if self.complained.insert(device) {
            log::error!(client = self.client(); "{}", error.sentence());
        }
    }

    /// Takes a trace buffer up.
    fn take_up_trace(&mut self, buffer: &Buffer) -> Result<()> {
        let Some(file) = existing(buffer.open()).map_err(|e| unreadable(buffer, &e))? else { return Ok(()) };
        let fits = self.all.iter().position(|line| line.kind() == Kind::Trace && line.fits(&buffer.name));
        let index = fits.unwrap_or(self.all.len());
        if fits.is_none() {
            let traces = self.all.iter().filter(|line| line.kind() == Kind::Trace).count();
            let link = self.link(&buffer.name);
            let number = MOST_TERMINALS + traces;
            self.all.push(Line::new(&buffer.name, Kind::Trace, number, &link, &self.owner)?);
        }
        self.all[index].accept(&buffer.name, file, &self.owner)
    }

    /// Keeps what the trace buffers show now: when the kernel has stopped the remoteproc, they are no more.
    pub(super) fn keep_traces(&mut self, system: &System, remoteproc: &Remoteproc) {
        self.give_traces(system, remoteproc, Buffer::copy);
    }

    /// Has the trace buffers looked at again, as they are.
    pub(super) fn follow_traces(&mut self, system: &System, remoteproc: &Remoteproc) {
        self.give_traces(system, remoteproc, Buffer::open);
    }

    fn give_traces(
        &mut self,
        system: &System,
        remoteproc: &Remoteproc,
        file: impl Fn(&Buffer) -> io::Result<File>,
    ) {
        for buffer in traces::buffers(system, remoteproc) {
            let Some(line) = self.all.iter_mut().find(|line| line.serves(&buffer.name)) else { continue };
            match existing(file(&buffer)) {
                Ok(file) => file.into_iter().for_each(|file| line.repeat(file)),
                Err(e) => log::error!("{}", unreadable(&buffer, &e).sentence()),
            }
            line.begin();
        }
    }

    /// Takes a terminal or a channel up: for a line that waits for one of that name, or a new one.
    fn take_up(&mut self, system: &System, remoteproc: &Remoteproc, endpoint: &Endpoint) -> Result<()> {
        let fits = self.all.iter().position(|line| line.fits(&endpoint.name));
        let terminals = self.all.iter().filter(|line| line.kind() == Kind::Terminal).count();
        if fits.is_none() && terminals == MOST_TERMINALS {
            let problem = "the client has four others, which is enough";
            return Err(Error::Terminal { device: endpoint.device.clone(), problem });
        }
        let Some(tty) = endpoint.open(system, self.client())? else { return Ok(()) };
        let index = fits.unwrap_or(self.all.len());
        if fits.is_none() {
            let (number, link) = self.free_place();
            self.all.push(Line::new(&endpoint.name, Kind::Terminal, number, &link, &self.owner)?);
        }
        self.all[index].accept(&endpoint.device, tty, &self.owner)?;
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

    /// A number for one more terminal, and its link.
    fn free_place(&self) -> (usize, PathBuf) {
        let numbered = |n: usize| (n, self.link(&n.to_string()));
        let free = |(_, link): &(usize, PathBuf)| !self.all.iter().any(|line| line.is_at(link));
        (1..MOST_TERMINALS).map(numbered).find(free).unwrap_or_else(|| numbered(MOST_TERMINALS))
    }

    /// The client's own link with a dot and this behind, which is no client's own.
    fn link(&self, suffix: &str) -> PathBuf {
        let own = self.owner.spec.tty_link.as_os_str();
        [own, ".".as_ref(), suffix.as_ref()].into_iter().collect::<OsString>().into()
    }

    /// Completes what an earlier daemon may not have come to: a console for the firmware, and its terminal for
    /// each broker.
    pub(super) fn complete(&mut self, system: &System, remoteproc: &Remoteproc) -> Result<()> {
        let link = &self.owner.spec.tty_link;
        if !self.all.iter().any(|line| line.is_at(link)) {
            self.all.insert(0, Line::new(CONSOLE, Kind::Terminal, 0, link, &self.owner)?);
        }
        for endpoint in Announced::read(system, remoteproc).streams(&self.owner.channels) {
            let tty = endpoint.open(system, self.client())?;
            let served = self.all.iter_mut().find(|line| line.serves(&endpoint.device));
            if let (Some(line), Some(tty)) = (served, tty) {
                line.repeat(tty);
            }
        }
        self.follow_traces(system, remoteproc);
        Ok(())
    }

    /// Lets the last output reach the ptys, after the firmware's end. False if that takes longer than `bound`:
    /// the rest follows when somebody reads. The kernel's terminals end with the firmware, unless they are `left`.
    pub(super) async fn drain(&self, bound: Duration, left: bool) -> bool {
        self.all.iter().for_each(|line| line.run_is_over(left));
        let deadline = Instant::now() + bound;
        let mut complete = true;
        for line in &self.all {
            complete &= line.drained(deadline.saturating_duration_since(Instant::now())).await;
        }
        complete
    }

    /// Gives everything up, and blocks until its processes have ended.
    pub(super) fn close_now(&mut self) {
        self.all.iter().for_each(Line::kill_now);
        self.close();
    }

    /// Gives everything up.
    pub(super) fn close(&mut self) {
        self.all.drain(..).for_each(Line::close);
    }
}

/// What is there; a file that is not is the kernel's or the next look's matter.
fn existing(file: io::Result<File>) -> io::Result<Option<File>> {
    match file {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn unreadable(buffer: &Buffer, error: &io::Error) -> Error {
    Error::Trace { buffer: buffer.name.clone(), problem: error.to_string() }
}
