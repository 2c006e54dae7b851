//! A participant that is away for ten minutes while sagas keep coming: what it is called with when it is back, and when all is done.
//!
//! ```text
//!   usual traffic ──► away: sagas wait ──► back: probed, then called at a pace ──► nothing waits
//!                                           └─ the foretold time is noted here
//! ```
//!
//! The real runtime on the memory store under virtual time, with one node and nothing else that goes wrong. It judges nothing:
//! [`Figures`] are what a test judges. Invariant: every call of the participant is written down with its time.

mod desk;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId, SagaKey};
use amends_engine::payload::Payload;
use amends_engine::standing::{self, StatusWord};
use amends_engine::time::Timestamp;
use amends_runtime::participant::Directory;
use amends_runtime::participant::protection::{BreakerState, Standing};
use amends_runtime::seam::{Clock, Seams};
use amends_runtime::{Alone, Coordinator, Node, NodeParts, RuntimeConfig, Start};
use amends_store::memory::MemoryStore;
use tokio::time::sleep;

use crate::harness::CannotRun;
use crate::library::Library;
use crate::load::SagaPlan;
use crate::nodes::register;
use crate::participants::Conduct;
use crate::scenario::{PARTICIPANTS, Scenario};
use crate::seams::{Dice, VirtualClock};
use desk::Desk;

pub use desk::Called;

/// Who goes away.
const AWAY: &str = "funds";
/// The last step, of which every so manieth is refused, so that the first one is compensated.
const REFUSED: &str = "ship";
const REFUSED_EVERY: u64 = 10;
/// How often it is looked how the participant is called.
const LOOK: Duration = Duration::from_millis(100);
/// More than one, so that sagas that wait at one participant have different owners.
const SHARDS: u16 = 4;
/// How long all may take.
const END: Duration = Duration::from_secs(3 * 3_600);

/// An outage to be played.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Sagas per second until the participant is back.
    pub usual: u64,
    /// How long there is usual traffic before.
    pub before: Duration,
    /// How long the participant is away.
    pub away: Duration,
    /// Sagas per second from then on.
    pub after: u64,
}

/// What was seen.
#[derive(Debug)]
pub struct Figures {
    /// Every call of the participant that was away, in order.
    pub calls: Vec<Called>,
    /// When it went away, and came back.
    pub away: (Timestamp, Timestamp),
    /// When the breaker let calls through again.
    pub resumed_at: Timestamp,
    /// How it was called just then: what waits, and by when that will have been called.
    pub then: Standing,
    /// When the last of those sagas had been called, and when nothing waited any more.
    pub drained_at: Timestamp,
    /// See there.
    pub closed_at: Timestamp,
    /// By how long after the refusal that asked for it each compensation was called, of those refused after the return.
    pub compensated_after: Vec<Duration>,
    /// How the sagas ended, and at which revision.
    pub ends: Vec<(StatusWord, u64)>,
}

impl Outage {
    /// Plays it.
    pub fn make(&self) -> Result<Figures, CannotRun> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        Ok(runtime.block_on(self.play()))
    }

    async fn play(&self) -> Figures {
        let clock = Arc::new(VirtualClock::new());
        let begun = clock.now();
        let away = (begun + self.before, begun + self.before + self.away);
        let desk = Arc::new(Desk::new(clock.clone(), AWAY, away));
        let (node, scenario) = start(clock.clone(), desk.clone()).await;
        let coordinator = node.coordinator().clone();
        let client = tokio::spawn(client(*self, coordinator.clone(), clock.clone(), scenario, away.1));
        let seen = watch(&coordinator, &clock, away.1).await;
        client.abort();
        let started = desk.started();
        let figures = Figures {
            drained_at: desk.last_of(&started, seen.resumed_at),
            calls: desk.calls(),
            away,
            resumed_at: seen.resumed_at,
            then: seen.then,
            closed_at: seen.closed_at,
            compensated_after: desk.compensated_after(seen.resumed_at),
            ends: ends(&coordinator, &started).await,
        };
        node.stop(Duration::from_secs(10)).await;
        figures
    }
}

