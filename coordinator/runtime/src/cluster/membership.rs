//! The shell of a node's membership: says that it is there, looks who else is and who has what, and orders its shards about.
//!
//! ```text
//!   each heartbeat, and at once on news:  heartbeat ─► nodes, tenures, now ─► decide (pure) ─► one order per shard
//!   beside it:                            marks and news to every other node, and theirs back
//! ```
//!
//! It decides nothing and holds no lease itself. A store that doesn't answer changes no order: leases then run out by
//! themselves. Invariant: orders come from here alone, one channel per shard.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_store::{NodeRecord, ShardId, Store, StoreError, Tenure};
use futures::future::join_all;
use tokio::sync::{Notify, watch};

use super::decide::{Order, View, decide, living};
use super::marks::{Lost, Mark};
use super::peers::{Peers, Word};
use super::table::Table;
use crate::config::RuntimeConfig;
use crate::definitions::Definitions;
use crate::error::with_sources;
use crate::holds::Holds;
use crate::participant::Directory;
use crate::seam::{Running, Seams, sleep};

/// The least time between two looks, so that news can't make a node spin.
const BREATH: Duration = Duration::from_millis(20);
/// A record is removed when its node was silent for so many times as long as makes it dead.
const FORGOTTEN_AFTER: u32 = 12;

/// What a node's membership is made of.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) config: Arc<RuntimeConfig>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) definitions: Definitions,
    pub(crate) holds: Arc<Holds>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) started_at: Timestamp,
    /// Whether it has said that it is there.
    pub(crate) said: AtomicBool,
}

/// What a node's parts share about its cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) table: Table,
    me: String,
    peers: Arc<dyn Peers>,
    /// Where participants' instances are.
    directory: Arc<Directory>,
    seams: Seams,
    /// Nodes that may hear a word, as of the last look.
    others: Mutex<Vec<NodeRecord>>,
    /// By shard. One channel each: tokio's `watch` wakes several receivers in an order of its own chance, which no seed could
    /// replay.
    orders: Vec<watch::Sender<Order>>,
    /// Look now.
    look: Notify,
    /// Whether this node gives back what it has and takes nothing more.
    leaving: AtomicBool,
    /// Whether it does so for as long as a later process has its name.
    displaced: AtomicBool,
    /// Whether others should hear of something at once.
    news: AtomicBool,
    /// What shards have to say that many have to say alike, and how many.
    said: Mutex<BTreeMap<String, usize>>,
}

impl Cluster {
    pub(crate) fn new(shards: u16, me: String, peers: Arc<dyn Peers>, directory: Arc<Directory>, seams: Seams) -> Self {
        Self {
            table: Table::new(shards),
            me,
            peers,
            directory,
            seams,
            others: Mutex::default(),
            orders: (0..shards).map(|_| watch::Sender::new(Order::Leave)).collect(),
            look: Notify::new(),
            leaving: AtomicBool::new(false),
            displaced: AtomicBool::new(false),
            news: AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    /// Where a shard's supervisor gets its orders.
    pub(crate) fn orders(&self, shard: ShardId) -> Option<watch::Receiver<Order>> {
        self.orders.get(usize::from(shard.0)).map(watch::Sender::subscribe)
    }

    fn give(&self, shard: ShardId, order: Order) {
        let Some(tell) = self.orders.get(usize::from(shard.0)) else { return };
        let is_new = tell.send_if_modified(|before| {
            // Judged while the channel is held: an order that was thought out before this node began to leave counts no more.
            let order = if self.is_leaving() { Order::Leave } else { order };
            std::mem::replace(before, order) != order
        });
        if is_new && *tell.borrow() == Order::Take {
            // Requests may wait for it from now on.
            self.table.set_here(shard, true);
        }
    }

    /// Something has changed that other nodes should know at once.
    pub(crate) fn tell(&self) {
        self.news.store(true, Ordering::SeqCst);
        self.look.notify_one();
    }

    /// A shard has this to say, as a warning. Its like are said together, once, within a moment.
    pub(crate) fn say(&self, what: impl Into<String>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner).entry(what.into()).or_default() += 1;
        self.look.notify_one();
    }

    fn say_all(&self) {
        let all = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        for (what, shards) in all {
            tracing::warn!(shards, "{what}");
        }
    }

    /// Looks at once.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// This node gives back what it has and takes nothing more.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        self.leave_all();
    }

