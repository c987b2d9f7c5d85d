//! The numbers of clients and of waiting machines, from which their processes' users come.
//!
//! What a user leaves must not belong to the next one. In a jail there is nothing to leave, and a client is forgotten when
//! its process is gone. So that even a mistake here harms nobody, a daemon gives a number again only after all others, and
//! never if an earlier daemon has left a process of its user, whose client is forgotten.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

/// How many numbers there are for clients, and as many again behind them for machines that wait for one.
pub(crate) const COUNT: u32 = 1 << 15;

/// The numbers that may be given out.
#[derive(Debug)]
pub(crate) struct Numbers {
    next: u32,
    /// Those whose users had processes before this daemon started one.
    strange: BTreeSet<u32>,
}

impl Numbers {
    /// The numbers of users from `first` on. Blocks.
    pub(crate) fn new(first: u32) -> Self {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let users = processes.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.uid());
        Self { next: 0, strange: users.filter_map(|user| user.checked_sub(first)).collect() }
    }

    /// A number that is not among the `taken` ones. `None` if there is none.
    pub(crate) fn take(&mut self, taken: &BTreeSet<u32>) -> Option<u32> {
        let free = |number: &u32| !taken.contains(number) && !self.strange.contains(number);
        let all = (self.next..COUNT).chain(0..self.next);
        let number = all.into_iter().find(free)?;
        self.next = (number + 1) % COUNT;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_again_after_all_others() {
        let mut numbers = Numbers { next: 0, strange: BTreeSet::from([1]) };
        let none = BTreeSet::new();
        assert_eq!(
            [numbers.take(&none), numbers.take(&none), numbers.take(&none)],
            [Some(0), Some(2), Some(3)]
        );
        assert_eq!(numbers.take(&BTreeSet::from([4, 5])), Some(6));
        numbers.next = COUNT - 1;
        let last = Some(COUNT - 1);
        assert_eq!([numbers.take(&none), numbers.take(&none), numbers.take(&none)], [last, Some(0), Some(2)]);
        assert_eq!(numbers.take(&(0..COUNT).collect()), None);
    }

    #[test]
    fn a_user_with_a_process_is_strange() {
        let numbers = Numbers::new(rustix::process::geteuid().as_raw());
        assert!(numbers.strange.contains(&0));
    }
}
