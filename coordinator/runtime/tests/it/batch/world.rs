//! Nodes on one store in memory, a participant that refuses until it is up, and sagas that are stuck because of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::{Namespace, SagaId, SagaKey};
use amends_engine::saga::By;
use amends_engine::standing::{self, StatusWord};
use amends_engine::time::Timestamp;
use amends_redis_lab::{Server, Settings};
use amends_runtime::batch::{
    Action, Applying, BatchError, Choice, Item, ItemStatus, Planning, Shown, Status as Standing,
};
use amends_runtime::participant::{Answer, Call, Code, Directory, ParticipantCaller, Reply, Status};
use amends_runtime::seam::{Clock, Entropy, Seams};
use amends_runtime::{Alone, Answered, Ask, Coordinator, Node, NodeParts, Place, RequestError, RuntimeConfig};
use amends_store::redis::{Address, RedisOptions};
use amends_store::sqlite::OpenOptions;
use amends_store::{Filter, MemoryStore, RedisStore, ShardId, SqliteStore, Store, record};
use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::echo;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Calls that may be under way when they are counted.
pub(crate) const FEW: usize = 10;

const SHARDS: u16 = 12;

/// A refusal after the pivot is stuck at once, and says nothing against the participant: no breaker opens.
const DEFINITION: &str = "
saga: once
steps:
  - step: one
    participant: echo
    pivot: true
    action: { call: echo.v1.Echo/Say, request: { text: a } }
  - step: two
    participant: echo
    action: { call: echo.v1.Echo/Say, request: { text: b } }
";

#[derive(Debug)]
pub(crate) struct Virtual(pub(crate) Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000) + self.0.elapsed()
    }
}

/// Counts: different for every node, and no node asks twice for the same.
#[derive(Debug)]
pub(crate) struct Counter(pub(crate) Mutex<u128>);

impl Entropy for Counter {
    fn bits(&self) -> u128 {
        let mut next = self.0.lock().expect("no panic");
        *next += 1;
        *next
    }

    fn unit(&self) -> f64 {
        0.5
    }
}

/// Refuses every second step until it is up, and counts calls of those.
#[derive(Debug, Default)]
struct Echo {
    is_up: AtomicBool,
    calls: Mutex<BTreeMap<String, usize>>,
}

#[async_trait]
impl ParticipantCaller for Echo {
    async fn call(&self, call: Call) -> Answer {
        let is_second = call.step.as_str() == "two";
        if is_second {
            *self.calls.lock().expect("no panic").entry(call.idempotency_key()).or_default() += 1;
        }
        let down =
            || Status { code: Code::FailedPrecondition, message: "closed".to_owned(), info: None, retry_after: None };
        let reply = match !is_second || self.is_up.load(Ordering::SeqCst) {
            true => Reply::Ok { bytes: call.request.clone(), pending: false },
            false => Reply::Status(down()),
        };
        Answer { reply, endpoint: "memory".to_owned() }
    }
}

pub(crate) struct World {
    nodes: Vec<Node>,
    store: Arc<dyn Store>,
    echo: Arc<Echo>,
    /// How long is waited between two looks.
    pause: Duration,
    /// Whatever has to live as long as the store.
    _ground: Box<dyn Any>,
}

