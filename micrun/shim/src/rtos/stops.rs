//! Who has asked the daemon to stop an RTOS. The exit gets the status of the one who was heard.

use std::sync::Mutex;

use crate::os::lock::lock;

/// The requests of a run that may be the cause of its end.
#[derive(Debug, Default)]
pub(super) struct Stops(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// Those that were not refused, by their tickets, in the order of asking.
    standing: Vec<(u64, u32)>,
    /// The first of which no answer came: the cause only if nobody else asked.
    unanswered: Option<u32>,
    next: u64,
}

impl Stops {
    /// Somebody is about to ask, for an end with `status`; gives a ticket for the answer.
    pub(super) fn ask(&self, status: u32) -> u64 {
        let mut asked = lock(&self.0);
        let ticket = asked.next;
        asked.next += 1;
        asked.standing.push((ticket, status));
        ticket
    }

    /// The daemon has refused: this is no cause of whatever end comes.
    pub(super) fn refused(&self, ticket: u64) {
        lock(&self.0).withdraw(ticket);
    }

    /// No answer came: whoever else has asked, or asks later, comes first.
    pub(super) fn unanswered(&self, ticket: u64) {
        let mut asked = lock(&self.0);
        let status = asked.withdraw(ticket);
        asked.unanswered = asked.unanswered.or(status);
    }

    /// The status for which the RTOS was stopped, if it was.
    pub(super) fn status(&self) -> Option<u32> {
        let asked = lock(&self.0);
        asked.standing.first().map(|(_, status)| *status).or(asked.unanswered)
    }
}

impl Asked {
    fn withdraw(&mut self, ticket: u64) -> Option<u32> {
        let place = self.standing.iter().position(|(known, _)| *known == ticket)?;
        Some(self.standing.remove(place).1)
    }
}
