//! The floor: the time before which every saga of this store has ended and is forgotten. Participants sweep by it.
//!
//! It goes with every call, beside the time at which the call's own saga began, so that a participant never has to ask. Only
//! this file works it out. Invariants: no saga that the store still has began before the floor, so that one which is unfinished
//! or stuck holds it down for as long as it is; it lies behind the clock by the retention, and by [`LAG_MIN`] at least, so that
//! no copy of a call can still be under way; it never falls; a saga that seems to have begun before it (a clock was set back)
//! says nothing of its begin, and is then kept for ever.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::{Store, StoreError};

use crate::planted;

/// The least that the floor lies behind the clock. No network holds a request back for that long.
pub(crate) const LAG_MIN: Duration = Duration::from_secs(3600);

/// When a call's saga began, and the floor: what the participant needs for its sweep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// When the saga was started.
    pub begun: Timestamp,
    /// `<unix ms>;store=<id>`, as it goes over the wire; empty where nothing is to be said.
    pub floor: Arc<str>,
}

/// The floor of one node's store.
#[derive(Debug)]
pub(crate) struct Floor {
    store_id: String,
    lag: Duration,
    published: Mutex<Published>,
}

#[derive(Debug, Clone)]
struct Published {
    at: Timestamp,
    text: Arc<str>,
}

impl Published {
    fn new(at: Timestamp, store_id: &str) -> Self {
        Self { at, text: format!("{};store={store_id}", at.0).into() }
    }
}

impl Floor {
    /// At zero, which sweeps nothing.
    pub(crate) fn new(store_id: String, retention: Duration) -> Self {
        let published = Mutex::new(Published::new(Timestamp(0), &store_id));
        Self { store_id, lag: retention.max(LAG_MIN), published }
    }

    /// Raises the floor as far as the store's sagas let it.
    pub(crate) async fn refresh(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let reached = reached(store.oldest_start().await?, now, self.lag);
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if reached > published.at {
            *published = Published::new(reached, &self.store_id);
        }
        Ok(())
    }

    /// What goes with a call of a saga that was started then.
    pub(crate) fn origin(&self, begun: Timestamp) -> Origin {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if says_nothing(begun, published.at) {
            return Origin::default();
        }
        Origin { begun, floor: published.text.clone() }
    }
}

/// How far the floor may be: behind the clock, and never past the oldest saga that the store has.
pub(crate) fn reached(oldest: Option<Timestamp>, now: Timestamp, lag: Duration) -> Timestamp {
    let behind = Timestamp(now.0.saturating_sub(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)));
    oldest.filter(|_| !planted::is("floor_too_high")).map_or(behind, |oldest| oldest.min(behind))
}

/// Whether a saga that began then seems older than everything the store has: nothing is said of its begin, so that no participant
/// sweeps it.
pub(crate) fn says_nothing(begun: Timestamp, floor: Timestamp) -> bool {
    begun < floor
}

#[cfg(test)]
mod tests {
    use amends_store::MemoryStore;
    use amends_store::conformance::support::{Owner, key};
    use amends_store::{Commit, IndexRow};

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn retention() -> Duration {
        LAG_MIN * 2
    }

    fn started(commit: Commit, at: u64) -> Commit {
        let index = IndexRow { started_at: Timestamp(at), ..commit.index };
        Commit { index, ..commit }
    }

    async fn floor_at(floor: &Floor, store: &MemoryStore, now: u64) -> u64 {
        floor.refresh(store, Timestamp(now)).await.unwrap();
        floor.published.lock().unwrap().at.0
    }

    #[tokio::test]
    async fn a_saga_that_is_stuck_for_ever_holds_the_floor_down_for_ever() {
        let store = MemoryStore::new(4, Arc::new(Default::default));
        let owner = Owner::of(&store, "node-a").await;
        let (stuck, other) = (key("stuck"), key("other"));
        // Parked: open, without a due time.
        owner.write(started(Commit { due: None, ..owner.draft(&stuck, 0) }, 5 * HOUR)).await;
        owner.write(started(owner.finish(&other, 0, 6 * HOUR), 3 * HOUR)).await;
        let floor = Floor::new("s".into(), retention());
        assert_eq!(floor_at(&floor, &store, 4 * HOUR).await, 2 * HOUR, "behind the clock by the retention");
        assert_eq!(floor_at(&floor, &store, 6 * HOUR).await, 3 * HOUR, "what has ended is there until it is swept");
        store.sweep(Timestamp(6 * HOUR), 10).await.unwrap();
        for now in [7 * HOUR, 100 * HOUR, 1_000_000 * HOUR] {
            assert_eq!(floor_at(&floor, &store, now).await, 5 * HOUR, "the stuck one");
        }
        owner.write(owner.finish(&stuck, 1, 1)).await;
        store.sweep(Timestamp(2), 10).await.unwrap();
        assert_eq!(floor_at(&floor, &store, 100 * HOUR).await, 98 * HOUR, "nothing holds it any more");
    }

    #[tokio::test]
    async fn a_short_retention_still_leaves_time_for_calls_under_way() {
        let store = MemoryStore::new(4, Arc::new(Default::default));
        let floor = Floor::new("s".into(), Duration::ZERO);
        assert_eq!(floor_at(&floor, &store, 10 * HOUR).await, 9 * HOUR);
    }

    #[tokio::test]
    async fn a_floor_never_falls_and_a_saga_below_it_says_nothing() {
        let store = MemoryStore::new(4, Arc::new(Default::default));
        let floor = Floor::new("s".into(), Duration::ZERO);
        assert_eq!(&*floor.origin(Timestamp(0)).floor, "0;store=s", "from the start, with nothing to sweep");
        floor_at(&floor, &store, 10 * HOUR).await;
        assert_eq!(floor_at(&floor, &store, 4 * HOUR).await, 9 * HOUR, "a clock was set back");
        assert_eq!(floor.origin(Timestamp(3 * HOUR)), Origin::default());
        let origin = floor.origin(Timestamp(9 * HOUR));
        assert_eq!((origin.begun, &*origin.floor), (Timestamp(9 * HOUR), "32400000;store=s"));
    }
}