    fn leave_all(&self) {
        // At once, and also when the store doesn't answer.
        self.all_shards().for_each(|shard| self.give(shard, Order::Leave));
        // Until the others have read that this node leaves, they place shards on it.
        self.tell();
    }

    fn all_shards(&self) -> impl Iterator<Item = ShardId> {
        (0..u16::try_from(self.orders.len()).unwrap_or(u16::MAX)).map(ShardId)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst) || self.displaced.load(Ordering::SeqCst)
    }

    /// Another node has said something: takes it in.
    pub(crate) fn hear(&self, word: Word) {
        self.stand_still(&self.table.heard(&word.marks));
        self.table.frozen_elsewhere(&word.node, word.frozen);
        self.directory.take_in(word.instances, self.seams.now());
        if word.news {
            self.look.notify_one();
        }
    }

    /// Ends this node's tenures of shards that have lost something. The next look orders them to be taken again; that is refused
    /// then for as long as the store is behind.
    fn stand_still(&self, all: &[Lost]) {
        for lost in all {
            tracing::error!("{lost}");
            self.give(lost.shard, Order::Leave);
        }
    }

    /// Tells all other nodes at once that something has changed, and waits until each has heard it or can't be reached.
    pub(crate) async fn announce(&self) {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        join_all(others.iter().map(|node| self.exchange(node, true))).await;
    }

    async fn exchange(&self, node: &NodeRecord, news: bool) {
        match self.peers.exchange(node, self.word(news)).await {
            Some(word) => self.hear(word),
            None => tracing::debug!(node = node.name, address = node.address, "another node can't be reached"),
        }
    }

    /// What this node tells others.
    pub(crate) fn word(&self, news: bool) -> Word {
        let instances = self.directory.to_tell(self.seams.now());
        Word { node: self.me.clone(), marks: self.table.marks(), frozen: self.table.frozen(), news, instances }
    }
}

/// What one look at the store gave.
struct Seen {
    now: Timestamp,
    /// What was confirmed before it.
    marks: Vec<Mark>,
    nodes: Vec<NodeRecord>,
    tenures: Vec<Tenure>,
}

impl Membership {
    /// The first look, before a node takes requests. A store that doesn't answer is asked again by [`Self::run`].
    pub(crate) async fn begin(&self) {
        // Before the first shard is taken: until then everything is held.
        self.read_holds().await;
        if let Some(seen) = self.look().await {
            // Before the first shard is taken: what the others saw may be more than the store has.
            self.note_others(&seen);
            self.cluster.announce().await;
            self.order(&seen);
        }
    }

    /// Runs until it is aborted.
    pub(crate) async fn run(self) {
        let mut talks: BTreeMap<String, Running> = BTreeMap::new();
        loop {
            sleep(BREATH).await;
            tokio::select! {
                biased;
                () = self.cluster.look.notified() => {}
                () = sleep(self.config.heartbeat.saturating_sub(BREATH)) => {}
            }
            self.cluster.say_all();
            let news = self.cluster.news.swap(false, Ordering::SeqCst);
            let Some(seen) = self.look().await else {
                // Nobody has heard it yet.
                self.cluster.news.fetch_or(news, Ordering::SeqCst);
                continue;
            };
            self.order(&seen);
            // After the orders, or they would take at once what is to be left.
            self.cluster.stand_still(&self.cluster.table.read(&seen.marks, &seen.tenures));
            let others = self.note_others(&seen);
            talks.retain(|name, _| others.iter().any(|node| node.name == *name));
            if !others.is_empty() {
                // Another node may have registered, deprecated or paused something, and its word may have been lost.
                self.definitions.look_again();
            }
            if !others.is_empty() || !self.holds.are_known() {
                self.read_holds().await;
            }
            for node in others {
                self.talk(&mut talks, node, news);
            }
            self.forget_the_dead(&seen).await;
        }
    }

    async fn read_holds(&self) {
        match self.holds.read().await {
            Ok(()) => {}
            Err(error) if error.is_said_by_store() => {}
            Err(error) => {
                let error = with_sources(&error);
                tracing::warn!(error, "the store doesn't say which definitions are paused; trying again");
            }
        }
    }

