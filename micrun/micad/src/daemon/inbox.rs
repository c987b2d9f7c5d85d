//! What a client's task is asked for, in the order in which it was asked.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::request::{Action, Request};

/// Requests that wait for a client's task.
pub(super) struct Inbox {
    channel: mpsc::Receiver<Request>,
    /// Those that came while something else was being done. Each belongs to a connection, which waits with it.
    early: VecDeque<Request>,
}

impl Inbox {
    pub(super) fn new(channel: mpsc::Receiver<Request>) -> Self {
        Self { channel, early: VecDeque::new() }
    }

    /// The next request; `None` once nobody can ask any more. May be cancelled.
    pub(super) async fn next(&mut self) -> Option<Request> {
        match self.early.pop_front() {
            Some(request) => Some(request),
            None => self.channel.recv().await,
        }
    }

    /// Returns once the client is to be stopped, removed or left alone. That request and those before it keep their
    /// turns. May be cancelled.
    pub(super) async fn ending(&mut self) {
        while !self.early.iter().any(|request| request.action.ends()) {
            match self.channel.recv().await {
                Some(request) => self.early.push_back(request),
                None => return,
            }
        }
    }
}

impl Action {
    /// Whether what goes on is of no use any more once this is asked for.
    fn ends(&self) -> bool {
        matches!(self, Self::Stop | Self::Shutdown { .. } | Self::Remove | Self::Detach)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use micrun_trace::Current;
    use tokio::sync::oneshot;

    use super::*;

    fn inbox(actions: Vec<Action>) -> Inbox {
        let (sender, channel) = mpsc::channel(actions.len());
        for action in actions {
            let (answer, _) = oneshot::channel();
            let (asked, origin) = (Instant::now(), Current::default());
            sender.try_send(Request { action, asked, origin, answer }).unwrap();
        }
        Inbox::new(channel)
    }

    #[tokio::test]
    async fn an_end_is_seen_at_once_and_done_in_its_turn() {
        let mut inbox = inbox(vec![Action::Pause, Action::Stop, Action::Resume]);
        inbox.ending().await;
        inbox.ending().await;
        let mut seen = Vec::new();
        while let Some(request) = inbox.next().await {
            seen.push(format!("{:?}", request.action));
        }
        assert_eq!(seen, ["Pause", "Stop", "Resume"]);
    }

    #[tokio::test]
    async fn a_daemon_that_is_gone_is_an_end() {
        let mut inbox = inbox(vec![Action::Pause]);
        inbox.ending().await;
        assert!(inbox.next().await.is_some());
        assert!(inbox.next().await.is_none());
    }
}
