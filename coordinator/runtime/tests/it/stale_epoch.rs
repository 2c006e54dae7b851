//! A participant has seen a newer owner of a saga (`AMENDS_STALE_EPOCH`) than the one that calls it.
//!
//! Invariant: it is never read as a refusal and uses up no attempt, whatever the policy; the owner asks for a newer epoch, once, and
//! where that doesn't help only the sagas that it is said of wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::outcome::{Doubt, OutcomeKind};
use amends_engine::saga::Phase;
use amends_engine::standing::{WaitingReason, waiting};
use amends_runtime::participant::{Answer, Call, Code, Directory, ErrorInfo, ParticipantCaller, Reply, Status};
use amends_runtime::seam::Seams;
use amends_runtime::{Alone, Node, NodeParts, RuntimeConfig};
use amends_store::MemoryStore;
use async_trait::async_trait;
use tokio::sync::watch;

use crate::echo;

/// One attempt each: an answer that used one up would turn the saga back.
const DEFINITION: &str = "
saga: once
steps:
  - step: one
    participant: echo
    action:
      call: echo.v1.Echo/Say
      request: { text: a }
      retry: { max_attempts: 1, initial: 1ms, max: 2ms }
    compensate: { call: echo.v1.Echo/Say, request: { text: b } }
";

const PATIENCE: Duration = Duration::from_secs(30);

/// A participant that refuses calls of the sagas whose id begins with `late` below an epoch, and remembers all epochs.
#[derive(Debug)]
struct Barrier {
    /// What it has seen; `None`: one higher than the first call's.
    seen: Mutex<Option<u64>>,
    epochs: watch::Sender<Vec<u64>>,
}

#[async_trait]
impl ParticipantCaller for Barrier {
    async fn call(&self, call: Call) -> Answer {
        let reply = if call.key.id.as_str().starts_with("late") {
            self.epochs.send_modify(|epochs| epochs.push(call.epoch));
            let seen = *self.seen.lock().expect("no panic").get_or_insert(call.epoch + 1);
            if call.epoch < seen { stale() } else { ok(&call) }
        } else {
            ok(&call)
        };
        Answer { reply, endpoint: "memory".to_owned() }
    }
}

fn ok(call: &Call) -> Reply {
    Reply::Ok { bytes: call.request.clone(), pending: false }
}

fn stale() -> Reply {
    let info = ErrorInfo { reason: "AMENDS_STALE_EPOCH".to_owned(), domain: "amends".to_owned() };
    Reply::Status(Status { code: Code::Aborted, message: "seen".to_owned(), info: Some(info), retry_after: None })
}

struct World {
    node: Node,
    barrier: Arc<Barrier>,
    epochs: watch::Receiver<Vec<u64>>,
}

impl World {
    async fn new(seen: Option<u64>) -> Self {
        let seams = Seams::system();
        let clock = seams.clone();
        let store = Arc::new(MemoryStore::new(1, Arc::new(move || clock.now())));
        echo::register(&*store, "once", DEFINITION, &["echo"]).await;
        let (sender, epochs) = watch::channel(Vec::new());
        let barrier = Arc::new(Barrier { seen: Mutex::new(seen), epochs: sender });
        let parts = NodeParts {
            config: RuntimeConfig::default(),
            store,
            caller: barrier.clone(),
            directory: Arc::new(Directory::new()),
            peers: Arc::new(Alone),
            seams,
            telemetry: Arc::default(),
        };
        Self { node: Node::start(parts).await, barrier, epochs }
    }

    async fn start(&self, id: &str) -> SagaKey {
        self.node.coordinator().start(echo::start_of(id, "once", "{}")).await.expect("accepted");
        echo::key(id)
    }

    async fn phase(&self, key: &SagaKey) -> Phase {
        self.node.coordinator().wait(key, PATIENCE).await.expect("there").saga.state.phase
    }

    /// Waits until the participant was called so often for late sagas; the epochs it was called under.
    async fn calls(&mut self, count: usize) -> Vec<u64> {
        let many = self.epochs.wait_for(|epochs| epochs.len() >= count);
        tokio::time::timeout(PATIENCE, many).await.expect("calls").expect("it is there").clone()
    }
}

/// As after a restored backup whose epochs fell back: a newer epoch helps, at once.
#[tokio::test]
async fn an_owner_that_is_told_so_asks_for_a_newer_epoch() {
    let mut world = World::new(None).await;
    let key = world.start("late-1").await;
    assert_eq!(world.phase(&key).await, Phase::Completed, "no refusal, and the only attempt isn't used up");
    let epochs = world.calls(2).await;
    assert!(epochs.len() == 2 && epochs[1] > epochs[0], "{epochs:?}");
    world.node.stop(PATIENCE).await;
}

/// A participant that can't be told better: the shard is asked for anew once, the saga waits and says so, the others go on.
#[tokio::test]
async fn what_goes_on_holds_up_its_saga_alone() {
    let mut world = World::new(Some(u64::MAX)).await;
    let key = world.start("late-1").await;
    let epochs = world.calls(6).await;
    let anew = epochs.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!((anew, epochs[0] < epochs[1]), (1, true), "asked for anew once: {epochs:?}");
    let other = world.start("other-1").await;
    assert_eq!(world.phase(&other).await, Phase::Completed);
    let saga = world.node.coordinator().get(&key).await.expect("there").saga.clone();
    assert_eq!(saga.state.phase, Phase::Running, "never a refusal, and no attempt is used up");
    if let Some(waiting) = waiting(&saga) {
        let (step, operation) = (waiting.step.expect("a step"), waiting.operation.expect("an operation"));
        let last = saga.operation(step, operation).last.as_ref().map(|last| last.kind);
        let seen = (waiting.reason, last);
        assert_eq!(seen, (WaitingReason::RetryDue, Some(OutcomeKind::Unknown(Doubt::StaleEpoch))));
    }
    *world.barrier.seen.lock().expect("no panic") = Some(0);
    assert_eq!(world.phase(&key).await, Phase::Completed, "it goes on by itself");
    world.node.stop(PATIENCE).await;
}
