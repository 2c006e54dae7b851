//! Every rule that the judge adds to the checker's can fail.

use std::time::Duration;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{Namespace, ParticipantName, SagaId};
use amends_engine::payload::Payload;
use amends_engine::saga::{Decision, SagaHead};
use amends_engine::time::Timestamp;
use amends_engine::{begin, standing};
use amends_store::{Epoch, IndexRow, Nonce, OpId};

use amends_runtime::Snapshot;
use amends_runtime::participant::Origin;

use super::*;
use crate::library::Library;
use crate::scenario::Scenario;
use crate::seams::VirtualClock;

const NOW: Timestamp = Timestamp(1_000_000);

struct Court {
    judge: Judge,
    trace: Trace,
    begun: Saga,
}

impl Court {
    async fn new() -> Self {
        let clock = Arc::new(VirtualClock::new());
        let store = amends_store::memory::MemoryStore::new(1, Arc::new(|| NOW));
        let registered = Library::new(vec![Scenario::sequence(2)]).unwrap().register(&store).await;
        let judge = Judge::default();
        judge.knows(&registered);
        let input = Payload::json("{}");
        let head = SagaHead {
            key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("s").unwrap() },
            definition: registered[0].name.clone(),
            version: registered[0].version,
            input: input.digest(),
            labels: Vec::new(),
            principal: String::new(),
            traceparent: String::new(),
        };
        let begun = begin(head, registered[0].compiled.engine().clone(), input, NOW).saga;
        Self { judge, trace: Trace::new(clock), begun }
    }

    /// The commit of a saga as the runtime would make it.
    fn commit(&self, saga: &Saga) -> Commit {
        let mut state = saga.state.clone();
        state.revision += 1;
        Commit {
            lease: Lease { shard: ShardId(0), epoch: Epoch(7), nonce: Nonce(1) },
            key: state.head.key.clone(),
            op: OpId(1),
            expected_revision: saga.state.revision,
            state: record::encode_state(&state),
            payloads: Vec::new(),
            history: Vec::new(),
            due: Some(NOW),
            index: IndexRow {
                status: standing::status(saga).as_str(),
                stuck: None,
                definition: state.head.definition.clone(),
                version: state.head.version,
                labels: Vec::new(),
                started_at: NOW,
                open: true,
                held_up_at: None,
                acknowledged: false,
            },
            retain_until: None,
            logs: Vec::new(),
        }
    }

    fn call(&self, attempt: u32) -> Call {
        Call {
            key: self.begun.state.head.key.clone(),
            participant: ParticipantName::parse("stock").unwrap(),
            step: self.begun.definition.steps()[0].name.clone(),
            operation: Operation::Action,
            attempt,
            epoch: 7,
            origin: Origin::default(),
            expects_succeeded: false,
            path: String::new(),
            request: bytes::Bytes::new(),
            timeout: Duration::ZERO,
            traceparent: String::new(),
        }
    }

    /// The invariants that were broken since the last time.
    fn broken(&self) -> Vec<String> {
        self.trace.take().1.into_iter().map(|violation| violation.invariant).collect()
    }

    fn committed(&self, commit: &Commit) -> Vec<String> {
        self.judge.committed(commit, &self.trace);
        self.broken()
    }
}

