//! A participant that lets nobody in is called ever so seldom: trying again soon changes nothing, a person has to.
//!
//! Invariant: the first repeat already waits for half of the longest delay. (dtm #306: about 80 calls a second, for ever.)

use std::sync::Arc;
use std::time::Duration;

use amends_engine::history::Change;
use amends_engine::outcome::{Doubt, OutcomeKind};
use amends_runtime::participant::{Answer, Call, Code, Directory, ParticipantCaller, Reply, Status};
use amends_runtime::seam::Seams;
use amends_runtime::{Alone, Node, NodeParts, RuntimeConfig};
use amends_store::{MemoryStore, Store as _, record};
use async_trait::async_trait;

use crate::echo;

const DEFINITION: &str = "
saga: once
steps:
  - step: one
    participant: echo
    action:
      call: echo.v1.Echo/Say
      request: { text: a }
      retry: { max_attempts: 50, initial: 1ms, max: 10m }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
";
const SELDOM: Duration = Duration::from_secs(5 * 60);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Locked;

#[async_trait]
impl ParticipantCaller for Locked {
    async fn call(&self, _: Call) -> Answer {
        let status = Status { code: Code::Unauthenticated, message: "no".to_owned(), info: None, retry_after: None };
        Answer { reply: Reply::Status(status), endpoint: "memory".to_owned() }
    }
}

#[tokio::test]
async fn a_participant_that_lets_nobody_in_is_called_seldom() {
    let (seams, clock) = (Seams::system(), Seams::system());
    let store = Arc::new(MemoryStore::new(1, Arc::new(move || clock.now())));
    echo::register(&*store, "once", DEFINITION, &["echo"]).await;
    let parts = NodeParts {
        config: RuntimeConfig::default(),
        store: store.clone(),
        caller: Arc::new(Locked),
        directory: Arc::new(Directory::new()),
        peers: Arc::new(Alone),
        seams,
        telemetry: Arc::default(),
    };
    let mut node = Node::start(parts).await;
    let (key, start) = (echo::key("s"), echo::start_of("s", "once", "{}"));
    // Before it is there: as soon as it waits for long it leaves memory, and its progress is told to nobody new.
    let mut progress = node.coordinator().watch(&key).await.expect("its owner is here");
    node.coordinator().start(start).await.expect("accepted");
    let answered = progress.wait_for(|seen| seen.as_ref().is_some_and(|seen| seen.revision >= 2));
    tokio::time::timeout(PATIENCE, answered).await.expect("called and answered").expect("its owner is here");

    let history = store.history(&key, 0, usize::MAX).await.expect("there");
    let entries = history.iter().map(|(_, bytes)| record::decode_history(bytes).expect("own bytes").entry);
    let misconfigured = Change::AttemptEnded(OutcomeKind::Unknown(Doubt::Misconfigured));
    let first = entries.into_iter().find(|entry| entry.change == misconfigured).expect("the answer");
    let delay = first.next_due.expect("it is called again").since(first.at);
    assert!(delay >= SELDOM, "{delay:?}");
    node.kill();
}