impl World {
    /// So many sagas, all stuck, on so many nodes, in virtual time.
    pub(crate) async fn stuck(sagas: usize, nodes: usize) -> Self {
        let clock = Arc::new(Virtual(Instant::now()));
        let time = clock.clone();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(SHARDS, Arc::new(move || time.now())));
        let seams = |number| Seams::new(clock.clone(), Arc::new(Counter(Mutex::new((number as u128) << 64))));
        let config = RuntimeConfig::default();
        Self::on(store, Box::new(()), config, SECOND, (0..nodes).map(seams)).await.with_stuck(sagas).await
    }

    /// The same on SQLite, three nodes, in real time.
    pub(crate) async fn on_sqlite(sagas: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = OpenOptions { shards: Some(SHARDS), reserve_bytes: 0, ..OpenOptions::new(folder.path()) };
        let store = Arc::new(SqliteStore::open(options).expect("opened"));
        Self::in_real_time(store, Box::new(folder)).await.with_stuck(sagas).await
    }

    /// The same on Redis.
    pub(crate) async fn on_redis(sagas: usize) -> Self {
        let server = Server::start(&Settings::strict());
        let address = Address::parse(&server.url()).expect("an address");
        let options = RedisOptions { shards: Some(SHARDS), ..RedisOptions::new(address) };
        let store = Arc::new(RedisStore::open(options).await.expect("opened"));
        Self::in_real_time(store, Box::new(server)).await.with_stuck(sagas).await
    }

    async fn in_real_time(store: Arc<dyn Store>, ground: Box<dyn Any>) -> Self {
        let config = RuntimeConfig {
            lease: Duration::from_secs(3),
            heartbeat: Duration::from_millis(200),
            ..RuntimeConfig::default()
        };
        let seams = (0..3).map(|_| Seams::system());
        Self::on(store, ground, config, Duration::from_millis(20), seams).await
    }

    async fn on(
        store: Arc<dyn Store>,
        ground: Box<dyn Any>,
        config: RuntimeConfig,
        pause: Duration,
        seams: impl Iterator<Item = Seams>,
    ) -> Self {
        echo::register(&*store, "once", DEFINITION, &["echo"]).await;
        let mut world = Self { nodes: Vec::new(), store, echo: Arc::default(), pause, _ground: ground };
        for (number, seams) in seams.enumerate() {
            let parts = NodeParts {
                config: RuntimeConfig { node: format!("node-{number}"), ..config.clone() },
                store: world.store.clone(),
                caller: world.echo.clone(),
                directory: Arc::new(Directory::new()),
                peers: Arc::new(Alone),
                seams,
                telemetry: Arc::default(),
            };
            world.nodes.push(Node::start(parts).await);
        }
        world
    }

    async fn with_stuck(self, sagas: usize) -> Self {
        while !self.is_settled() {
            sleep(self.pause).await;
        }
        let keys: Vec<SagaKey> = (0..sagas).map(Self::key).collect();
        for some in keys.chunks(50) {
            join_all(some.iter().map(|key| self.start(key))).await;
        }
        for key in &keys {
            self.rests(key).await;
        }
        self
    }

    /// Whether every shard has a node and every node a shard.
    fn is_settled(&self) -> bool {
        let has = |node: &Node| {
            (0..SHARDS).filter(|shard| node.coordinator().place_of(ShardId(*shard)) == Place::Here).count()
        };
        let all: Vec<usize> = self.nodes.iter().map(has).collect();
        all.iter().sum::<usize>() == usize::from(SHARDS) && all.iter().all(|shards| *shards > 0)
    }

    pub(crate) fn namespace() -> Namespace {
        Namespace::default_namespace()
    }

    pub(crate) fn key(number: usize) -> SagaKey {
        echo::key(&format!("order-{number}"))
    }

    /// Of the last node, which no test kills.
    pub(crate) fn coordinator(&self) -> &Coordinator {
        self.nodes.last().expect("a node").coordinator()
    }

    async fn start(&self, key: &SagaKey) {
        loop {
            for node in &self.nodes {
                match node.coordinator().start(echo::start_of(key.id.as_str(), "once", "{}")).await {
                    Ok(_) => return,
                    // On a busy machine a lease may run out; the same start is the same saga.
                    Err(RequestError::Elsewhere(_) | RequestError::Unavailable(_)) => {}
                    Err(error) => panic!("{key}: {error}"),
                }
            }
            sleep(self.pause).await;
        }
    }

    async fn rests(&self, key: &SagaKey) {
        while standing::status(&self.coordinator().get(key).await.expect("there").saga) != StatusWord::Stuck {
            sleep(self.pause).await;
        }
    }

    pub(crate) async fn ends(&self, key: &SagaKey) {
        while !self.coordinator().get(key).await.expect("there").saga.state.phase.is_terminal() {
            sleep(self.pause).await;
        }
    }

    /// The participant answers from now on.
    pub(crate) fn up(&self) {
        self.echo.is_up.store(true, Ordering::SeqCst);
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes.remove(node).kill();
    }

    pub(crate) async fn stop(self) {
        for node in self.nodes {
            node.stop(30 * SECOND).await;
        }
    }

    /// Asks the node that has the saga; for what may be asked twice.
    pub(crate) async fn ask(&self, key: &SagaKey, ask: Ask, by: By) -> Answered {
        loop {
            for node in &self.nodes {
                match node.coordinator().ask(key, ask.clone(), by.clone(), None).await {
                    Err(RequestError::Elsewhere(_) | RequestError::Unavailable(_)) => {}
                    answered => return answered.expect("it makes sense"),
                }
            }
            sleep(self.pause).await;
        }
    }

    pub(crate) async fn plan(&mut self, action: Action) -> Shown {
        self.planned(action, vec!["stuck".to_owned()], Vec::new()).await
    }

    pub(crate) async fn plan_of(&mut self, action: Action, ids: Vec<SagaId>) -> Shown {
        self.planned(action, Vec::new(), ids).await
    }

    async fn planned(&self, action: Action, statuses: Vec<String>, ids: Vec<SagaId>) -> Shown {
        // A millisecond each, so that ids differ by more than chance.
        sleep(Duration::from_millis(1)).await;
        let filter = Filter { namespace: Some(Self::namespace()), statuses, ..Filter::default() };
        let choice = Choice { filter, ids, ..Choice::default() };
        let by = By { principal: "ada".to_owned(), reason: "echo is back".to_owned() };
        let planning = Planning { choice, filter: bytes::Bytes::new(), action, by };
        self.coordinator().plan_batch(planning).await.expect("planned")
    }

    pub(crate) async fn apply(&self, plan: &Shown, rate: f64) {
        let by = By { principal: "bob".to_owned(), reason: "reviewed".to_owned() };
        let applying = Applying { rate, by };
        self.coordinator().apply_batch(&Self::namespace(), &plan.head.id, applying).await.expect("applied");
    }

    pub(crate) async fn try_apply(&self, plan: &Shown, by: By) -> Result<Shown, BatchError> {
        self.coordinator().apply_batch(&Self::namespace(), &plan.head.id, Applying { rate: 50.0, by }).await
    }

    pub(crate) async fn look(&self, plan: &Shown) -> Shown {
        self.coordinator().batch(&Self::namespace(), &plan.head.id).await.expect("there")
    }

    pub(crate) async fn until_over(&self, plan: &Shown) -> Shown {
        for _ in 0..10_000 {
            let shown = self.look(plan).await;
            if shown.status != Standing::Running {
                return shown;
            }
            sleep(self.pause).await;
        }
        panic!("it doesn't come to its end: {:?}", self.look(plan).await);
    }

    pub(crate) async fn items(&self, plan: &Shown, only: Option<ItemStatus>) -> Vec<Item> {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            let page = self.coordinator().batch_items(&Self::namespace(), &plan.head.id, only, at, 100).await;
            let page = page.expect("items");
            all.extend(page.items);
            from = page.next;
        }
        all
    }

    pub(crate) async fn revision(&self, key: &SagaKey) -> u64 {
        self.coordinator().get(key).await.expect("there").saga.state.revision
    }

    /// How often a saga was called for.
    pub(crate) fn attempts(&self, key: &SagaKey) -> usize {
        self.by_key().get(&format!("{key}/two/action")).copied().unwrap_or_default()
    }

    pub(crate) fn by_key(&self) -> BTreeMap<String, usize> {
        self.echo.calls.lock().expect("no panic").clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.by_key().values().sum()
    }

    /// How many entries of a saga's history are this batch's.
    pub(crate) async fn marked(&self, key: &SagaKey, plan: &Shown) -> usize {
        let entries = self.store.history(key, 0, 1000).await.expect("read");
        let entries = entries.iter().map(|(_, bytes)| record::decode_history(bytes).expect("decoded").entry);
        entries.filter(|it| it.by.as_ref().is_some_and(|by| by.reason.contains(&plan.head.id))).count()
    }
}

pub(crate) fn ids(count: usize) -> Vec<SagaId> {
    (0..count).map(|number| World::key(number).id).collect()
}
