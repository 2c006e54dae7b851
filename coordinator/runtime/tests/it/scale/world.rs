//! A store with many sagas, a node on it, and a participant in the same process that answers at once when it may be called.
//!
//! The sagas are copies of one that a node has made: real records, written past the runtime. Invariant: what is written is what a
//! commit would have written at that moment.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId};
use amends_engine::saga::{OperationStatus, SagaState};
use amends_engine::time::Timestamp;
use amends_runtime::participant::protection::BreakerMode;
use amends_runtime::participant::{Answer, Call, Codes, Directory, Endpoint, ParticipantCaller, Registration, Reply};
use amends_runtime::seam::Seams;
use amends_runtime::telemetry::Telemetry;
use amends_runtime::{Alone, Node, NodeParts, RequestError, RuntimeConfig, Start, Waits};
use amends_store::conformance::support::Owner;
use amends_store::{Commit, CommitError, MemoryStore, ShardId, Store, StoredSaga, record};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::{echo, metric};

pub(crate) const SHARDS: u16 = 64;
/// As many sagas of a shard are kept whole, unless AMENDS_SCALE_AWAKE says otherwise.
const AWAKE_MAX: u64 = 8;
const LOOK: Duration = Duration::from_millis(20);
/// Callers of new sagas at once.
const CALLERS: usize = 64;
const DAY: u64 = 24 * 3_600_000;

/// `wait` is what the many sagas are of, `new` what is started beside them.
const DEFINITIONS: [(&str, &str); 2] = [("wait", "slow"), ("new", "quick")];

fn source(name: &str, participant: &str) -> String {
    let step = |step: &str| {
        format!(
            "  - step: {step}\n    participant: {participant}\n    action: {{ call: echo.v1.Echo/Say, request: {{ text: \
             \"${{input.text}}\" }} }}\n    compensate: {{ call: echo.v1.Echo/Say, request: {{ text: undo }} }}\n"
        )
    };
    let input = "input: { type: object, required: [text], properties: { text: { type: string } } }";
    format!("saga: {name}\ntimeout: 720h\n{input}\nsteps:\n{}{}{}", step("one"), step("two"), step("three"))
}

pub(crate) fn awake_max() -> u64 {
    number("AMENDS_SCALE_AWAKE", AWAKE_MAX)
}

pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Memory of this process.
pub(crate) fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

/// How many of so many wait in the participant's queue; the others for a retry much later, and for a callback.
pub(crate) fn queued_of(sagas: u64) -> u64 {
    (0..sagas).filter(|number| is_queued(*number)).count() as u64
}

fn is_queued(number: u64) -> bool {
    number % 20 > 1
}

/// Answers at once, or, where it is asked for a pattern, never.
#[derive(Debug, Default)]
struct Echo {
    silent: AtomicBool,
    called: Notify,
    sagas: Mutex<BTreeSet<SagaId>>,
}

#[async_trait]
impl ParticipantCaller for Echo {
    async fn call(&self, call: Call) -> Answer {
        self.called.notify_one();
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if call.participant.as_str() == "slow" {
            self.sagas.lock().expect("no panic").insert(call.key.id);
        }
        Answer { reply: Reply::Ok { bytes: call.request, pending: false }, endpoint: "memory".to_owned() }
    }
}

fn namespace() -> Namespace {
    Namespace::default_namespace()
}

fn participant(name: &str) -> ParticipantName {
    ParticipantName::parse(name).expect("a name")
}

fn start_of(id: &str, definition: &str) -> Start {
    echo::start_of(id, definition, &format!("{{\"text\":\"{}\"}}", "x".repeat(100)))
}

fn set_breaker(directory: &Directory, mode: BreakerMode) {
    for (_, name) in DEFINITIONS {
        let endpoint = Endpoint::parse("http://echo:1").expect("an address");
        let mut registration = Registration::new(vec![endpoint], false, Codes::new(), None).expect("a registration");
        // What is measured is the coordinator, not how gently it treats participants.
        registration.limits.concurrency = 100_000;
        if name == "slow" {
            registration.limits.breaker = mode;
        }
        directory.put(namespace(), participant(name), registration);
    }
}

async fn register(store: &dyn Store) {
    for (name, whom) in DEFINITIONS {
        echo::register(store, name, &source(name, whom), &[whom]).await;
    }
}

