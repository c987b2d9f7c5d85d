//! Places for connections, counted by user: whoever takes too many takes them from nobody else.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::oneshot;

/// Connections of one user that may be without a request at a time. A further one pushes out the oldest: a client sends
/// its request at once, so it is the newer ones that are worth waiting for.
const MAX_SILENT: usize = 64;
/// Users without a limit of their own may have this share of the daemon's descriptors, each and all together.
const SHARE_OF_ONE: usize = 4;
const SHARE_OF_ALL: usize = 2;

/// All places.
pub(super) struct Slots {
    /// Root and the daemon's own user, for whom places are always kept.
    own: u32,
    /// Most connections of another user, and of all others.
    one: usize,
    all: usize,
    users: Mutex<BTreeMap<u32, User>>,
}

/// What a user has.
#[derive(Default)]
struct User {
    open: usize,
    /// Connections without a request, the oldest first.
    silent: VecDeque<(u64, oneshot::Sender<Infallible>)>,
    next: u64,
}

/// A connection's place. It is free again when this is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    uid: u32,
}

/// The place of a connection that has not asked anything yet.
pub(super) struct Silence<'a> {
    slot: &'a Slot,
    number: u64,
    pushed_out: oneshot::Receiver<Infallible>,
}

impl Slots {
    /// Places for connections to a daemon of the user `own`.
    pub(super) fn new(own: u32) -> Self {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        Self {
            own,
            one: descriptors / SHARE_OF_ONE,
            all: descriptors / SHARE_OF_ALL,
            users: Mutex::default(),
        }
    }

    /// A place for a connection of user `uid`; `None` if there is none left.
    pub(super) fn take(self: &Arc<Self>, uid: u32) -> Option<Slot> {
        let mut users = self.users();
        if !self.is_own(uid) {
            let others: usize =
                users.iter().filter(|(uid, _)| !self.is_own(**uid)).map(|(_, u)| u.open).sum();
            if others >= self.all || users.get(&uid).is_some_and(|user| user.open >= self.one) {
                return None;
            }
        }
        users.entry(uid).or_default().open += 1;
        Some(Slot { slots: Arc::clone(self), uid })
    }

    /// How many are taken.
    pub(super) fn open(&self) -> usize {
        self.users().values().map(|user| user.open).sum()
    }

    fn is_own(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own
    }

    /// A panic while the lock was held leaves the map whole.
    fn users(&self) -> MutexGuard<'_, BTreeMap<u32, User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Nothing has been asked yet. Pushes out the user's oldest connection like it if there are too many.
    pub(super) fn silence(&self) -> Silence<'_> {
        let mut users = self.slots.users();
        let user = users.entry(self.uid).or_default();
        let number = user.next;
        user.next += 1;
        let (push, pushed_out) = oneshot::channel();
        user.silent.push_back((number, push));
        if user.silent.len() > MAX_SILENT {
            user.silent.pop_front();
        }
        Silence { slot: self, number, pushed_out }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut users = self.slots.users();
        let Some(user) = users.get_mut(&self.uid) else { return };
        user.open -= 1;
        if user.open == 0 {
            users.remove(&self.uid);
        }
    }
}

impl Silence<'_> {
    /// Returns once newer connections have taken the place.
    pub(super) async fn pushed_out(&mut self) {
        // The sender sends nothing; it is dropped.
        let _ = (&mut self.pushed_out).await;
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let mut users = self.slot.slots.users();
        if let Some(user) = users.get_mut(&self.slot.uid) {
            user.silent.retain(|(number, _)| *number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    const USER: u32 = 1000;
    const OTHER: u32 = 1001;

    fn slots() -> Arc<Slots> {
        Arc::new(Slots { own: 0, one: 3, all: 5, users: Mutex::default() })
    }

    #[test]
    fn a_user_takes_places_from_nobody_else() {
        let slots = slots();
        let taken: Vec<_> = std::iter::from_fn(|| slots.take(USER)).collect();
        assert_eq!(taken.len(), 3);
        let of_other: Vec<_> = std::iter::from_fn(|| slots.take(OTHER)).collect();
        assert_eq!(of_other.len(), 2, "all others together have five");
        let of_root: Vec<_> = (0..100).filter_map(|_| slots.take(0)).collect();
        assert_eq!(of_root.len(), 100);
        assert_eq!(slots.open(), 105);
        drop((taken, of_other, of_root));
        assert!(slots.users().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_silence_gives_way_to_a_newer_one_of_the_same_user() {
        let slots = slots();
        let (slot, other) = (slots.take(USER).unwrap(), slots.take(OTHER).unwrap());
        let mut of_other = other.silence();
        let mut silent: Vec<_> = (0..MAX_SILENT).map(|_| slot.silence()).collect();
        let waits = Duration::from_secs(1);
        assert!(timeout(waits, silent[0].pushed_out()).await.is_err());
        silent.push(slot.silence());
        silent[0].pushed_out().await;
        assert!(timeout(waits, silent[1].pushed_out()).await.is_err());
        assert!(timeout(waits, of_other.pushed_out()).await.is_err());
        drop(silent);
        assert!(slots.users()[&USER].silent.is_empty());
    }
}
