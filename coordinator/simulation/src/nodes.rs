//! The nodes of a run: a few at a time, each life of one from its start to its crash, freeze or clean stop, and then the next.
//!
//! The nodes are the real runtime; only their clock, randomness, store and network are ours. Invariant: a place has one
//! reachable node at a time, but a frozen one may still act after its successor has begun.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amends_engine::ids::{Namespace, ParticipantName};
use amends_runtime::participant::{Codes, Directory, Endpoint, Registration};
use amends_runtime::seam::Seams;
use amends_runtime::{Node, NodeParts, RuntimeConfig};
use futures::future::{join, join_all};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::network::SimulatedNetwork;
use crate::participants::Conduct;
use crate::peers::SimulatedPeers;
use crate::process::{Process, Standing};
use crate::seams::{Dice, SetClock};
use crate::store::SimulatedStore;
use crate::world::{Reachable, World, stream};

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

/// Most machines at a time in a run with random faults.
const MACHINES_MAX: u64 = 3;

/// The nodes of a run: a few machines at a time, each with one life of a node after the other.
#[derive(Debug)]
pub(crate) struct Nodes {
    world: Arc<World>,
    dice: Arc<Dice>,
    /// How many lives and how many machines there were.
    lives: Arc<AtomicU32>,
    machines: Arc<AtomicU32>,
}

impl Nodes {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let dice = Arc::new(Dice::new(world.seed, stream::NODES));
        Self { world, dice, lives: Arc::default(), machines: Arc::default() }
    }

    /// Keeps nodes running until the world is at rest; says how many lives that took.
    pub(crate) async fn run_until(self, rest: impl Future<Output = ()>) -> u32 {
        let count = if self.world.faults.is_random() { 1 + self.dice.below(MACHINES_MAX) } else { 1 };
        let mut stops = Vec::new();
        let mut running = Vec::new();
        for _ in 0..count {
            // One each: a channel that wakes several would do so in an order that no seed decides.
            let (stop, stopped) = oneshot::channel();
            stops.push(stop);
            running.push(Place::new(&self).run_until(async {
                // Only the end of the run drops the sender.
                let _ = stopped.await;
            }));
        }
        let ending = async {
            rest.await;
            for stop in stops {
                // A place that waits out a downtime hears it afterwards.
                let _ = stop.send(());
            }
        };
        join(ending, join_all(running)).await;
        self.lives.load(Ordering::SeqCst)
    }
}

/// Where one node runs at a time. After a freeze or a planned stop it is on another machine, with another name.
struct Place {
    world: Arc<World>,
    dice: Arc<Dice>,
    lives: Arc<AtomicU32>,
    machines: Arc<AtomicU32>,
    machine: u32,
    /// Frozen ones, which come back for a moment.
    left: Vec<Node>,
}

impl Place {
    fn new(nodes: &Nodes) -> Self {
        let Nodes { world, dice, lives, machines } = nodes;
        let (world, dice, lives, machines) = (world.clone(), dice.clone(), lives.clone(), machines.clone());
        let machine = machines.fetch_add(1, Ordering::SeqCst) + 1;
        Self { world, dice, lives, machines, machine, left: Vec::new() }
    }

    fn move_on(&mut self) {
        self.machine = self.machines.fetch_add(1, Ordering::SeqCst) + 1;
    }