#[tokio::test(start_paused = true)]
async fn a_proper_first_commit_breaks_nothing() {
    let court = Court::new().await;
    assert_eq!(court.committed(&court.commit(&court.begun)), Vec::<String>::new());
    assert_eq!((court.judge.commits(), court.judge.keys().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_due_time_that_comes_too_late_is_noticed() {
    let court = Court::new().await;
    let never = Commit { due: None, ..court.commit(&court.begun) };
    assert_eq!(court.committed(&never), ["I5"]);
}

#[tokio::test(start_paused = true)]
async fn a_saga_whose_time_has_come_is_due_at_once_and_not_later() {
    let court = Court::new().await;
    let mut overdue = court.begun.clone();
    overdue.state.late = false;
    overdue.state.deadline = NOW;
    overdue.state.updated_at = Timestamp(NOW.0 + 5);
    let due = |millis| wakes(&Commit { due: Some(Timestamp(NOW.0 + millis)), ..court.commit(&overdue) }, &overdue);
    assert_eq!(due(5), None);
    assert!(due(6).is_some_and(|what| what.contains("due index")));
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_what_is_not_durable_is_noticed() {
    let court = Court::new().await;
    let key = court.begun.state.head.key.clone();
    let mut saga = court.begun.clone();
    saga.state.revision = 1;
    let snapshot = Arc::new(Snapshot { saga, payloads: BTreeMap::new() });
    let broken = |answer| {
        court.judge.answered(&key, &answer, &court.trace);
        court.broken()
    };
    assert_eq!(broken(Ok(Answered { snapshot: snapshot.clone(), changed: true })), ["Told"]);
    court.committed(&court.commit(&court.begun));
    assert_eq!(broken(Ok(Answered { snapshot, changed: true })), Vec::<String>::new());
    assert_eq!(broken(Err(IllegalEvent::Ended.into())), ["Told"]);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_saga_that_expires_is_noticed() {
    let court = Court::new().await;
    let expires = Commit { retain_until: Some(NOW), ..court.commit(&court.begun) };
    assert_eq!(court.committed(&expires), ["I5"]);
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_forgotten_are_noticed() {
    let court = Court::new().await;
    let mut failed = court.begun.clone();
    failed.state.steps[0].action.failures = 2;
    let found = |commit: &Commit| budget::fewer_failures(&failed.state, commit, &court.begun.state);
    let silent = court.commit(&court.begun);
    assert!(found(&silent).is_some_and(|what| what.contains("step 0")));
    let retried = HistoryEntry::new(1, NOW, Change::Retried);
    let history = vec![(1, record::encode_history(&retried, "node", Epoch(7), 2))];
    assert_eq!(found(&Commit { history, ..silent }), None, "somebody asked for it");
}

#[tokio::test(start_paused = true)]
async fn a_write_of_an_owner_that_was_replaced_is_noticed() {
    let court = Court::new().await;
    let first = court.commit(&court.begun);
    court.committed(&first);
    let mut next = court.begun.clone();
    next.state.revision = 1;
    let older = Lease { epoch: Epoch(6), ..first.lease };
    assert_eq!(court.committed(&Commit { lease: older, ..court.commit(&next) }), ["I6"]);
    next.state.revision = 2;
    let forged = Lease { epoch: Epoch(6), nonce: Nonce(2), ..first.lease };
    assert_eq!(court.committed(&Commit { lease: forged, ..court.commit(&next) }), ["I6"]);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_left_out_is_noticed() {
    let court = Court::new().await;
    court.committed(&court.commit(&court.begun));
    let mut next = court.begun.clone();
    next.state.revision = 2;
    assert_eq!(court.committed(&court.commit(&next)), ["Sequence"]);
}

#[tokio::test(start_paused = true)]
async fn calls_without_intent_and_calls_made_twice_are_noticed() {
    let court = Court::new().await;
    court.judge.called(&court.call(1), &court.trace);
    assert_eq!(court.broken(), ["NoIntent"], "nothing is durable yet");
    court.committed(&court.commit(&court.begun));
    court.judge.called(&court.call(2), &court.trace);
    assert_eq!(court.broken(), ["NoIntent"], "attempt 2 was never asked for");
    court.judge.called(&court.call(2), &court.trace);
    assert_eq!(court.broken(), ["I11", "NoIntent"]);
}

#[tokio::test(start_paused = true)]
async fn deadlines_that_are_not_heeded_are_noticed() {
    let court = Court::new().await;
    let mut late = court.begun.clone();
    late.state.updated_at = late.state.deadline;
    assert!(heeds_deadline(&late).is_some_and(|what| what.contains("runs on")));
    let mut early = court.begun.clone();
    early.state.phase = Phase::Compensating;
    early.state.decision = Some(Decision { cause: Cause::Deadline, at: NOW });
    assert!(heeds_deadline(&early).is_some_and(|what| what.contains("hadn't passed")));
    assert_eq!(heeds_deadline(&court.begun), None);
}

#[tokio::test(start_paused = true)]
async fn the_wrong_order_of_undoing_is_noticed() {
    let court = Court::new().await;
    let effect = |step: &str, operation| EffectSeen {
        saga: court.begun.state.head.key.clone(),
        step: StepName::parse(step).unwrap(),
        operation,
    };
    let undone = |first, second| [effect(first, Operation::Compensate), effect(second, Operation::Compensate)];
    assert_eq!(undone_too_early(&court.begun, &undone("s2", "s1")), Vec::<String>::new());
    assert_eq!(undone_too_early(&court.begun, &undone("s1", "s2")).len(), 1);
}
