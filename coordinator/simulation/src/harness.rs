//! One run from beginning to verdict: nodes come and go, faults happen, then everything must come to rest and add up.
//!
//! ```text
//!   clients ──► node (life 1) ✗ crash ──► node (life 2) … ──► faults stop ──► rest ──► operators retry ──► rest ──► verdict
//! ```
//!
//! Everything runs on one thread under a paused clock. Invariant: the same run gives the same trace.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{Namespace, Operation, ParticipantName};
use amends_engine::saga::Saga;
use amends_engine::standing::{self, StatusWord};
use amends_runtime::participant::{Codes, Directory, Endpoint, Registration};
use amends_runtime::seam::Seams;
use amends_runtime::{Ask, Node, NodeParts, RuntimeConfig};
use tokio::time::sleep;

use crate::client;
use crate::faults::{Boundary, FaultPlan};
use crate::load::SagaPlan;
use crate::network::SimulatedNetwork;
use crate::participants::Conduct;
use crate::process::{Process, Standing};
use crate::scenario::{Library, PARTICIPANTS};
use crate::seams::Dice;
use crate::store::SimulatedStore;
use crate::trace::Violation;
use crate::world::{World, stream};

/// How long faults happen by the seed.
const FAULTY: Duration = Duration::from_secs(20);
/// How long a frozen process stands still: longer than a lease, so that somebody else takes over.
const FROZEN: Duration = Duration::from_secs(9);
/// How long a thawed process goes on before it is killed.
const THAWED: Duration = Duration::from_secs(2);
/// How often it is looked whether all has come to rest.
const LOOK: Duration = Duration::from_millis(250);
/// How long that may take once no more faults happen. Longer than the longest chain of retries.
const REST_MAX: Duration = Duration::from_secs(30 * 60);
/// Longer than any run.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a node may take to stop.
const GRACE: Duration = Duration::from_secs(10);

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
    /// How many sagas ended how.
    pub ends: BTreeMap<StatusWord, usize>,
    /// How many changes became durable.
    pub commits: u64,
    /// How many lives the nodes had.
    pub lives: u32,
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
        let world = Arc::new(World::new(self.seed, self.faults, self.conduct));
        let registered = self.library.register(&world.store).await;
        world.knows(&registered);
        let load = Dice::new(self.seed, stream::LOAD);
        for plan in self.sagas.clone().unwrap_or_else(|| SagaPlan::some(self.library, &load)) {
            world.trace.note(format_args!("{plan:?}"));
            world.run(client::run(world.clone(), plan));
        }
        let lives = Nodes::new(world.clone()).run().await;
        let sagas = world.sagas().await;
        let mut ends: BTreeMap<StatusWord, usize> = BTreeMap::new();
        for saga in &sagas {
            let status = standing::status(saga);
            *ends.entry(status).or_default() += 1;
            world.trace.note(format_args!("{} ended {status}", saga.state.head.key));
            world.check_history(saga).await;
        }
        world.judge.ended(&world.participants.effects(), &sagas, &world.acknowledged(), &world.trace);
        let (trace, violations) = world.trace.take();
        let (boundaries, commits) = (world.faults.boundaries(), world.judge.commits());
        Report { seed: self.seed, trace, boundaries, ends, commits, lives, violations }
    }
}

/// The nodes of a run, one reachable at a time.
struct Nodes {
    world: Arc<World>,
    downtime: Dice,
    lives: u32,
    machine: u32,
    /// Frozen ones, which come back for a moment.
    left: Vec<Node>,
}

impl Nodes {
    fn new(world: Arc<World>) -> Self {
        let downtime = Dice::new(world.seed, stream::NODES);
        Self { world, downtime, lives: 0, machine: 1, left: Vec::new() }
    }

    /// Keeps a node running until the world is at rest; says how many lives that took.
    async fn run(mut self) -> u32 {
        let world = self.world.clone();
        let mut rest = pin!(come_to_rest(&world));
        loop {
            self.lives += 1;
            let process = Arc::new(Process::new(self.lives));
            let Some(mut node) = self.start(&process).await else { return self.lives };
            world.set_node(Some(node.coordinator().clone()));
            let deploy = self.until_deploy();
            tokio::select! {
                biased;
                standing = process.stopped() => {
                    world.set_node(None);
                    match standing {
                        Standing::Frozen => {
                            world.trace.note(format_args!("node {} stands still", self.lives));
                            self.leave_behind(process, node);
                        }
                        Standing::Dead | Standing::Runs => {
                            world.trace.note(format_args!("node {} was killed", self.lives));
                            node.kill();
                            let random = world.faults.is_random();
                            sleep(if random { self.downtime.millis(0, 2_500) } else { LOOK }).await;
                        }
                    }
                }
                () = sleep(deploy) => {
                    world.set_node(None);
                    node.stop(GRACE).await;
                    process.kill();
                    self.machine += 1;
                    world.trace.note(format_args!("node {} was stopped", self.lives));
                }
                () = &mut rest => {
                    node.stop(GRACE).await;
                    return self.lives;
                }
            }
        }
    }

