//! Everything that survives a node's crash: the store, the participants, what is on its way, and the record of the run.
//!
//! It runs nothing by itself; tasks that carry something (a delivery, a callback, a client) are counted while they are under
//! way. Invariant: the world is at rest only when no task of it is under way, so that a late copy can't land after the
//! verdict.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use amends_engine::ids::{ParticipantName, SagaKey};
use amends_engine::saga::Saga;
use amends_runtime::seam::Clock as _;
use amends_runtime::{Coordinator, Place};
use amends_store::memory::MemoryStore;
use amends_store::{Store, record};

use crate::durable::Durability;
use crate::faults::{FaultPlan, Faults};
use crate::judge::Judge;
use crate::library::{Library, Registered};
use crate::participants::{Conduct, Participants};
use crate::process::Process;
use crate::seams::{Dice, SetClock, VirtualClock};
use crate::strike::Outages;
use crate::trace::{Trace, lock};

/// How many shards the store has: more than one, so that sagas of one run have different owners.
const SHARDS: u16 = 3;

/// Streams of random numbers, one for each purpose.
pub(crate) mod stream {
    pub(crate) const FAULTS: u64 = 1;
    pub(crate) const LOAD: u64 = 2;
    pub(crate) const NETWORK: u64 = 3;
    pub(crate) const STORE: u64 = 4;
    pub(crate) const PEERS: u64 = 5;
    pub(crate) const PEOPLE: u64 = 6;
    /// Downtimes; the lives of the nodes have the numbers after it.
    pub(crate) const NODES: u64 = 100;
}

/// A node that can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Reachable {
    pub(crate) process: Arc<Process>,
    pub(crate) coordinator: Coordinator,
}

/// The world around the nodes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) trace: Trace,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) durability: Durability,
    pub(crate) outages: Arc<Outages>,
    pub(crate) judge: Judge,
    pub(crate) faults: Faults,
    pub(crate) participants: Participants,
    /// Everybody who is called.
    pub(crate) called: Vec<ParticipantName>,
    /// Delays on the way to participants.
    pub(crate) network: Dice,
    /// Delays on the way to the store.
    pub(crate) wire: Dice,
    /// Delays between nodes.
    pub(crate) peers: Dice,
    /// What people do who aren't sure.
    pub(crate) people: Dice,
    /// By machine.
    nodes: Mutex<BTreeMap<u32, Reachable>>,
    acknowledged: Mutex<Vec<SagaKey>>,
    under_way: AtomicUsize,
}

impl World {
    /// A world in which nothing has happened yet.
    pub(crate) fn new(seed: u64, plan: FaultPlan, conduct: Conduct, library: &Library) -> Self {
        let clock = Arc::new(VirtualClock::new());
        let outages = Arc::new(Outages::default());
        let time = {
            let (clock, outages) = (clock.clone(), outages.clone());
            Arc::new(move || SetClock::new(clock.clone(), outages.store_clock()).now())
        };
        let participants = Participants::new(conduct);
        for (definition, replies) in library.replies() {
            participants.answer(definition.clone(), replies.clone());
        }
        Self {
            seed,
            trace: Trace::new(clock.clone()),
            store: Arc::new(MemoryStore::new(SHARDS, time)),
            durability: Durability::default(),
            outages,
            judge: Judge::default(),
            faults: Faults::new(plan, Dice::new(seed, stream::FAULTS), conduct.bears_copies()),
            participants,
            called: library.participants(),
            network: Dice::new(seed, stream::NETWORK),
            wire: Dice::new(seed, stream::STORE),
            peers: Dice::new(seed, stream::PEERS),
            people: Dice::new(seed, stream::PEOPLE),
            nodes: Mutex::default(),
            acknowledged: Mutex::default(),
            under_way: AtomicUsize::new(0),
            clock,
        }
    }

    /// The node that a request for this saga reaches, if any runs: the one that has its shard by its own word, which is where
    /// the others would send it on to.
    pub(crate) fn node_for(&self, key: &SagaKey) -> Option<Reachable> {
        let nodes = lock(&self.nodes);
        let owner = nodes.values().find(|it| it.coordinator.place(key) == Place::Here);
        owner.or_else(|| nodes.values().next()).cloned()
    }

    /// The node of this name, for other nodes.
    pub(crate) fn node_named(&self, name: &str) -> Option<Reachable> {
        lock(&self.nodes).values().find(|it| it.coordinator.node() == name).cloned()
    }

    /// A machine's node is reached from now on, or isn't any more.
    pub(crate) fn set_node(&self, machine: u32, node: Option<Reachable>) {
        let mut nodes = lock(&self.nodes);
        match node {
            Some(node) => nodes.insert(machine, node),
            None => nodes.remove(&machine),
        };
    }

    /// Does something beside the rest of the world; the world isn't at rest before it has ended.
    pub(crate) fn run<F>(self: &Arc<Self>, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let world = self.clone();
        world.under_way.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            task.await;
            world.under_way.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Whether any task of the world is still to end.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) > 0
    }

    /// A start was acknowledged to a client.
    pub(crate) fn acknowledge(&self, key: &SagaKey) {
        lock(&self.acknowledged).push(key.clone());
    }

    /// All acknowledged starts.
    pub(crate) fn acknowledged(&self) -> Vec<SagaKey> {
        lock(&self.acknowledged).clone()
    }

    /// Every saga that was ever made durable, as the store has it now.
    pub(crate) async fn sagas(&self) -> Vec<Saga> {
        let mut sagas = Vec::new();
        for key in self.judge.keys() {
            match self.store.get(&key).await {
                Ok(Some(stored)) => sagas.extend(self.judge.revive(&stored.state, &self.trace)),
                Ok(None) | Err(_) => self.trace.violated("I5", format!("saga {key} was committed and is gone")),
            }
        }
        sagas
    }

    /// Whether the history in the store is whole: as many entries as the state counts, without gaps, all readable.
    pub(crate) async fn check_history(&self, saga: &Saga) {
        let (key, length) = (&saga.state.head.key, saga.state.history_length);
        let entries = self.store.history(key, 0, usize::MAX).await.unwrap_or_default();
        let in_order = entries.iter().zip(0..).all(|((sequence, _), expected)| *sequence == expected);
        let readable = entries.iter().all(|(_, entry)| record::decode_history(entry).is_ok());
        if entries.len() as u64 != length || !in_order || !readable {
            self.trace.violated("history", format!("saga {key} counts {length} entries, {} are there", entries.len()));
        }
    }

    /// Makes definitions known to the judge, which reads states; everything before this is durable.
    pub(crate) fn knows(&self, registered: &[Registered]) {
        self.judge.knows(registered);
        if self.faults.may_lose_tail() {
            self.durability.begin(&self.store);
        }
    }
}
