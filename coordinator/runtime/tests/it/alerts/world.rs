//! Nodes under virtual time, participants that do as the saga's id says, and receivers that do as the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::{Namespace, Operation, ParticipantName};
use amends_engine::saga::By;
use amends_engine::time::Timestamp;
use amends_runtime::alerts::{Alerts, EventType, Post, Posted, Settings, Target, Webhook};
use amends_runtime::participant::{
    Answer, Call, Code, Codes, Directory, Endpoint, ParticipantCaller, Registration, Reply, Status,
};
use amends_runtime::seam::{Clock, Entropy, Seams};
use amends_runtime::{Alone, Ask, Node, NodeParts, Pattern, RuntimeConfig, Start, Telemetry};
use amends_store::{Log, MemoryStore, ShardId, Store};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::echo;
pub(super) use crate::echo::key;

/// What the second step's refusal undoes is one attempt away from being stuck.
const DEFINITION: &str = "
saga: pair
input: { type: object, properties: { card: { type: string } } }
steps:
  - step: one
    participant: echo
    action: { call: echo.v1.Echo/Say, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, retry: { max_attempts: 1 }, request: { text: b } }
  - step: two
    participant: echo
    action: { call: echo.v1.Echo/Say, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
";

/// The input of every saga, which must be in no message.
const INPUT: &str = r#"{"card":"4111-SECRET"}"#;
/// Longer than anything takes in virtual time, which costs nothing.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);
/// 1 January 2026.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);

#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        BEGINNING + self.0.elapsed()
    }
}

/// Numbers that differ, and jitter in the middle.
#[derive(Debug, Default)]
struct Numbers(Mutex<u128>);

impl Entropy for Numbers {
    fn bits(&self) -> u128 {
        let mut last = self.0.lock().unwrap();
        *last += 1;
        *last << 64 | 0xA11E
    }

    fn unit(&self) -> f64 {
        0.5
    }
}

/// Sagas whose id begins with `stuck` are refused at the second step and can't be undone before it is mended.
#[derive(Debug, Default)]
struct Echo {
    mended: Mutex<bool>,
}

#[async_trait]
impl ParticipantCaller for Echo {
    async fn call(&self, call: Call) -> Answer {
        let says = |code, message: &str| {
            Reply::Status(Status { code, message: message.to_owned(), info: None, retry_after: None })
        };
        let fails = call.key.id.as_str().starts_with("stuck");
        let reply = match (call.step.as_str(), call.operation) {
            ("two", Operation::Action) if fails => says(Code::FailedPrecondition, "no"),
            ("one", Operation::Compensate) if fails && !*self.mended.lock().unwrap() => {
                says(Code::Unavailable, "<script>alert(1)</script>\n\u{202e}\"closed\"")
            }
            _ => Reply::Ok { bytes: call.request.clone(), pending: false },
        };
        Answer { reply, endpoint: "memory".to_owned() }
    }
}

/// What a receiver does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    Takes,
    /// Doesn't answer.
    Down,
    /// Answers that there is something wrong with the message.
    Refuses,
    /// Reads it, and its answer never comes.
    Hangs,
    /// Takes so many milliseconds for each.
    Slow(u64),
}

/// A message as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) to: String,
    pub(super) id: String,
    pub(super) body: Bytes,
    pub(super) at: Timestamp,
    pub(super) taken: bool,
}

impl Received {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    pub(super) fn saga(&self) -> String {
        self.json()["data"]["saga"].as_str().unwrap_or_default().to_owned()
    }
}

/// All receivers, by path.
#[derive(Debug)]
pub(super) struct Receivers {
    acts: watch::Sender<BTreeMap<String, Receiver>>,
    received: watch::Sender<Vec<Received>>,
    clock: Instant,
}

#[async_trait]
impl Post for Receivers {
    async fn post(&self, to: &Target, id: &str, body: &Bytes) -> Posted {
        let act = self.acts.borrow().get(&to.path).copied().unwrap_or(Receiver::Takes);
        let taken = matches!(act, Receiver::Takes | Receiver::Slow(_));
        if let Receiver::Slow(millis) = act {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        let (to, at) = (to.path.clone(), BEGINNING + self.clock.elapsed());
        let received = Received { to, id: id.to_owned(), body: body.clone(), at, taken };
        self.received.send_modify(|all| all.push(received));
        match act {
            Receiver::Takes | Receiver::Slow(_) => Posted::Delivered,
            Receiver::Down => Posted::Failed { why: "nobody answers".to_owned(), retry_after: None },
            Receiver::Refuses => Posted::Refused { why: "it answered 422".to_owned() },
            Receiver::Hangs => std::future::pending().await,
        }
    }
}

pub(super) fn webhook(name: &str, events: &[EventType]) -> Webhook {
    Webhook {
        name: name.to_owned(),
        target: Target::parse(&format!("https://receiver.example/{name}"), Vec::new()).unwrap(),
        events: events.iter().copied().collect(),
        definitions: vec![Pattern::new("*")],
        namespaces: vec![Pattern::new("*")],
    }
}

/// A store, its participants and receivers; nodes come and go.
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) receivers: Arc<Receivers>,
    pub(super) settings: Settings,
    pub(super) telemetry: Arc<Telemetry>,
    echo: Arc<Echo>,
    seams: Seams,
}

