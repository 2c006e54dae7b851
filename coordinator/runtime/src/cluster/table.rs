//! Where each shard is, as this node knows it: what its requests are sent by and what people are shown.
//!
//! A node's shards and its membership write here, the coordinator and the server read. It decides nothing. Invariant: a shard
//! that is [`Place::Here`] has an owner in this node that takes requests, or will take them as soon as it has acquired it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use amends_engine::time::Timestamp;
use amends_store::{Acquired, NodeRecord, ShardId, Tenure};
use tokio::sync::watch;

use super::marks::{Lost, Mark, Marks};

/// Where a shard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// With this node.
    Here,
    /// With another node, which is reached at this address.
    At {
        /// Its name.
        node: String,
        /// Where its gRPC is.
        address: String,
    },
    /// Nobody has it: its node is gone and the next one hasn't taken it yet.
    Nowhere,
    /// Its store has lost commits; nobody works on it.
    Frozen(Lost),
}

/// Everything that a node knows about its cluster.
#[derive(Debug)]
pub(crate) struct Table {
    inner: Mutex<Inner>,
    /// Says that something has changed; the number itself means nothing.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By shard.
    shards: Vec<Row>,
    marks: Marks,
    /// Whether another node could take a shard from this node.
    heirs: bool,
    /// How many nodes may be given shards.
    living: usize,
    /// What is frozen with other nodes, as each last said.
    frozen_elsewhere: BTreeMap<String, Vec<Lost>>,
}

#[derive(Debug, Clone, Default)]
struct Row {
    here: bool,
    /// Whether a lease may be held here, or is just being asked for or given back.
    held: bool,
    /// Who has it by the last look at the store.
    holder: Option<(String, String)>,
    frozen: Option<Lost>,
}

impl Table {
    pub(crate) fn new(shards: u16) -> Self {
        let inner = Inner { shards: vec![Row::default(); usize::from(shards)], ..Inner::default() };
        Self { inner: Mutex::new(inner), changed: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let answer = change(&mut self.lock());
        self.changed.send_modify(|number| *number += 1);
        answer
    }

    /// Told at every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn place(&self, shard: ShardId) -> Place {
        let inner = self.lock();
        let Some(row) = inner.shards.get(usize::from(shard.0)) else { return Place::Nowhere };
        let elsewhere = || inner.frozen_elsewhere.values().flatten().find(|lost| lost.shard == shard);
        if let Some(lost) = row.frozen.as_ref().or_else(elsewhere) {
            return Place::Frozen(*lost);
        }
        match &row.holder {
            _ if row.here => Place::Here,
            Some((node, address)) => Place::At { node: node.clone(), address: address.clone() },
            None => Place::Nowhere,
        }
    }

    /// Requests for the shard are taken here, or are not any more.
    pub(crate) fn set_here(&self, shard: ShardId, here: bool) {
        self.change(|inner| {
            if let Some(row) = inner.shards.get_mut(usize::from(shard.0)) {
                row.here = here;
                if here {
                    row.holder = None;
                }
            }
        });
    }

    /// A lease may be held here from now on, or is not any more.
    pub(crate) fn set_held(&self, shard: ShardId, held: bool) {
        self.change(|inner| {
            if let Some(row) = inner.shards.get_mut(usize::from(shard.0)) {
                row.held = held;
            }
        });
    }

    /// Whether any lease may be held here.
    pub(crate) fn holds_any(&self) -> bool {
        self.lock().shards.iter().any(|row| row.held)
    }

    /// Whether another node is there that could take what this one gives back.
    pub(crate) fn has_heir(&self) -> bool {
        self.lock().heirs
    }

    /// How many living nodes share the work, this one included.
    pub(crate) fn living(&self) -> usize {
        self.lock().living.max(1)
    }

    /// A shard was acquired: whether it may be worked on. It is frozen where it may not.
    pub(crate) fn acquired(&self, acquired: &Acquired) -> Result<(), Lost> {
        let may = self.lock().marks.acquired(acquired);
        self.freeze(acquired.lease.shard, may.err());
        may
    }

    /// Whether a store that is at this number has all that was confirmed; the shard stays frozen where it hasn't.
    pub(crate) fn compare(&self, shard: ShardId, found: u64) -> Result<(), Lost> {
        let may = self.lock().marks.compare(shard, found);
        self.freeze(shard, may.err());
        may
    }

    fn freeze(&self, shard: ShardId, lost: Option<Lost>) {
        self.change(|inner| {
            if let Some(row) = inner.shards.get_mut(usize::from(shard.0)) {
                row.frozen = lost;
            }
        });
    }

    /// A commit was confirmed to this node.
    pub(crate) fn confirmed(&self, mark: Mark, is_new: bool) -> Result<(), Lost> {
        // Wakes nobody: there are many of these, and no request is waiting for one.
        self.lock().marks.confirmed(mark, is_new)
    }

    /// Whether a later tenure of a shard is known than this node's own.
    pub(crate) fn is_followed(&self, shard: ShardId) -> bool {
        self.lock().marks.is_followed(shard)
    }

    /// This node's tenure of a shard is over.
    pub(crate) fn ended(&self, shard: ShardId) {
        self.lock().marks.ended(shard);
    }

    /// All marks, for other nodes.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        self.lock().marks.all()
    }

    /// What is frozen here.
    pub(crate) fn frozen(&self) -> Vec<Lost> {
        self.lock().shards.iter().filter_map(|row| row.frozen).collect()
    }

    /// Another node's marks were heard. Gives this node's shards that began behind them; they are shown as frozen from now on.
    pub(crate) fn heard(&self, marks: &[Mark]) -> Vec<Lost> {
        let behind: Vec<Lost> = {
            let mut inner = self.lock();
            marks.iter().filter_map(|mark| inner.marks.heard(*mark).err()).collect()
        };
        behind.iter().for_each(|lost| self.freeze(lost.shard, Some(*lost)));
        behind
    }

    /// The store was read, these marks having been taken before. Gives the shards that this node works on though they are behind;
    /// they are shown as frozen from now on.
    pub(crate) fn read(&self, before: &[Mark], tenures: &[Tenure]) -> Vec<Lost> {
        let mut behind = Marks::behind(before, tenures);
        behind.retain(|lost| self.lock().marks.has(lost.shard));
        behind.iter().for_each(|lost| self.freeze(lost.shard, Some(*lost)));
        behind
    }

    /// The store was looked at, at this time of its clock, by the node of this name; `living`: who may be given shards.
    pub(crate) fn looked(&self, me: &str, living: &[&str], nodes: &[NodeRecord], tenures: &[Tenure], now: Timestamp) {
        self.change(|inner| {
            inner.living = living.len();
            inner.heirs = living.iter().any(|node| *node != me);
            for row in &mut inner.shards {
                row.holder = None;
            }
            for tenure in tenures.iter().filter(|tenure| tenure.is_held(now) && tenure.node != me) {
                let address = nodes.iter().find(|node| node.name == tenure.node).map(|node| node.address.clone());
                if let Some(row) = inner.shards.get_mut(usize::from(tenure.shard.0)).filter(|row| !row.here) {
                    row.holder = address.map(|address| (tenure.node.clone(), address));
                }
            }
            inner.frozen_elsewhere.retain(|name, _| nodes.iter().any(|node| node.name == *name));
        });
    }

    /// Another node said what is frozen with it; replaces what it said before.
    pub(crate) fn frozen_elsewhere(&self, node: &str, all: Vec<Lost>) {
        self.change(|inner| inner.frozen_elsewhere.insert(node.to_owned(), all));
    }
}
