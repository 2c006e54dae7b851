//! How many sagas are open, by kind: a census when a shard is acquired, counted along with its commits from then on.
//!
//! The census comes from the store and takes a while, and the owner doesn't wait for it: until it is there its commits are kept, each
//! with its number, and those that the census doesn't know yet are counted after it. Nothing here asks the store; the server does,
//! for the shards that [`Tally::wanted`] gives. Invariants: a shard's counts are those of the store at its last commit that this
//! node knows of; a shard that is lost counts nothing here, because its next owner counts it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_engine::ids::{DefinitionName, Namespace};
use amends_engine::saga::{Saga, StuckReason};
use amends_engine::standing::{self, StatusWord};
use amends_store::{Census, Committed, Lease, OpenCount, ShardId};

/// Most commits that are kept while a census is on its way; past that they are dropped, and a newer census is needed.
const KEPT_MAX: usize = 16 * 1024;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Whose.
    pub namespace: Namespace,
    /// Of which definition.
    pub definition: DefinitionName,
    /// With which status.
    pub status: StatusWord,
    /// Why they are stuck; `None` where they aren't.
    pub stuck: Option<StuckReason>,
}

impl Kind {
    /// The kind of a saga; `None` for one that has ended.
    pub fn of(saga: &Saga) -> Option<Self> {
        let head = &saga.state.head;
        (!saga.state.phase.is_terminal()).then(|| Self {
            namespace: head.key.namespace.clone(),
            definition: head.definition.clone(),
            status: standing::status(saga),
            stuck: saga.stuck().map(|stuck| stuck.reason),
        })
    }

    /// `None` for words of a newer version.
    fn of_store(count: &OpenCount) -> Option<Self> {
        let status = StatusWord::ALL.into_iter().find(|word| word.as_str() == count.status)?;
        let reason = |text: &String| StuckReason::ALL.into_iter().find(|reason| reason.as_str() == text);
        let stuck = count.stuck.as_ref().and_then(reason);
        Some(Self { namespace: count.namespace.clone(), definition: count.definition.clone(), status, stuck })
    }
}

/// A saga that a commit moved from one kind to another; `None`: it was not there, or has ended.
#[derive(Debug)]
struct Move {
    number: u64,
    from: Option<Kind>,
    to: Option<Kind>,
}

/// One shard that this node has.
#[derive(Debug)]
struct Shard {
    lease: Lease,
    counts: BTreeMap<Kind, i64>,
    /// Commits since a census was asked for; `None`: it has one.
    since: Option<Vec<Move>>,
    /// A census that is older than this commit is of no use: later ones were dropped.
    at_least: u64,
}

impl Shard {
    fn apply(&mut self, from: Option<Kind>, to: Option<Kind>) {
        for (kind, by) in from.into_iter().map(|kind| (kind, -1)).chain(to.map(|kind| (kind, 1))) {
            *self.counts.entry(kind).or_default() += by;
        }
    }
}

/// The shards of one node.
#[derive(Debug, Default)]
pub struct Tally {
    shards: Mutex<BTreeMap<ShardId, Shard>>,
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tenure begins.
    pub(crate) fn began(&self, lease: Lease) {
        let shard = Shard { lease, counts: BTreeMap::new(), since: Some(Vec::new()), at_least: 0 };
        self.lock().insert(lease.shard, shard);
    }

    /// A tenure is over.
    pub(crate) fn ended(&self, shard: ShardId) {
        self.lock().remove(&shard);
    }

    /// A commit is durable that may have moved its saga.
    pub(crate) fn committed(&self, lease: Lease, committed: Committed, from: Option<Kind>, to: Option<Kind>) {
        let mut shards = self.lock();
        let Some(shard) = shards.get_mut(&lease.shard).filter(|shard| shard.lease == lease) else { return };
        match committed {
            Committed::Now { number } => match &mut shard.since {
                None => shard.apply(from, to),
                Some(since) if since.len() < KEPT_MAX => since.push(Move { number, from, to }),
                Some(since) => {
                    since.clear();
                    shard.at_least = number;
                }
            },
            // Which number it had isn't known, and so not whether a census has it.
            Committed::Duplicate { number } => {
                shard.since = Some(Vec::new());
                shard.at_least = number;
            }
        }
    }

    /// The store has a commit of this shard that this node was not told of: counted anew.
    pub(crate) fn recount(&self, lease: Lease) {
        if let Some(shard) = self.lock().get_mut(&lease.shard).filter(|shard| shard.lease == lease) {
            shard.since = Some(Vec::new());
        }
    }

    /// The tenures that need a census.
    pub fn wanted(&self) -> Vec<Lease> {
        self.lock().values().filter(|shard| shard.since.is_some()).map(|shard| shard.lease).collect()
    }

    /// The shards that are had here.
    pub fn had(&self) -> Vec<ShardId> {
        self.lock().keys().copied().collect()
    }

    /// The statuses of which a shard has any open saga, each once.
    pub fn open_statuses(&self, shard: ShardId) -> Vec<StatusWord> {
        let shards = self.lock();
        let counts = shards.get(&shard).into_iter().flat_map(|shard| &shard.counts);
        let found: BTreeSet<StatusWord> =
            counts.filter(|(_, count)| **count > 0).map(|(kind, _)| kind.status).collect();
        found.into_iter().collect()
    }

    /// Takes a census in that was asked for after [`Tally::wanted`] gave the tenure. False: it is of no use, and another one is
    /// needed.
    pub fn take_in(&self, lease: Lease, census: &Census) -> bool {
        let mut shards = self.lock();
        let Some(shard) = shards.get_mut(&lease.shard).filter(|shard| shard.lease == lease) else { return false };
        if census.commits < shard.at_least {
            return false;
        }
        let Some(since) = shard.since.take() else { return true };
        shard.counts.clear();
        for count in &census.open {
            if let Some(kind) = Kind::of_store(count) {
                *shard.counts.entry(kind).or_default() += i64::try_from(count.count).unwrap_or(i64::MAX);
            }
        }
        for Move { number, from, to } in since {
            // What came and went before the census has its series all the same.
            for kind in [&from, &to].into_iter().flatten() {
                shard.counts.entry(kind.clone()).or_default();
            }
            if number > census.commits {
                shard.apply(from, to);
            }
        }
        true
    }

    /// How many sagas of each kind are open in all shards that are had here. A kind that was seen once stays, with 0.
    pub fn counts(&self) -> BTreeMap<Kind, u64> {
        let mut all: BTreeMap<Kind, i64> = BTreeMap::new();
        for shard in self.lock().values() {
            for (kind, count) in &shard.counts {
                *all.entry(kind.clone()).or_default() += count;
            }
        }
        all.into_iter().map(|(kind, count)| (kind, u64::try_from(count).unwrap_or(0))).collect()
    }
}

#[cfg(test)]
mod tests;
