//! One run from beginning to verdict: nodes come and go, faults happen, then everything must come to rest and add up.
//!
//! ```text
//!   clients ──► node (life 1) ✗ crash ──► node (life 2) … ──► faults stop ──► rest ──► operators retry ──► rest ──► verdict
//! ```
//!
//! Everything runs on one thread under a paused clock. Invariant: the same run gives the same trace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::DefinitionName;
use amends_engine::standing::{self, StatusWord};
use tokio::time::sleep;

use crate::client;
use crate::faults::{Boundary, FaultPlan, Table};
use crate::library::Library;
use crate::load::{SagaPlan, Wish};
use crate::nodes::Nodes;
use crate::outcome::Outcome;
use crate::participants::Conduct;
use crate::people::Manner;
use crate::seams::Dice;
use crate::trace::{Violation, lock};
use crate::world::{World, stream};

/// How long faults happen by the seed.
const FAULTY: Duration = Duration::from_secs(20);
/// How long the one fault of a run is waited for.
const FAULTY_ONCE: Duration = Duration::from_secs(180);
/// How often it is looked whether all has come to rest.
const LOOK: Duration = Duration::from_millis(250);
/// How long that may take once no more faults happen. Longer than the longest chain of retries.
const REST_MAX: Duration = Duration::from_secs(60 * 60);

/// A run to be made.
#[derive(Debug)]
pub struct Run<'a> {
    /// The definitions.
    pub library: &'a Library,
    /// How the participants behave.
    pub conduct: Conduct,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// The sagas; by the seed when absent.
    pub sagas: Option<Vec<SagaPlan>>,
    /// Where all chance comes from.
    pub seed: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// Where faults could have happened, in order.
    pub boundaries: Vec<Boundary>,
    /// Which faults happened where.
    pub faults: Table,
    /// How many sagas ended how.
    pub ends: BTreeMap<StatusWord, usize>,
    /// How many changes became durable.
    pub commits: u64,
    /// How many lives the nodes had.
    pub lives: u32,
    /// How each saga stood when all had come to rest, before operators repaired what was stuck.
    pub rested: Vec<Outcome>,
    /// What became of each saga.
    pub sagas: Vec<Outcome>,
    /// Which invariants were broken.
    pub violations: Vec<Violation>,
}

/// A run that couldn't be begun.
#[derive(Debug, thiserror::Error)]
#[error("the virtual clock can't be set up")]
pub struct CannotRun(#[from] std::io::Error);

impl Run<'_> {
    /// Makes the run.
    pub fn make(&self) -> Result<Report, CannotRun> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        Ok(runtime.block_on(self.simulate()))
    }

    async fn simulate(&self) -> Report {
        let world = Arc::new(World::new(self.seed, self.faults, self.conduct, self.library));
        let load = Dice::new(self.seed, stream::LOAD);
        let plans = self.sagas.clone().unwrap_or_else(|| SagaPlan::some(self.library, &load));
        for name in self.library.names().filter(|name| plans.iter().any(|plan| plan.definition == name.as_str())) {
            world.knows(&self.library.register_all(name, &world.store).await);
        }
        for plan in plans.clone() {
            world.trace.note(format_args!("{plan:?}"));
            world.run(client::run(world.clone(), plan));
        }
        let rested = Mutex::default();
        let lives = Nodes::new(world.clone()).run_until(come_to_rest(&world, &plans, &rested)).await;
        let rested = std::mem::take(&mut *lock(&rested));
        let sagas = world.sagas().await;
        let mut ends: BTreeMap<StatusWord, usize> = BTreeMap::new();
        for saga in &sagas {
            let status = standing::status(saga);
            *ends.entry(status).or_default() += 1;
            world.trace.note(format_args!("{} ended {status}", saga.state.head.key));
            world.check_history(saga).await;
        }
        world.check_logs().await;
        world.judge.ended(&world.participants.effects(), &sagas, &world.acknowledged(), &world.trace);
        let sagas = sagas.iter().map(Outcome::of).collect();
        let (trace, violations) = world.trace.take();
        let ((boundaries, faults), commits) = (world.faults.seen(), world.judge.commits());
        Report { seed: self.seed, trace, boundaries, faults, ends, commits, lives, rested, sagas, violations }
    }
}

/// Lets faults happen for their time, then waits for rest, lets an operator retry what is stuck, and waits once more.
async fn come_to_rest(world: &Arc<World>, plans: &[SagaPlan], rested: &Mutex<Vec<Outcome>>) {
    let faulty = if world.faults.is_random() { FAULTY } else { FAULTY_ONCE };
    rest_within(world, faulty).await;
    world.faults.stop();
    world.trace.note("no more faults");
    let_go_on(world, plans).await;
    let rests = rest_within(world, REST_MAX).await;
    *lock(rested) = world.sagas().await.iter().map(Outcome::of).collect();
    if !rests {
        return unrest(world).await;
    }
    let acknowledge = world.people.chance(500).then_some(Manner::Wish(Wish::Acknowledge));
    let repin = world.people.chance(500).then_some(Manner::Wish(Wish::Repin));
    let last = if world.people.chance(500) { Manner::GiveUp } else { Manner::State };
    let manners = [acknowledge, repin, Some(Manner::Wish(Wish::Retry)), Some(last)];
    for manner in manners.into_iter().flatten() {
        world.repair(manner).await;
        if !rest_within(world, REST_MAX).await {
            return unrest(world).await;
        }
    }
}

/// A late copy of a wish may be the last word: once no copy can come any more, what stands still for one goes on.
async fn let_go_on(world: &Arc<World>, plans: &[SagaPlan]) {
    let asks = |plan: &SagaPlan, what: Wish| plan.wishes.iter().any(|(_, wish)| *wish == what);
    if !plans.iter().any(|plan| asks(plan, Wish::Pause) || asks(plan, Wish::Hold)) {
        return;
    }
    let until = world.clock.elapsed() + REST_MAX;
    while world.is_busy() && world.clock.elapsed() < until {
        sleep(LOOK).await;
    }
    let sagas = world.sagas().await;
    for saga in sagas.iter().filter(|saga| saga.state.paused.is_some()) {
        world.wish(&saga.state.head.key, &saga.state.head.definition, Wish::Resume, "operator").await;
    }
    let held = plans.iter().find(|plan| asks(plan, Wish::Hold));
    let held = held.and_then(|plan| DefinitionName::parse(&plan.definition).ok());
    if let (Some(definition), Some(saga)) = (held, sagas.first()) {
        world.wish(&saga.state.head.key, &definition, Wish::Release, "operator").await;
    }
}

/// Waits until nothing is under way and every saga has ended or is stuck; false where that takes too long.
async fn rest_within(world: &Arc<World>, patience: Duration) -> bool {
    let until = world.clock.elapsed() + patience;
    while world.clock.elapsed() < until {
        sleep(LOOK).await;
        let rests = world.sagas().await.iter().all(|saga| saga.state.phase.is_terminal() || saga.stuck().is_some());
        if rests && !world.is_busy() {
            return true;
        }
    }
    false
}

async fn unrest(world: &Arc<World>) {
    world.trace.violated("I5", "long after the last fault something is still under way");
    for saga in world.sagas().await {
        let (key, status, waits) = (&saga.state.head.key, standing::status(&saga), standing::waiting(&saga));
        let place = world.node_for(key).map(|it| (it.process.number(), it.coordinator.place(key)));
        world.trace.note(format_args!("{key} is {status} and waits for {waits:?}; a node and what it says: {place:?}"));
    }
}