/// One saga whose first call is under way, as a node has written it, with its history.
async fn template() -> (StoredSaga, Vec<(u64, Bytes)>) {
    let time = Seams::system();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(SHARDS, Arc::new(move || time.now())));
    let world = World::open_on(store.clone()).await;
    world.echo.silent.store(true, Ordering::SeqCst);
    world.start(&start_of("order-00000000", "wait")).await;
    world.echo.called.notified().await;
    let key = echo::key("order-00000000");
    let stored = store.get(&key).await.expect("readable").expect("there");
    let history = store.history(&key, 0, 100).await.expect("readable");
    (stored, history)
}

async fn fill(store: &dyn Store, sagas: u64, state_of: impl Fn(u64, &mut SagaState) -> Option<Timestamp>) {
    register(store).await;
    let (stored, history) = template().await;
    let like = record::decode_state(&stored.state).expect("a state");
    let owner = Owner::of(store, "node").await;
    let mut commits = Vec::with_capacity(512);
    for number in 0..sagas {
        let mut state = like.clone();
        Arc::make_mut(&mut state.head).key = echo::key(&format!("order-{number:08}"));
        state.revision = 1;
        let due = state_of(number, &mut state);
        let mut commit = owner.draft(&state.head.key, 0);
        commit.index.definition = state.head.definition.clone();
        commit.index.started_at = state.started_at;
        commit.due = due;
        commit.state = record::encode_state(&state);
        commit.payloads.clone_from(&stored.payloads);
        commit.history.clone_from(&history);
        commits.push(commit);
        if commits.len() == 512 || number + 1 == sagas {
            write(store, std::mem::take(&mut commits)).await;
        }
    }
    for lease in owner.leases {
        store.release(lease).await.expect("given back");
    }
}

/// Again where it is open whether they were written: a repeat is known by its op id.
async fn write(store: &dyn Store, commits: Vec<Commit>) {
    for _ in 0..60 {
        let answers = store.commit(commits.clone()).await;
        if answers.iter().all(Result::is_ok) {
            return;
        }
        let written = answers.iter().filter(|answer| answer.is_ok()).count();
        let open = answers.iter().filter(|answer| matches!(answer, Err(CommitError::Ambiguous(_)))).count();
        assert_eq!(written + open, answers.len(), "{:?}", answers.iter().find(|answer| answer.is_err()));
        sleep(Duration::from_secs(1)).await;
    }
    panic!("the store doesn't answer");
}

/// So many have been begun in each millisecond, the last one now.
const BEGUN_PER_MILLISECOND: u64 = 5;

fn begun_at(now: Timestamp, number: u64, sagas: u64) -> Timestamp {
    Timestamp(now.0 - (sagas - number) / BEGUN_PER_MILLISECOND)
}

/// Nine of ten wait for the participant; of the others half for a retry and half for a callback, at some time of a day.
pub(crate) async fn fill_waiting(store: &dyn Store, sagas: u64) {
    let now = Seams::system().now();
    fill(store, sagas, |number, state| {
        let deadline = state.deadline;
        let action = &mut state.steps[0].action;
        let later = Timestamp(now.0 + 3_600_000 + number * 7_919 % DAY);
        action.status = match number % 20 {
            0 => OperationStatus::Retry { due: later },
            1 => OperationStatus::Pending { since: now },
            _ => OperationStatus::Retry { due: begun_at(now, number, sagas) },
        };
        Some(match action.status {
            OperationStatus::Retry { due } => due,
            _ => deadline,
        })
    })
    .await;
}

pub(crate) async fn fill_in_flight(store: &dyn Store, sagas: u64) {
    let now = Seams::system().now();
    fill(store, sagas, |number, state| {
        state.started_at = begun_at(now, number, sagas);
        Some(state.started_at)
    })
    .await;
}

/// A node on a store.
pub(crate) struct World {
    node: Node,
    echo: Arc<Echo>,
    directory: Arc<Directory>,
    telemetry: Arc<Telemetry>,
    started: AtomicU64,
}

impl World {
    /// The breaker of the participant that the many wait for is held open.
    pub(crate) async fn on(store: Arc<dyn Store>) -> Self {
        Self::with(store, BreakerMode::Held, usize::try_from(awake_max()).expect("64 bits"), Seams::system()).await
    }

    /// All participants can be called.
    pub(crate) async fn open_on(store: Arc<dyn Store>) -> Self {
        Self::open_with(store, Seams::system()).await
    }

    /// The same, on a machine with this clock.
    pub(crate) async fn open_with(store: Arc<dyn Store>, seams: Seams) -> Self {
        Self::with(store, BreakerMode::Auto, RuntimeConfig::default().awake_max, seams).await
    }