impl World {
    pub(super) async fn new(shards: u16, webhooks: Vec<Webhook>) -> Self {
        let start = Instant::now();
        let seams = Seams::new(Arc::new(VirtualClock(start)), Arc::new(Numbers::default()));
        let clock = seams.clone();
        let store = Arc::new(MemoryStore::new(shards, Arc::new(move || clock.now())));
        echo::register(&*store, "pair", DEFINITION, &["echo"]).await;
        let receivers =
            Arc::new(Receivers { acts: watch::Sender::default(), received: watch::Sender::default(), clock: start });
        let settings = Settings {
            webhooks,
            console_url: Some("https://amends.example".to_owned()),
            keep: Duration::from_secs(7 * 24 * 3600),
            keep_entries: 100_000,
        };
        Self { store, receivers, settings, telemetry: Arc::default(), echo: Arc::default(), seams }
    }

    pub(super) async fn node(&self, name: &str) -> Node {
        let directory = Directory::new();
        let endpoint = Endpoint::parse("http://echo:1").unwrap();
        let mut echo = Registration::new(vec![endpoint], false, Codes::new(), None).unwrap();
        echo.limits.concurrency = 1_000;
        directory.put(Namespace::default_namespace(), ParticipantName::parse("echo").unwrap(), echo);
        let parts = NodeParts {
            config: RuntimeConfig { node: name.to_owned(), ..RuntimeConfig::default() },
            store: self.store.clone(),
            caller: self.echo.clone(),
            directory: Arc::new(directory),
            peers: Arc::new(Alone),
            seams: self.seams.clone(),
            telemetry: self.telemetry.clone(),
        };
        let (settings, post) = (self.settings.clone(), self.receivers.clone());
        let alerts = Alerts::new(settings, name, post, self.seams.clone(), self.telemetry.clone());
        Node::start_telling(parts, alerts).await
    }

    pub(super) fn set(&self, webhook: &str, act: Receiver) {
        self.receivers.acts.send_modify(|acts| {
            acts.insert(format!("/{webhook}"), act);
        });
    }

    pub(super) fn mend(&self) {
        *self.echo.mended.lock().unwrap() = true;
    }

    /// All that came to a webhook, taken or not.
    pub(super) fn attempts(&self, webhook: &str) -> Vec<Received> {
        let path = format!("/{webhook}");
        self.receivers.received.borrow().iter().filter(|it| it.to == path).cloned().collect()
    }

    /// What a webhook has taken.
    pub(super) fn taken(&self, webhook: &str) -> Vec<Received> {
        self.attempts(webhook).into_iter().filter(|it| it.taken).collect()
    }

    /// Waits until it is so of what came to a webhook, taken or not.
    pub(super) async fn until(&self, webhook: &str, is_so: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut changes = self.receivers.received.subscribe();
        let waiting = async {
            while !is_so(&self.attempts(webhook)) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let came: Vec<_> = self.attempts(webhook).iter().map(|it| (it.kind(), it.saga(), it.taken)).collect();
            panic!("it never came so: {came:?}");
        }
        self.attempts(webhook)
    }

    /// Waits until a webhook has taken so many.
    pub(super) async fn until_taken(&self, webhook: &str, count: usize) -> Vec<Received> {
        self.until(webhook, |all| all.iter().filter(|it| it.taken).count() >= count).await;
        self.taken(webhook)
    }

    /// Waits until nothing is left in any outbox.
    pub(super) async fn until_trimmed(&self) {
        let trimmed = async {
            loop {
                let mut left = 0;
                for shard in 0..self.store.info().shards {
                    let span = self.store.log_span(ShardId(shard), Log::Outbox).await.unwrap();
                    left += span.next - span.first;
                }
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, trimmed).await.expect("all of it is settled some time");
    }

    /// How many entries there ever were.
    pub(super) async fn written(&self) -> u64 {
        let mut written = 0;
        for shard in 0..self.store.info().shards {
            written += self.store.log_span(ShardId(shard), Log::Outbox).await.unwrap().next - 1;
        }
        written
    }

    /// How many commits there were.
    pub(super) async fn commits(&self) -> u64 {
        self.store.tenures().await.unwrap().iter().map(|tenure| tenure.commits).sum()
    }
}

pub(super) fn start(id: &str) -> Start {
    echo::start_of(id, "pair", INPUT)
}

/// Starts a saga and waits until it has ended or is stuck.
pub(super) async fn run(node: &Node, id: &str) {
    node.coordinator().start(start(id)).await.unwrap();
    node.coordinator().wait(&key(id), PATIENCE).await.unwrap();
}

pub(super) async fn retry(node: &Node, id: &str) {
    let by = By { principal: "sre".to_owned(), reason: "mended".to_owned() };
    node.coordinator().ask(&key(id), Ask::Retry { step: None }, by, None).await.unwrap();
    node.coordinator().wait(&key(id), PATIENCE).await.unwrap();
}