    /// When the node is stopped cleanly and another machine goes on at once; seldom, and only in runs with random faults.
    fn until_deploy(&self) -> Duration {
        let planned = self.world.faults.is_random() && self.downtime.chance(150);
        if planned { self.downtime.millis(0, 4_000) } else { NEVER }
    }

    async fn start(&self, process: &Arc<Process>) -> Option<Node> {
        let world = &self.world;
        world.trace.note(format_args!("node {} starts on machine {}", process.number(), self.machine));
        let directory = Arc::new(Directory::new());
        for name in PARTICIPANTS {
            register(&directory, name, world.participants.conduct());
        }
        let entropy = Arc::new(Dice::new(world.seed, stream::NODES + u64::from(process.number())));
        let config = RuntimeConfig {
            node: format!("machine-{}", self.machine),
            // Short, so that sagas that wait are evicted and loaded again within a run.
            window: Duration::from_secs(3),
            ..RuntimeConfig::default()
        };
        let parts = NodeParts {
            config,
            store: Arc::new(SimulatedStore::new(world.clone(), process.clone())),
            caller: Arc::new(SimulatedNetwork::new(world.clone(), process.clone())),
            directory,
            seams: Seams::new(world.clock.clone(), entropy),
        };
        match Node::start(parts).await {
            Ok(node) => Some(node),
            Err(error) => {
                world.trace.violated("start", format!("a node couldn't be started: {error}"));
                None
            }
        }
    }

    /// A frozen node wakes up after its lease has run out, does what it was about to do, and is killed.
    fn leave_behind(&mut self, process: Arc<Process>, node: Node) {
        self.machine += 1;
        self.left.push(node);
        let world = self.world.clone();
        self.world.run(async move {
            sleep(FROZEN).await;
            world.trace.note(format_args!("node {} goes on", process.number()));
            process.thaw();
            sleep(THAWED).await;
            process.kill();
            world.trace.note(format_args!("node {} was killed", process.number()));
        });
    }
}

fn register(directory: &Directory, name: &str, conduct: Conduct) {
    let endpoint = Endpoint::parse(&format!("http://{name}.simulated:1"));
    let registration = endpoint
        .ok()
        .and_then(|it| Registration::new(vec![it], conduct.promises_final_refusals(), Codes::new(), None).ok());
    if let (Some(registration), Ok(name)) = (registration, ParticipantName::parse(name)) {
        directory.put(Namespace::default_namespace(), name, registration);
    }
}

/// Lets faults happen for their time, then waits for rest, lets an operator retry what is stuck, and waits once more.
async fn come_to_rest(world: &Arc<World>) {
    if world.faults.is_random() {
        rest_within(world, FAULTY).await;
    } else if !rest_within(world, REST_MAX).await {
        return unrest(world).await;
    }
    world.faults.stop();
    world.trace.note("no more faults");
    if !rest_within(world, REST_MAX).await {
        return unrest(world).await;
    }
    let operators: [fn(&Saga) -> Option<Ask>; 2] = [|_| Some(Ask::Retry { step: None }), give_up];
    for operator in operators {
        for saga in world.sagas().await {
            let key = &saga.state.head.key;
            if let Some(ask) = operator(&saga).filter(|_| saga.stuck().is_some()) {
                let answer = world.ask(key, &ask, "operator").await;
                world.trace.note(format_args!("{key}, operator: {ask:?}: {answer}"));
            }
        }
        if !rest_within(world, REST_MAX).await {
            return unrest(world).await;
        }
    }
}

/// What an operator does about a saga that a retry didn't help: skip what may be skipped, and leave the rest stuck.
fn give_up(saga: &Saga) -> Option<Ask> {
    let stuck = saga.stuck()?;
    let (step, operation) = stuck.step.zip(stuck.operation)?;
    let may_skip = operation != Operation::Action;
    may_skip.then(|| Ask::Skip { step: saga.definition.step(step).name.clone(), operation: Some(operation) })
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
        world.trace.note(format_args!("{key} is {status} and waits for {waits:?}"));
    }
}
