//! An owner whose clock was ahead dies with a call under way: whoever comes next waits for its own call no longer than ever.
//!
//! Invariant: a call's time limit is never more than the operation's policy says, whoever wrote down until when it may take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends_definition::{Body, Format};
use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId, SagaKey};
use amends_engine::payload::Payload;
use amends_engine::time::Timestamp;
use amends_runtime::participant::{Answer, Call, Directory, ParticipantCaller};
use amends_runtime::seam::{Clock, Entropy, Seams};
use amends_runtime::{Alone, Node, NodeParts, RuntimeConfig, Start};
use amends_store::{MemoryStore, Store as _};
use async_trait::async_trait;
use tokio::sync::watch;

const DEFINITION: &str = "
saga: once
steps:
  - step: one
    participant: echo
    action: { call: echo.v1.Echo/Say, timeout: 7s, request: { text: a } }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
";
const LIMIT: Duration = Duration::from_secs(7);
const AHEAD: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(30);

/// A participant that never answers, and the time limits of its calls.
#[derive(Debug)]
struct Silent(watch::Sender<Vec<Duration>>);

#[async_trait]
impl ParticipantCaller for Silent {
    async fn call(&self, call: Call) -> Answer {
        self.0.send_modify(|limits| limits.push(call.timeout));
        std::future::pending().await
    }
}

#[derive(Debug)]
struct Ahead(Seams);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now() + AHEAD
    }
}

#[derive(Debug)]
struct Chance(Seams);

impl Entropy for Chance {
    fn bits(&self) -> u128 {
        self.0.bits()
    }

    fn unit(&self) -> f64 {
        self.0.unit()
    }
}

async fn store() -> Arc<MemoryStore> {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Seams::system();
    let store = Arc::new(MemoryStore::new(1, Arc::new(move || clock.now())));
    let echo = ParticipantName::parse("echo").expect("a name");
    let participants = BTreeMap::from([(echo, crate::stale_epoch::descriptors(folder.path()))]);
    let document = amends_definition::parse(DEFINITION, Format::Yaml, "once.saga.yaml").expect("a definition");
    let body = Body::new(DEFINITION, Format::Yaml, &document, &participants).expect("descriptors");
    let (namespace, name) = (Namespace::default_namespace(), DefinitionName::parse("once").expect("a name"));
    store.put_definition(&namespace, &name, body.encode(), "test", Timestamp(1)).await.expect("registered");
    store
}

async fn node(store: &Arc<MemoryStore>, silent: &Arc<Silent>, seams: Seams) -> Node {
    let parts = NodeParts {
        // Long enough to find what was due by a clock that was ahead.
        config: RuntimeConfig { window: AHEAD * 2, ..RuntimeConfig::default() },
        store: store.clone(),
        caller: silent.clone(),
        directory: Arc::new(Directory::new()),
        peers: Arc::new(Alone),
        seams,
        telemetry: Arc::default(),
    };
    Node::start(parts).await
}

#[tokio::test]
async fn a_call_that_is_taken_over_from_a_clock_ahead_ends_in_its_own_time() {
    let store = store().await;
    let (sender, mut limits) = watch::channel(Vec::new());
    let silent = Arc::new(Silent(sender));
    let own = Seams::system();
    let ahead = Seams::new(Arc::new(Ahead(own.clone())), Arc::new(Chance(own.clone())));
    let mut first = node(&store, &silent, ahead).await;
    let start = Start {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("s").expect("an id") },
        definition: DefinitionName::parse("once").expect("a name"),
        version: None,
        input: Payload::json("{}"),
        labels: Vec::new(),
        principal: "test".to_owned(),
        traceparent: String::new(),
    };
    first.coordinator().start(start).await.expect("accepted");
    let mut calls = async |count: usize| {
        let many = limits.wait_for(|limits| limits.len() >= count);
        tokio::time::timeout(PATIENCE, many).await.expect("called").expect("it is there").clone()
    };
    calls(1).await;
    first.kill();
    let mut second = node(&store, &silent, own).await;
    let limits = calls(2).await;
    assert!(limits.iter().all(|limit| *limit <= LIMIT), "{limits:?}");
    second.kill();
}
