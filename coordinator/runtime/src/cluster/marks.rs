//! How far each shard was seen to get, and whether a store is behind that: the detector of lost commits.
//!
//! An asynchronously replicated store can lose commits that it had confirmed (a fail-over, a restored backup), and nothing in
//! it says so afterwards. Owners therefore remember the last commit number that was confirmed to them and tell each other;
//! whoever takes a shard compares. Pure data, no clock. Invariants: the highest mark of a shard never falls; what this node saw
//! confirmed itself is in its marks before it acts on it; the word of a later tenure doesn't wipe out that of the one before.

use std::collections::BTreeMap;

use amends_store::{Acquired, Epoch, Nonce, ShardId, Tenure};

use crate::planted;

/// Of how many tenures of a shard the marks are kept. More than one: the present owner must still hear how far the tenure before
/// its own had got, and hears it from a node that has heard of the present one meanwhile.
const TENURES_KEPT: usize = 4;

/// How far one tenure of a shard was seen to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Which shard.
    pub shard: ShardId,
    /// In which tenure.
    pub epoch: Epoch,
    /// Its nonce, since an epoch that a store lost can be given again.
    pub nonce: Nonce,
    /// The last commit number that was confirmed to its owner.
    pub commits: u64,
}

/// That a store has lost commits of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lost {
    /// Which shard.
    pub shard: ShardId,
    /// What the store has.
    pub found: u64,
    /// What was confirmed.
    pub confirmed: u64,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shard, found, confirmed } = self;
        write!(
            f,
            "shard {} is frozen: its store is at commit {found}, but commit {confirmed} was confirmed before, so that at least \
             {} confirmed changes are lost (a fail-over or a restored backup). Its sagas stand still. Bring back the store that \
             has them, and the shard goes on by itself; to go on without them, stop all nodes and start them again",
            shard.0,
            confirmed - found,
        )
    }
}

/// A tenure that this node has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Own {
    epoch: Epoch,
    nonce: Nonce,
    /// The shard's commit number when it began.
    began: u64,
    /// The last one that was confirmed in it.
    confirmed: u64,
}

impl Own {
    /// Whether a mark shows that this tenure began behind what had been confirmed: it is of a tenure before this one, and higher
    /// than where this one began.
    ///
    /// Of two tenures of one epoch the store has lost the acquisition of one, and with it all that followed. Which one it was is
    /// known when a commit of this one is confirmed: then something was lost either way.
    fn began_behind(&self, mark: &Mark) -> bool {
        let is_before = mark.epoch < self.epoch;
        let is_its_twin = mark.epoch == self.epoch && mark.nonce != self.nonce && !planted::is("equal_epoch_trusted");
        mark.commits > self.began && (is_before || (is_its_twin && self.confirmed > self.began))
    }
}

/// The marks that one node knows of, its own and those that it heard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Marks {
    /// Of each shard the highest of each of its last tenures, by epoch.
    highest: BTreeMap<ShardId, Vec<Mark>>,
    own: BTreeMap<ShardId, Own>,
    /// Shards of which a loss was noticed only when they had gone on without it: no store will have both again.
    diverged: BTreeMap<ShardId, Lost>,
}

impl Marks {
    /// A shard was acquired: whether it may be worked on. Where commits were lost, the tenure must not begin.
    pub(crate) fn acquired(&mut self, acquired: &Acquired) -> Result<(), Lost> {
        let Acquired { lease, commits } = *acquired;
        self.compare(lease.shard, commits)?;
        self.own
            .insert(lease.shard, Own { epoch: lease.epoch, nonce: lease.nonce, began: commits, confirmed: commits });
        self.raise(Mark { shard: lease.shard, epoch: lease.epoch, nonce: lease.nonce, commits });
        Ok(())
    }

    /// Whether a store that is at this number has all that was confirmed of a shard.
    pub(crate) fn compare(&self, shard: ShardId, found: u64) -> Result<(), Lost> {
        if let Some(lost) = self.diverged.get(&shard) {
            return Err(*lost);
        }
        let confirmed = self.of(shard).iter().map(|mark| mark.commits).max().unwrap_or(0);
        if confirmed > found && !planted::is("loss_not_noticed") {
            return Err(Lost { shard, found, confirmed });
        }
        Ok(())
    }