    async fn run_until(mut self, rest: impl Future<Output = ()>) {
        let world = self.world.clone();
        let mut rest = pin!(rest);
        loop {
            let life = self.lives.fetch_add(1, Ordering::SeqCst) + 1;
            let process = Arc::new(Process::new(life, self.machine));
            let started = tokio::select! {
                biased;
                _ = process.stopped() => None,
                node = self.start(&process) => Some(node),
            };
            let Some(mut node) = started else {
                // What stands still before it can be reached is started anew, as if it had been killed.
                process.kill();
                world.trace.note(format_args!("node {life} was killed before it had begun"));
                sleep(self.downtime()).await;
                continue;
            };
            let coordinator = node.coordinator().clone();
            world.set_node(self.machine, Some(Reachable { process: process.clone(), coordinator }));
            let deploy = self.until_deploy();
            tokio::select! {
                biased;
                standing = process.stopped() => {
                    world.set_node(self.machine, None);
                    match standing {
                        Standing::Frozen => {
                            world.trace.note(format_args!("node {life} stands still"));
                            self.leave_behind(process, node);
                        }
                        Standing::Dead | Standing::Runs => {
                            world.trace.note(format_args!("node {life} was killed"));
                            node.kill();
                            sleep(self.downtime()).await;
                        }
                    }
                }
                () = sleep(deploy) => {
                    // A process that dies on its way out never says that it is out.
                    tokio::select! {
                        biased;
                        _ = process.stopped() => {}
                        () = node.stop(GRACE) => {}
                    }
                    world.set_node(self.machine, None);
                    process.kill();
                    self.move_on();
                    world.trace.note(format_args!("node {life} was stopped"));
                }
                () = &mut rest => {
                    let began = world.clock.elapsed();
                    node.stop(GRACE).await;
                    if world.clock.elapsed() >= began + GRACE {
                        world.trace.violated("stop", "a node with nothing to do didn't stop in time");
                    }
                    // The node holds the world: left in it, neither would ever go.
                    world.set_node(self.machine, None);
                    return;
                }
            }
        }
    }

    /// How long a killed node is away.
    fn downtime(&self) -> Duration {
        if self.world.faults.is_random() { self.dice.millis(0, 2_500) } else { DOWNTIME }
    }

    /// When the node is stopped cleanly and another machine goes on at once; seldom, and only in runs with random faults.
    fn until_deploy(&self) -> Duration {
        let planned = self.world.faults.is_random() && self.dice.chance(150);
        if planned { self.dice.millis(0, 4_000) } else { NEVER }
    }

    async fn start(&self, process: &Arc<Process>) -> Node {
        let world = &self.world;
        world.trace.note(format_args!("node {} starts on machine {}", process.number(), self.machine));
        let directory = Arc::new(Directory::new());
        for name in &world.called {
            register(&directory, name.as_str(), world.participants.conduct());
        }
        let entropy = Arc::new(Dice::new(world.seed, stream::NODES + u64::from(process.number())));
        let config = RuntimeConfig {
            node: format!("machine-{}", self.machine),
            // Short, so that sagas that wait are evicted and loaded again within a run.
            window: Duration::from_secs(3),
            // So that all that waits is put to sleep and woken.
            awake_max: 0,
            ..RuntimeConfig::default()
        };
        let parts = NodeParts {
            config,
            store: Arc::new(SimulatedStore::new(world.clone(), process.clone())),
            caller: Arc::new(SimulatedNetwork::new(world.clone(), process.clone())),
            directory,
            peers: Arc::new(SimulatedPeers::new(world.clone(), process.clone())),
            // Read once in each life, as the real one is (runtime/src/seam.rs).
            seams: Seams::new(
                Arc::new(SetClock::new(world.clock.clone(), world.outages.clock_of(self.machine))),
                entropy,
            ),
            telemetry: Arc::default(),
        };
        Node::start(parts).await
    }

    /// A frozen node wakes up after its lease has run out, does what it was about to do, and is killed.
    fn leave_behind(&mut self, process: Arc<Process>, node: Node) {
        self.move_on();
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

pub(crate) fn register(directory: &Directory, name: &str, conduct: Conduct) {
    let endpoint = Endpoint::parse(&format!("http://{name}.simulated:1"));
    let registration = endpoint
        .ok()
        .and_then(|it| Registration::new(vec![it], conduct.promises_final_refusals(), Codes::new(), None).ok());
    if let (Some(registration), Ok(name)) = (registration, ParticipantName::parse(name)) {
        directory.put(Namespace::default_namespace(), name, registration);
    }
}