    async fn with(store: Arc<dyn Store>, breaker: BreakerMode, awake_max: usize, seams: Seams) -> Self {
        register(&*store).await;
        let (directory, echo) = (Arc::new(Directory::new()), Arc::new(Echo::default()));
        let telemetry: Arc<Telemetry> = Arc::default();
        set_breaker(&directory, breaker);
        let node = Node::start(NodeParts {
            config: RuntimeConfig { node: "node".to_owned(), awake_max, ..RuntimeConfig::default() },
            store,
            caller: echo.clone(),
            directory: directory.clone(),
            peers: Arc::new(Alone),
            seams,
            telemetry: telemetry.clone(),
        })
        .await;
        Self { node, echo, directory, telemetry, started: AtomicU64::new(0) }
    }

    pub(crate) async fn stop(self) {
        self.node.stop(Duration::from_secs(10)).await;
    }

    async fn start(&self, start: &Start) {
        while let Err(error) = self.node.coordinator().start(start.clone()).await {
            let soon = matches!(error, RequestError::Elsewhere(_) | RequestError::Unavailable(_));
            assert!(soon || matches!(error, RequestError::Overloaded { .. }), "{error}");
            sleep(LOOK).await;
        }
    }

    /// Sagas per second from their start to their end, with enough callers at once.
    pub(crate) async fn new_sagas(&self, length: Duration) -> f64 {
        self.start(&start_of("first", "new")).await;
        let (begun, mut callers) = (Instant::now(), JoinSet::new());
        let round = self.started.fetch_add(1, Ordering::SeqCst);
        for caller in 0..CALLERS {
            let coordinator = self.node.coordinator().clone();
            callers.spawn(async move {
                let mut done = 0_u32;
                while begun.elapsed() < length {
                    let start = start_of(&format!("new-{round}-{caller}-{done}"), "new");
                    let key = start.key.clone();
                    coordinator.start(start).await.expect("accepted");
                    let ended = coordinator.wait(&key, Duration::from_secs(60)).await.expect("there");
                    assert!(ended.saga.state.phase.is_terminal(), "{key}");
                    done += 1;
                }
                done
            });
        }
        let done: u32 = callers.join_all().await.into_iter().sum();
        f64::from(done) / begun.elapsed().as_secs_f64()
    }

    /// How often the node has acquired a shard.
    pub(crate) fn acquisitions(&self) -> u64 {
        metric::value("amends_shard_acquisitions_total{}", |registry| self.telemetry.meters.register(registry))
    }

    /// What all shards wait for.
    pub(crate) async fn waits(&self) -> Waits {
        let mut all = Waits::default();
        for shard in 0..SHARDS {
            let waits = self.node.coordinator().waits_in(ShardId(shard)).await.expect("the shard is here");
            waits.by_reason.into_iter().for_each(|(reason, count)| *all.by_reason.entry(reason).or_default() += count);
            (all.moving, all.asleep) = (all.moving + waits.moving, all.asleep + waits.asleep);
        }
        all
    }

    /// Until so many wait in the participant's queue.
    pub(crate) async fn until_queued(&self, sagas: u64) {
        let queued = || {
            let (standing, _) = self.node.coordinator().protection(&namespace(), &participant("slow"));
            standing.waiting.values().sum::<u64>()
        };
        while queued() < sagas {
            sleep(LOOK).await;
        }
        assert_eq!(queued(), sagas, "each has one place");
    }

    pub(crate) fn participant_is_back(&self) {
        set_breaker(&self.directory, BreakerMode::Auto);
        let mut limits = (*self.directory.get(&namespace(), &participant("slow")).expect("registered")).clone();
        limits.limits.resume_rate = Some(amends_runtime::participant::protection::Rate::per_second(100_000));
        self.directory.put(namespace(), participant("slow"), limits);
    }

    /// Until so many sagas have been called for.
    pub(crate) async fn until_called(&self, sagas: u64) {
        while (self.echo.sagas.lock().expect("no panic").len() as u64) < sagas {
            sleep(LOOK).await;
        }
    }

    /// Until so many of those that waited have ended.
    pub(crate) async fn until_ended(&self, sagas: u64) {
        let filter = amends_store::Filter {
            definition: Some(DefinitionName::parse("wait").expect("a name")),
            statuses: vec!["completed".to_owned()],
            ..amends_store::Filter::default()
        };
        loop {
            let counts = self.node.coordinator().store().count(&filter).await.expect("readable");
            if counts.iter().map(|(_, count)| count).sum::<u64>() >= sagas {
                return;
            }
            sleep(LOOK).await;
        }
    }
}