    /// The shards of which these tenures, just read, have less than these marks, which were taken before: nobody has to commit
    /// anything for the loss to be noticed.
    pub(crate) fn behind(before: &[Mark], tenures: &[Tenure]) -> Vec<Lost> {
        let mut highest = BTreeMap::new();
        for mark in before {
            let confirmed: &mut u64 = highest.entry(mark.shard).or_default();
            *confirmed = mark.commits.max(*confirmed);
        }
        let found = |shard| tenures.iter().find(|it| it.shard == shard).map_or(0, |it| it.commits);
        let lost = |(shard, confirmed)| Lost { shard, found: found(shard), confirmed };
        let is_behind = |lost: &Lost| lost.found < lost.confirmed && !planted::is("loss_not_noticed");
        highest.into_iter().map(lost).filter(is_behind).collect()
    }

    /// A commit was confirmed to this node, by a repeat where it isn't new. A number that doesn't rise is one that the store
    /// has given before, and has forgotten.
    pub(crate) fn confirmed(&mut self, mark: Mark, is_new: bool) -> Result<(), Lost> {
        let Mark { shard, commits, .. } = mark;
        if let Some(own) = self.own.get_mut(&shard).filter(|own| own.epoch == mark.epoch) {
            if commits < own.confirmed || (is_new && commits == own.confirmed) {
                return Err(Lost { shard, found: commits.saturating_sub(1), confirmed: own.confirmed });
            }
            own.confirmed = commits;
        }
        self.raise(mark);
        let Some(own) = self.own.get(&shard) else { return Ok(()) };
        let before = self.of(shard).iter().find(|known| own.began_behind(known)).copied();
        before.map_or(Ok(()), |known| self.has_not_begun_behind(&known))
    }

    /// Whether a later tenure than this node's own is known of a shard. Then nothing that is confirmed to this one may be acted on:
    /// either the answer comes late, and the other has gone on, or the store has lost that tenure and all that was done in it.
    pub(crate) fn is_followed(&self, shard: ShardId) -> bool {
        let own = self.own.get(&shard).map(|own| own.epoch);
        let is_later = |mark: &Mark| own.is_some_and(|own| mark.epoch > own) && !planted::is("successor_overheard");
        self.of(shard).iter().any(is_later)
    }

    /// Whether this node has a tenure of a shard.
    pub(crate) fn has(&self, shard: ShardId) -> bool {
        self.own.contains_key(&shard)
    }

    /// This node's tenure of a shard is over.
    pub(crate) fn ended(&mut self, shard: ShardId) {
        self.own.remove(&shard);
    }

    /// Another node's mark was heard. An error: this node's present tenure of the shard began behind it.
    pub(crate) fn heard(&mut self, mark: Mark) -> Result<(), Lost> {
        self.raise(mark);
        self.has_not_begun_behind(&mark)
    }

    fn has_not_begun_behind(&mut self, mark: &Mark) -> Result<(), Lost> {
        let shard = mark.shard;
        match self.own.get(&shard) {
            Some(own) if own.began_behind(mark) => {
                let lost = Lost { shard, found: own.began, confirmed: mark.commits };
                self.diverged.insert(shard, lost);
                Err(lost)
            }
            _ => Ok(()),
        }
    }

    /// All marks, for other nodes.
    pub(crate) fn all(&self) -> Vec<Mark> {
        self.highest.values().flatten().copied().collect()
    }

    fn of(&self, shard: ShardId) -> &[Mark] {
        self.highest.get(&shard).map_or(&[], Vec::as_slice)
    }

    fn raise(&mut self, mark: Mark) {
        let marks = self.highest.entry(mark.shard).or_default();
        let tenure = (mark.epoch, mark.nonce);
        match marks.binary_search_by_key(&tenure, |known| (known.epoch, known.nonce)) {
            Ok(at) => marks[at].commits = marks[at].commits.max(mark.commits),
            Err(at) => marks.insert(at, mark),
        }
        let kept = if planted::is("one_mark_kept") { 1 } else { TENURES_KEPT };
        if marks.len() > kept {
            // The oldest, but never the highest of all.
            let is_highest = marks[1..].iter().all(|later| later.commits < marks[0].commits);
            marks.remove(usize::from(is_highest));
        }
    }
}

