//! What an owner does when a participant has seen a newer owner of a saga (`AMENDS_STALE_EPOCH`, semantics A7).
//!
//! Pure. Mostly it is true: somebody else has the shard, and whoever stood still is the last to learn it. So the tenure ends, all
//! its memory goes, and the shard is asked for anew: another owner keeps it, and a true one gets an epoch that is higher than any
//! by the store's clock. A participant that says so again soon after that can't be told better: its saga waits, more and more
//! seldom tried, and stops nobody else. Invariant: the answer is never a refusal, and uses up no attempt.

use std::time::Duration;

use amends_engine::event::Event;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::time::Timestamp;

use crate::planted;

/// How many leases must have passed before a shard is acquired anew for the same reason.
const LEASES_BETWEEN: u32 = 12;

/// When a shard was last given up because a participant had seen a newer owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Overtaken(Option<Timestamp>);

impl Overtaken {
    /// A participant says it now. `Some`: the tenure is to end, and this is to be remembered. `None`: that was done of late, and
    /// didn't help.
    pub(crate) fn told(self, now: Timestamp, lease: Duration) -> Option<Self> {
        let is_new = self.0.is_none_or(|last| now.since(last) >= lease.saturating_mul(LEASES_BETWEEN));
        (is_new && !planted::is("stale_epoch_ignored")).then_some(Self(Some(now)))
    }
}

/// Whether an event says that a newer owner was seen.
pub(crate) fn says_so(event: &Event) -> bool {
    matches!(event, Event::Answered { outcome: Outcome::Unknown { doubt: Doubt::StaleEpoch, .. }, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_given_up_once_and_again_only_much_later() {
        let lease = Duration::from_secs(5);
        let first = Overtaken::default().told(Timestamp(1_000), lease).unwrap();
        assert_eq!(first.told(Timestamp(1_001), lease), None);
        assert_eq!(first.told(Timestamp(60_999), lease), None);
        assert_eq!(first.told(Timestamp(61_000), lease), Some(Overtaken(Some(Timestamp(61_000)))));
    }
}
