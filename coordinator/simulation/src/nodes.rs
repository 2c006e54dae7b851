//! The nodes of a run: each life of one from its start to its crash, freeze or clean stop, and then the next.
//!
//! The nodes are the real runtime; only their clock, randomness, store and network are ours. Invariant: one node is reachable
//! at a time, but a frozen one may still act after its successor has begun.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_runtime::participant::{Codes, Directory, Endpoint, Registration};
use amends_runtime::seam::Seams;
use amends_runtime::{Node, NodeParts, RuntimeConfig};
use tokio::time::sleep;

use crate::network::SimulatedNetwork;
use crate::participants::Conduct;
use crate::process::{Process, Standing};
use crate::scenario::PARTICIPANTS;
use crate::seams::Dice;
use crate::store::SimulatedStore;
use crate::world::{World, stream};

/// How long a frozen process stands still: longer than a lease, so that somebody else takes over.
const FROZEN: Duration = Duration::from_secs(9);
/// How long a thawed process goes on before it is killed.
const THAWED: Duration = Duration::from_secs(2);
/// Longer than any run.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a node may take to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long a killed node is away where that isn't left to chance.
const DOWNTIME: Duration = Duration::from_millis(250);

/// The nodes of a run, one reachable at a time.
#[derive(Debug)]
pub(crate) struct Nodes {
    world: Arc<World>,
    downtime: Dice,
    lives: u32,
    machine: u32,
    /// Frozen ones, which come back for a moment.
    left: Vec<Node>,
}

impl Nodes {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let downtime = Dice::new(world.seed, stream::NODES);
        Self { world, downtime, lives: 0, machine: 1, left: Vec::new() }
    }

    /// Keeps a node running until the world is at rest; says how many lives that took.
    pub(crate) async fn run_until(mut self, rest: impl Future<Output = ()>) -> u32 {
        let world = self.world.clone();
        let mut rest = pin!(rest);
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
                            sleep(if random { self.downtime.millis(0, 2_500) } else { DOWNTIME }).await;
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
                    let began = world.clock.elapsed();
                    node.stop(GRACE).await;
                    if world.clock.elapsed() >= began + GRACE {
                        world.trace.violated("stop", "a node with nothing to do didn't stop in time");
                    }
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