#[cfg(test)]
mod tests {
    use amends_store::Lease;

    use super::*;

    const SHARD: ShardId = ShardId(3);

    fn mark(epoch: u64, commits: u64) -> Mark {
        Mark { shard: SHARD, epoch: Epoch(epoch), nonce: Nonce(u128::from(epoch)), commits }
    }

    fn acquired(epoch: u64, commits: u64) -> Acquired {
        let lease = Lease { shard: SHARD, epoch: Epoch(epoch), nonce: Nonce(u128::from(epoch)) };
        Acquired { lease, commits }
    }

    #[test]
    fn a_store_that_has_all_is_worked_on() {
        let mut marks = Marks::default();
        assert_eq!(marks.heard(mark(1, 10)), Ok(()));
        assert_eq!(marks.acquired(&acquired(2, 10)), Ok(()));
        assert_eq!(marks.confirmed(mark(2, 11), true), Ok(()));
        assert_eq!(marks.confirmed(mark(2, 11), false), Ok(()), "a repeat");
        assert_eq!(marks.all(), [mark(1, 10), mark(2, 11)]);
    }

    #[test]
    fn a_take_over_behind_the_highest_that_was_heard_is_refused() {
        let mut marks = Marks::default();
        marks.heard(mark(1, 10)).unwrap();
        marks.heard(mark(1, 7)).unwrap();
        let lost = Lost { shard: SHARD, found: 9, confirmed: 10 };
        assert_eq!(marks.acquired(&acquired(2, 9)), Err(lost), "an older word doesn't lower it");
        assert_eq!(marks.compare(SHARD, 9), Err(lost), "and it stays so");
        assert_eq!(marks.compare(SHARD, 10), Ok(()), "until the store has it again");
    }

    #[test]
    fn an_owner_notices_by_the_numbers_of_its_own_commits() {
        let mut marks = Marks::default();
        marks.acquired(&acquired(2, 5)).unwrap();
        marks.confirmed(mark(2, 9), true).unwrap();
        for (number, is_new) in [(9, true), (6, true), (8, false)] {
            let lost = marks.confirmed(mark(2, number), is_new).unwrap_err();
            assert_eq!((lost.confirmed, lost.found), (9, number - 1), "{number}");
        }
        assert_eq!(marks.acquired(&acquired(3, 6)), Err(Lost { shard: SHARD, found: 6, confirmed: 9 }));
    }

    #[test]
    fn a_store_that_fell_back_is_noticed_without_a_commit() {
        let tenure = |commits| Tenure {
            shard: SHARD,
            epoch: Epoch(2),
            nonce: Nonce(2),
            node: "a".into(),
            held_until: None,
            commits,
        };
        let lost = Lost { shard: SHARD, found: 9, confirmed: 10 };
        assert_eq!(Marks::behind(&[mark(1, 10)], &[tenure(9)]), [lost]);
        assert_eq!(Marks::behind(&[mark(1, 10)], &[]), [Lost { found: 0, ..lost }], "the shard is gone");
        assert_eq!(Marks::behind(&[mark(1, 10)], &[tenure(10)]), []);
        assert_eq!(Marks::behind(&[mark(1, 0)], &[]), [], "it never had anything");
    }

    /// The one who saw more was away when the shard was taken, and comes back.
    #[test]
    fn a_tenure_that_began_behind_is_noticed_later() {
        let mut marks = Marks::default();
        marks.acquired(&acquired(5, 90)).unwrap();
        marks.confirmed(mark(5, 120), true).unwrap();
        assert_eq!(marks.heard(mark(4, 90)), Ok(()), "just where this one began");
        assert_eq!(marks.heard(mark(4, 100)), Err(Lost { shard: SHARD, found: 90, confirmed: 100 }));
        assert_eq!(
            marks.compare(SHARD, 1_000).unwrap_err().confirmed,
            100,
            "the store has gone on without it: for good"
        );
    }

