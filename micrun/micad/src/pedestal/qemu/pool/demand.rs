//! Which machines should wait, by what was started lately.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::kind::Kind;

/// How long a start counts.
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// Most starts that are remembered.
const MOST: usize = 256;

/// The starts of the last hour that a waiting machine could have served.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// The oldest first.
    starts: VecDeque<(Instant, Arc<Kind>)>,
}

impl Demand {
    /// A start that needed this kind of machine.
    pub(super) fn note(&mut self, kind: Kind, now: Instant) {
        let known = self.starts.iter().find(|(_, known)| **known == kind).map(|(_, known)| Arc::clone(known));
        if self.starts.len() == MOST {
            self.starts.pop_front();
        }
        self.starts.push_back((now, known.unwrap_or_else(|| Arc::new(kind))));
    }

    /// Machines of this kind are not to wait, until one is started again.
    pub(super) fn forget(&mut self, kind: &Kind) {
        self.starts.retain(|(_, known)| **known != *kind);
    }

    /// What should wait, `most` machines at most: one of each kind, the most popular kind first; then a second one of each
    /// that was started twice, and so on. A kind can be there several times.
    pub(super) fn wanted(&mut self, most: usize, now: Instant) -> Vec<Arc<Kind>> {
        while self.starts.front().is_some_and(|(at, _)| now.duration_since(*at) >= MEMORY) {
            self.starts.pop_front();
        }
        let mut kinds: Vec<(Arc<Kind>, usize)> = Vec::new();
        for (_, kind) in self.starts.iter().rev() {
            match kinds.iter_mut().find(|(known, _)| Arc::ptr_eq(known, kind)) {
                Some((_, starts)) => *starts += 1,
                None => kinds.push((Arc::clone(kind), 1)),
            }
        }
        // Of equally popular ones, what was started last comes first.
        kinds.sort_by_key(|(_, starts)| std::cmp::Reverse(*starts));
        let rounds = kinds.first().map_or(0, |(_, starts)| *starts);
        let wanted = (0..rounds).flat_map(|round| kinds.iter().filter(move |(_, starts)| *starts > round));
        wanted.take(most).map(|(kind, _)| Arc::clone(kind)).collect()
    }

    /// When the oldest start will not count any more.
    pub(super) fn changes_at(&self) -> Option<Instant> {
        self.starts.front().map(|(at, _)| *at + MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::tests::kind;
    use super::*;

    fn entries(demand: &mut Demand, most: usize, now: Instant) -> Vec<u64> {
        demand.wanted(most, now).iter().map(|kind| kind.machine.entry).collect()
    }

    #[test]
    fn popular_kinds_come_first_and_none_takes_all() {
        let (mut demand, now) = (Demand::default(), Instant::now());
        assert!(demand.wanted(4, now).is_empty());
        for entry in [1, 1, 1, 2, 3] {
            demand.note(kind(entry), now);
        }
        assert_eq!(entries(&mut demand, 9, now), [1, 3, 2, 1, 1]);
        assert_eq!(entries(&mut demand, 2, now), [1, 3]);
        assert!(entries(&mut demand, 0, now).is_empty());
        demand.forget(&kind(1));
        assert_eq!(entries(&mut demand, 9, now), [3, 2]);
    }

    #[test]
    fn a_start_counts_for_an_hour() {
        let (mut demand, now) = (Demand::default(), Instant::now());
        demand.note(kind(1), now);
        demand.note(kind(2), now + MEMORY / 2);
        assert_eq!(demand.changes_at(), Some(now + MEMORY));
        assert_eq!(entries(&mut demand, 9, now + MEMORY), [2]);
        assert!(entries(&mut demand, 9, now + MEMORY * 2).is_empty());
        assert_eq!(demand.changes_at(), None);
    }
}
