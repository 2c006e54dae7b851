//! A node in virtual time that keeps no waiting saga whole, and a participant that does what it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaKey};
use amends_engine::saga::{By, Phase};
use amends_engine::time::Timestamp;
use amends_runtime::participant::protection::BreakerMode;
use amends_runtime::participant::{
    Answer, Call, Code, Codes, Directory, Endpoint, ParticipantCaller, Registration, Reply, Status,
};
use amends_runtime::seam::{Clock as _, Seams};
use amends_runtime::{Alone, Answered, Ask, Coordinator, Node, NodeParts, RequestError, RuntimeConfig};
use amends_store::{MemoryStore, ShardId, Store};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::batch::{Counter, Virtual};
use crate::echo;

const LOOK: Duration = Duration::from_millis(1);
/// Longer than anything takes here, in virtual time.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first step is called always; the second may have to wait.
const DEFINITION: &str = "
saga: two
timeout: TIMEOUT
steps:
  - step: one
    participant: quick
    action: { call: echo.v1.Echo/Say, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, request: { text: undo } }
  - step: two
    participant: slow
    action: { call: echo.v1.Echo/Say, request: { text: a }, retry: { max_attempts: 3, initial: 20s, max: 20s } }
    compensate: { call: echo.v1.Echo/Say, request: { text: undo } }
";

/// What the participant of the second step does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Does {
    #[default]
    Answers,
    SaysPending,
    Fails,
}

#[derive(Debug, Default)]
struct Echo {
    does: Mutex<Does>,
    /// Calls by saga, step and operation.
    calls: Mutex<BTreeMap<(String, String, String), usize>>,
}

#[async_trait]
impl ParticipantCaller for Echo {
    async fn call(&self, call: Call) -> Answer {
        let what = (call.key.id.to_string(), call.step.to_string(), call.operation.to_string());
        *self.calls.lock().expect("no panic").entry(what).or_default() += 1;
        let does = if call.step.as_str() == "two" { *self.does.lock().expect("no panic") } else { Does::Answers };
        let failed = || Status { code: Code::Unavailable, message: "away".to_owned(), info: None, retry_after: None };
        let reply = match does {
            Does::Answers => Reply::Ok { bytes: call.request, pending: false },
            Does::SaysPending => Reply::Ok { bytes: call.request, pending: true },
            Does::Fails => Reply::Status(failed()),
        };
        Answer { reply, endpoint: "memory".to_owned() }
    }
}

pub(crate) struct World {
    node: Node,
    store: Arc<dyn Store>,
    clock: Arc<Virtual>,
    echo: Arc<Echo>,
    directory: Arc<Directory>,
}

fn participant(name: &str) -> ParticipantName {
    ParticipantName::parse(name).expect("a name")
}

pub(crate) fn definition() -> DefinitionName {
    DefinitionName::parse("two").expect("a name")
}

pub(crate) fn namespace() -> Namespace {
    Namespace::default_namespace()
}

pub(crate) fn by() -> By {
    By { principal: "ada".to_owned(), reason: "because".to_owned() }
}

fn set_breaker(directory: &Directory, mode: BreakerMode) {
    for name in ["quick", "slow"] {
        let endpoint = Endpoint::parse("http://echo:1").expect("an address");
        let mut registration = Registration::new(vec![endpoint], false, Codes::new(), None).expect("a registration");
        if name == "slow" {
            registration.limits.breaker = mode;
        }
        directory.put(namespace(), participant(name), registration);
    }
}

impl World {
    /// Its sagas may take so long.
    pub(crate) async fn new(timeout: &str, breaker: BreakerMode) -> Self {
        let clock = Arc::new(Virtual(Instant::now()));
        let time = clock.clone();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(1, Arc::new(move || time.now())));
        register(&*store, timeout).await;
        let (echo, directory) = (Arc::default(), Arc::new(Directory::new()));
        set_breaker(&directory, breaker);
        let node = start_node(&store, &clock, &echo, &directory).await;
        Self { node, store, clock, echo, directory }
    }

    /// Its node is no more, and another one has the store.
    pub(crate) async fn taken_over(self) -> Self {
        let Self { mut node, store, clock, echo, directory } = self;
        node.kill();
        let node = start_node(&store, &clock, &echo, &directory).await;
        Self { node, store, clock, echo, directory }
    }

    pub(crate) fn coordinator(&self) -> &Coordinator {
        self.node.coordinator()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn breaker(&self, mode: BreakerMode) {
        set_breaker(&self.directory, mode);
    }

    pub(crate) fn second(&self, does: Does) {
        *self.echo.does.lock().expect("no panic") = does;
    }

    pub(crate) fn calls(&self, key: &SagaKey, step: &str, operation: &str) -> usize {
        let what = (key.id.to_string(), step.to_owned(), operation.to_owned());
        self.echo.calls.lock().expect("no panic").get(&what).copied().unwrap_or_default()
    }

    pub(crate) async fn start(&self, id: &str) -> SagaKey {
        let start = echo::start_of(id, "two", "{}");
        while let Err(error) = self.coordinator().start(start.clone()).await {
            assert!(matches!(error, RequestError::Elsewhere(_)), "{error}");
            sleep(LOOK).await;
        }
        start.key
    }

    /// Until so many sleep, and nothing is being read or written.
    pub(crate) async fn until_asleep(&self, sagas: u64) {
        let begun = self.now();
        loop {
            let waits = self.coordinator().waits_in(ShardId(0)).await.unwrap_or_default();
            if waits.asleep == sagas {
                return;
            }
            assert!(self.now().since(begun) < PATIENCE, "{waits:?}, not {sagas} asleep");
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn ask(&self, key: &SagaKey, ask: Ask) -> Answered {
        self.coordinator().ask(key, ask, by(), None).await.expect("it makes sense")
    }

    pub(crate) async fn ends(&self, key: &SagaKey) -> Phase {
        self.coordinator().wait(key, PATIENCE).await.expect("there").saga.state.phase
    }

    /// How many wait for the second participant.
    pub(crate) fn queued(&self) -> u64 {
        let (standing, _) = self.coordinator().protection(&namespace(), &participant("slow"));
        standing.waiting.values().sum()
    }

    pub(crate) async fn stop(self) {
        self.node.stop(PATIENCE).await;
    }
}

async fn start_node(
    store: &Arc<dyn Store>,
    clock: &Arc<Virtual>,
    echo: &Arc<Echo>,
    directory: &Arc<Directory>,
) -> Node {
    Node::start(NodeParts {
        config: RuntimeConfig { awake_max: 0, ..RuntimeConfig::default() },
        store: store.clone(),
        caller: echo.clone(),
        directory: directory.clone(),
        peers: Arc::new(Alone),
        seams: Seams::new(clock.clone(), Arc::new(Counter(Mutex::new(u128::from(clock.now().0) << 32)))),
        telemetry: Arc::default(),
    })
    .await
}

async fn register(store: &dyn Store, timeout: &str) {
    echo::register(store, "two", &DEFINITION.replace("TIMEOUT", timeout), &["quick", "slow"]).await;
}
