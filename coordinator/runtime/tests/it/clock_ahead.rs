//! An owner whose clock was ahead dies with a call under way: whoever comes next waits for its own call no longer than ever.
//!
//! Invariant: a call's time limit is never more than the operation's policy says, whoever wrote down until when it may take.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::time::Timestamp;
use amends_runtime::participant::{Answer, Call, Directory, ParticipantCaller};
use amends_runtime::seam::{Clock, Seams};
use amends_runtime::{Alone, Node, NodeParts, RuntimeConfig};
use amends_store::MemoryStore;
use async_trait::async_trait;
use tokio::sync::watch;

use crate::{clock, echo};

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

async fn store() -> Arc<MemoryStore> {
    let clock = Seams::system();
    let store = Arc::new(MemoryStore::new(1, Arc::new(move || clock.now())));
    echo::register(&*store, "once", DEFINITION, &["echo"]).await;
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
    let ahead = clock::seams(Arc::new(Ahead(own.clone())));
    let mut first = node(&store, &silent, ahead).await;
    first.coordinator().start(echo::start_of("s", "once", "{}")).await.expect("accepted");
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