async fn start(clock: Arc<VirtualClock>, desk: Arc<Desk>) -> (Node, String) {
    let scenario = Scenario::outage(AWAY);
    let name = scenario.name.clone();
    let time = clock.clone();
    let store = Arc::new(MemoryStore::new(SHARDS, Arc::new(move || time.now())));
    if let Ok(library) = Library::new(vec![scenario]) {
        library.register(&store).await;
    }
    let directory = Arc::new(Directory::new());
    for name in PARTICIPANTS {
        register(&directory, name, Conduct::Barrier);
    }
    let parts = NodeParts {
        config: RuntimeConfig::default(),
        store,
        caller: desk,
        directory,
        peers: Arc::new(Alone),
        seams: Seams::new(clock, Arc::new(Dice::new(1, 1))),
        telemetry: Arc::default(),
    };
    (Node::start(parts).await, name)
}

/// Starts sagas at an even rate, for ever.
async fn client(outage: Outage, node: Coordinator, clock: Arc<VirtualClock>, definition: String, back: Timestamp) {
    let Ok(definition) = DefinitionName::parse(&definition) else { return };
    for number in 0_u64.. {
        let mut plan = SagaPlan::plain(&format!("s{number}"), definition.as_str());
        if number % REFUSED_EVERY == 0 {
            plan.refuse = REFUSED.to_owned();
        }
        let start = Start {
            key: key(number),
            definition: definition.clone(),
            version: None,
            input: Payload::json(plan.input()),
            labels: Vec::new(),
            principal: "client".to_owned(),
            traceparent: String::new(),
        };
        let node = node.clone();
        // Not waited for: a client doesn't come slower because an earlier one waits.
        tokio::spawn(async move { node.start(start).await });
        let rate = if clock.now() < back { outage.usual } else { outage.after };
        sleep(Duration::from_millis(1_000 / rate.max(1))).await;
    }
}

fn key(number: u64) -> SagaKey {
    let id = SagaId::parse(&format!("s{number}")).unwrap_or_else(|_| unreachable!("letters and digits"));
    SagaKey { namespace: Namespace::default_namespace(), id }
}

struct Seen {
    resumed_at: Timestamp,
    then: Standing,
    closed_at: Timestamp,
}

/// Looks at how the participant is called until all is as before.
async fn watch(node: &Coordinator, clock: &VirtualClock, back: Timestamp) -> Seen {
    let namespace = Namespace::default_namespace();
    let name = ParticipantName::parse(AWAY).unwrap_or_else(|_| unreachable!("letters"));
    let standing = || node.protection(&namespace, &name).0;
    let mut resumed = None;
    loop {
        let (now, seen) = (clock.now(), standing());
        match &resumed {
            None if now >= back && matches!(seen.breaker, BreakerState::Resuming { .. }) => resumed = Some((now, seen)),
            Some((resumed_at, then)) if seen.breaker == BreakerState::Closed || clock.elapsed() > END => {
                let (resumed_at, then, closed_at) = (*resumed_at, then.clone(), now);
                // What was called last comes to its end, and there is usual traffic for a while.
                sleep(Duration::from_secs(60)).await;
                return Seen { resumed_at, then, closed_at };
            }
            _ if clock.elapsed() > END => return Seen { resumed_at: now, then: seen, closed_at: now },
            _ => {}
        }
        sleep(LOOK).await;
    }
}

async fn ends(node: &Coordinator, started: &BTreeSet<SagaKey>) -> Vec<(StatusWord, u64)> {
    let mut ends = Vec::with_capacity(started.len());
    for key in started {
        if let Ok(snapshot) = node.get(key).await {
            ends.push((standing::status(&snapshot.saga), snapshot.saga.state.revision));
        }
    }
    ends
}