    /// The word of a later tenure overtakes the answer to this one's last commit.
    #[test]
    fn a_later_tenures_mark_is_no_loss() {
        let mut marks = Marks::default();
        marks.acquired(&acquired(5, 90)).unwrap();
        assert_eq!(marks.heard(mark(6, 130)), Ok(()));
        assert_eq!(marks.confirmed(mark(5, 91), true), Ok(()));
        assert_eq!(marks.all(), [mark(5, 91), mark(6, 130)]);
    }

    /// Its successor did something, and a fail-over lost that and the acquisition: the store takes this one for the owner again.
    #[test]
    fn an_owner_that_has_heard_of_its_successor_acts_on_nothing_more() {
        let mut marks = Marks::default();
        marks.acquired(&acquired(5, 90)).unwrap();
        marks.heard(mark(4, 90)).unwrap();
        assert!(!marks.is_followed(SHARD));
        marks.heard(mark(6, 91)).unwrap();
        assert_eq!(marks.confirmed(mark(5, 91), true), Ok(()), "the numbers show nothing");
        assert!(marks.is_followed(SHARD));
        marks.ended(SHARD);
        assert!(!marks.is_followed(SHARD));
        assert_eq!(marks.acquired(&acquired(7, 91)), Ok(()));
        assert!(!marks.is_followed(SHARD));
    }

    /// A node takes in the present owner's word before it answers with its own.
    #[test]
    fn a_later_tenures_word_does_not_wipe_out_the_one_before() {
        let (mut owner, mut other) = (Marks::default(), Marks::default());
        other.heard(mark(1, 5)).unwrap();
        owner.acquired(&acquired(2, 4)).unwrap();
        owner.confirmed(mark(2, 6), true).unwrap();
        owner.all().into_iter().for_each(|mark| other.heard(mark).unwrap());
        let told = other.all().into_iter().find_map(|mark| owner.heard(mark).err());
        assert_eq!(told, Some(Lost { shard: SHARD, found: 4, confirmed: 5 }));
    }

    #[test]
    fn marks_of_the_last_tenures_are_kept_and_the_highest_of_all() {
        let mut marks = Marks::default();
        (1..=9).for_each(|epoch| marks.heard(mark(epoch, 10 * epoch)).unwrap());
        assert_eq!(marks.all(), [mark(6, 60), mark(7, 70), mark(8, 80), mark(9, 90)]);
        let mut marks = Marks::default();
        marks.heard(mark(1, 100)).unwrap();
        (2..=9).for_each(|epoch| marks.heard(mark(epoch, epoch)).unwrap());
        assert_eq!(marks.all(), [mark(1, 100), mark(7, 7), mark(8, 8), mark(9, 9)]);
    }

    fn twin(commits: u64) -> Mark {
        Mark { nonce: Nonce(99), ..mark(5, commits) }
    }

    /// The store lost an acquisition and gave its epoch again, to this node.
    #[test]
    fn an_epoch_given_again_is_noticed() {
        let lost = Lost { shard: SHARD, found: 90, confirmed: 100 };
        let mut marks = Marks::default();
        marks.acquired(&acquired(5, 90)).unwrap();
        marks.confirmed(mark(5, 91), true).unwrap();
        assert_eq!(marks.heard(twin(90)), Ok(()), "it had done nothing");
        assert_eq!(marks.heard(twin(100)), Err(lost));

        let mut marks = Marks::default();
        marks.acquired(&acquired(5, 90)).unwrap();
        assert_eq!(marks.heard(twin(100)), Ok(()), "it may have come later, and this one have lost nothing");
        assert_eq!(marks.confirmed(mark(5, 91), true), Err(lost));
    }

    #[test]
    fn what_is_lost_is_said_in_plain_words() {
        let said = Lost { shard: SHARD, found: 90, confirmed: 100 }.to_string();
        assert!(
            said.starts_with("shard 3 is frozen: its store is at commit 90, but commit 100 was confirmed"),
            "{said}"
        );
        assert!(said.contains("at least 10 confirmed changes are lost"), "{said}");
    }
}