    /// Reads who is there and who has what, and says that this node is there. The time is read first, so that a slow answer
    /// makes nobody look older than it is.
    async fn look(&self) -> Option<Seen> {
        let looked = async {
            let (now, marks) = (self.store.now().await?, self.cluster.table.marks());
            let (nodes, tenures) = (self.store.nodes().await?, self.store.tenures().await?);
            if !self.makes_way(now, &nodes) {
                self.store.heartbeat(&self.record()).await?;
                self.said.store(true, Ordering::SeqCst);
            }
            Ok::<_, StoreError>(Seen { now, marks, nodes, tenures })
        };
        match looked.await {
            Ok(seen) => Some(seen),
            Err(error) if error.is_said_by_store() => None,
            Err(error) => {
                let error = with_sources(&error);
                tracing::warn!(error, "the store doesn't say who shares its shards; trying again");
                None
            }
        }
    }

    /// Leaves for as long as a later process with this node's name is heard of: they would take each other's shards for ever. It may
    /// be that this one stood still for so long that it was replaced. Once the other falls silent this one goes on: it may have been
    /// a dead predecessor's last word, from a clock that was ahead, and then nobody else would work.
    fn makes_way(&self, now: Timestamp, nodes: &[NodeRecord]) -> bool {
        let is_newer = |node: &NodeRecord| {
            let is_heard = now.since(node.heard_at) < self.config.lease;
            node.name == self.config.node && node.started_at > self.started_at && is_heard
        };
        // Before the first word of this one, a record of its name is its dead predecessor's, whatever the clock said then.
        let is_replaced = self.said.load(Ordering::SeqCst) && nodes.iter().any(is_newer);
        let was_replaced = self.cluster.displaced.swap(is_replaced, Ordering::SeqCst);
        let node = self.config.node.as_str();
        if is_replaced && !was_replaced {
            tracing::error!(
                node,
                "a later process has this node's name; this one takes no shards while that runs: give each its own"
            );
            self.cluster.leave_all();
        } else if was_replaced && !is_replaced {
            tracing::warn!(node, "the later process with this node's name is silent; this one takes shards again");
        }
        is_replaced
    }

    fn record(&self) -> NodeRecord {
        NodeRecord {
            name: self.config.node.clone(),
            address: self.config.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            draining: self.cluster.is_leaving(),
            heard_at: Timestamp(0),
        }
    }

    /// Orders each shard to be taken or left.
    fn order(&self, seen: &Seen) {
        let view = View {
            me: &self.config.node,
            leaving: self.cluster.is_leaving(),
            now: seen.now,
            silence: self.config.lease,
            shards: u16::try_from(self.cluster.orders.len()).unwrap_or(u16::MAX),
            nodes: &seen.nodes,
            tenures: &seen.tenures,
        };
        self.cluster.table.looked(view.me, &living(&view), &seen.nodes, &seen.tenures, seen.now);
        for (shard, order) in self.cluster.all_shards().zip(decide(&view)) {
            self.cluster.give(shard, order);
        }
    }

    /// Nodes that may hear a word: those that were heard of late, also the leaving.
    fn note_others(&self, seen: &Seen) -> Vec<NodeRecord> {
        let lives =
            |node: &&NodeRecord| node.name != self.config.node && seen.now.since(node.heard_at) < self.config.lease;
        let others: Vec<NodeRecord> = seen.nodes.iter().filter(lives).cloned().collect();
        self.cluster.others.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&others);
        others
    }

    /// Exchanges words with a node, beside everything else: one that can't be reached must not hold up the rest.
    fn talk(&self, talks: &mut BTreeMap<String, Running>, node: NodeRecord, news: bool) {
        if !news && talks.get(&node.name).is_some_and(|talk| !talk.is_finished()) {
            return;
        }
        let (cluster, name) = (self.cluster.clone(), node.name.clone());
        let talk = Running::spawn(async move { cluster.exchange(&node, news).await });
        talks.insert(name, talk);
    }

    async fn forget_the_dead(&self, seen: &Seen) {
        let silence = self.config.lease.saturating_mul(FORGOTTEN_AFTER);
        for node in seen.nodes.iter().filter(|node| seen.now.since(node.heard_at) > silence) {
            if let Err(error) = self.store.forget_node(&node.name).await {
                tracing::debug!(
                    node = node.name,
                    error = with_sources(&error),
                    "a dead node's record stays a little longer"
                );
            }
        }
    }
}
