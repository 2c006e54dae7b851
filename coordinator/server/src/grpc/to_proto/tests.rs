//! Sagas, histories and registrations as the API shows them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::definition::{Compensation, Definition, Policy, Step};
use amends_engine::event::Event;
use amends_engine::history::HistoryEntry;
use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, SagaId, SagaKey, StepIndex, StepName, Version};
use amends_engine::outcome::{CallFacts, Outcome, Why};
use amends_engine::payload::PayloadKey;
use amends_engine::saga::{By, Saga, SagaHead};
use amends_engine::{Applied, apply, begin};
use amends_runtime::Snapshot;
use amends_store::Epoch;
use amends_store::record::RecordedEntry;

use super::*;

/// A saga of one step, as it was begun, with its request prepared.
struct Example {
    saga: Saga,
    history: Vec<HistoryEntry>,
    payloads: BTreeMap<PayloadKey, Payload>,
    now: Timestamp,
}

fn begun() -> Example {
    let step = Step {
        name: StepName::parse("reserve").unwrap(),
        participant: ParticipantName::parse("inventory").unwrap(),
        after: vec![],
        pivot: false,
        conditional: false,
        within: None,
        action: Policy { max_attempts: 1, ..Policy::action() },
        compensate: Compensation::Call(Policy { max_attempts: 1, ..Policy::finishing() }),
        confirm: None,
        query: None,
    };
    let name = DefinitionName::parse("checkout").unwrap();
    let definition = Definition::new(name.clone(), Version(3), Duration::from_secs(60), vec![step]).unwrap();
    let input = Payload::json(&br#"{"order":1}"#[..]);
    let head = SagaHead {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() },
        definition: name,
        version: Version(3),
        input: input.digest(),
        labels: vec![("order".to_owned(), "1".to_owned())],
        principal: "shop".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    };
    let now = Timestamp(1_700_000_000_123);
    let changed = begin(head, Arc::new(definition), input, now);
    let mut example =
        Example { saga: changed.saga, history: changed.history, payloads: changed.payloads.into_iter().collect(), now };
    example.prepared(Operation::Action);
    example
}

impl Example {
    fn then(&mut self, event: &Event) {
        self.now = self.now + Duration::from_secs(1);
        let Applied::Changed(changed) = apply(&self.saga, event, self.now).unwrap() else { panic!("{event:?}") };
        self.saga = changed.saga;
        self.history.extend(changed.history);
        self.payloads.extend(changed.payloads);
    }

    fn prepared(&mut self, operation: Operation) {
        let requests = vec![(operation, Payload::protobuf(&b"\x08\x01"[..]))];
        self.then(&Event::Prepared { step: StepIndex(0), operation, requests });
    }

    fn answered(&mut self, operation: Operation, outcome: Outcome) {
        let call = CallFacts {
            started_at: self.now,
            duration: Duration::from_millis(7),
            endpoint: "http://127.0.0.1:7502".to_owned(),
            ..CallFacts::default()
        };
        let retry_after = Duration::from_secs(5);
        self.then(&Event::Answered { step: StepIndex(0), operation, attempt: 1, outcome, retry_after, call });
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { saga: self.saga.clone(), payloads: self.payloads.clone() }
    }

    fn shown(&self) -> v1::Saga {
        saga(&self.snapshot(), View::Full)
    }
}

#[test]
fn a_running_saga_is_shown_with_its_head_and_steps() {
    let shown = begun().shown();
    assert_eq!((shown.namespace.as_str(), shown.id.as_str(), shown.version), ("default", "order-1", 3));
    assert_eq!((shown.status(), shown.phase()), (v1::SagaStatus::Running, v1::SagaPhase::Running));
    assert_eq!(shown.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(shown.create_time, Some(pbjson_types::Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }));
    assert_eq!(shown.input.unwrap().data.as_ref(), br#"{"order":1}"#);
    let step = &shown.steps[0];
    assert_eq!((step.name.as_str(), step.participant.as_str()), ("reserve", "inventory"));
    assert_eq!(step.effect(), v1::Effect::Possible);
    let operations: Vec<_> = step.operations.iter().map(|it| (it.operation(), it.status())).collect();
    assert_eq!(
        operations,
        [
            (v1::Operation::Action, v1::OperationStatus::Calling),
            (v1::Operation::Compensate, v1::OperationStatus::NotStarted)
        ]
    );
    assert!(shown.residue.is_empty() && shown.stuck.is_empty() && shown.waiting.is_empty());
}

#[test]
fn a_list_leaves_out_input_and_steps() {
    let shown = saga(&begun().snapshot(), View::Listed);
    assert!(shown.input.is_none() && shown.steps.is_empty());
    assert_eq!(shown.labels["order"], "1");
}

#[test]
fn a_stuck_saga_says_why_and_what_stands() {
    let mut example = begun();
    example.answered(Operation::Action, Outcome::Succeeded(Payload::json(&br#"{"id":7}"#[..])));
    assert_eq!(
        (example.shown().status(), example.shown().phase()),
        (v1::SagaStatus::Completed, v1::SagaPhase::Running)
    );

    let mut example = begun();
    let why = Why::new("UNAVAILABLE", "no route");
    let doubt = amends_engine::outcome::Doubt::Code;
    example.answered(Operation::Action, Outcome::Unknown { doubt, why: why.clone() });
    // The attempt may still be on its way until its deadline.
    example.now = example.now + Duration::from_secs(10);
    example.then(&Event::Due);
    example.prepared(Operation::Compensate);
    example.answered(Operation::Compensate, Outcome::Unknown { doubt, why });
    let shown = example.shown();
    assert_eq!((shown.status(), shown.phase()), (v1::SagaStatus::Stuck, v1::SagaPhase::Compensating));
    let stuck = &shown.stuck[0];
    assert_eq!((stuck.reason(), stuck.step.as_str()), (v1::StuckReason::RetriesExhausted, "reserve"));
    assert_eq!((stuck.operation(), stuck.code.as_str()), (v1::Operation::Compensate, "UNAVAILABLE"));
    assert_eq!(shown.decision.as_ref().unwrap().cause(), v1::DecisionCause::GaveUp);
    let residue = &shown.residue[0];
    assert_eq!((residue.effect(), residue.message.as_str()), (v1::Effect::Possible, "its compensation is stuck"));

    example.then(&Event::ForceStop(By { principal: "ops".to_owned(), reason: "repaired by hand".to_owned() }));
    let shown = example.shown();
    assert_eq!((shown.status(), shown.phase()), (v1::SagaStatus::ForceStopped, v1::SagaPhase::Compensating));
    assert!(shown.stuck.is_empty() && shown.end_time.is_some() && shown.residue.len() == 1);
}

#[test]
fn the_history_is_told_in_the_apis_words() {
    let mut example = begun();
    let why = Why::new("OUT_OF_STOCK", "none left");
    example.answered(Operation::Action, Outcome::Rejected { why, last_word: true });
    let snapshot = example.snapshot();
    let told: Vec<_> = example
        .history
        .iter()
        .map(|entry| {
            let recorded =
                RecordedEntry { entry: entry.clone(), node: "amends".to_owned(), epoch: Epoch(9), revision: 4 };
            history_entry(&recorded, &snapshot)
        })
        .collect();
    assert_eq!((told[0].sequence, told[0].kind()), (1, v1::HistoryKind::Started));
    assert_eq!((told[0].epoch, told[0].revision), (9, 4));
    let attempt = told.iter().find(|entry| entry.kind() == v1::HistoryKind::AttemptEnded).unwrap();
    assert_eq!((attempt.outcome(), attempt.code.as_str()), (v1::OutcomeKind::Rejected, "OUT_OF_STOCK"));
    assert_eq!((attempt.endpoint.as_str(), attempt.request_digest.len()), ("http://127.0.0.1:7502", 64));
    assert_eq!(attempt.duration.unwrap().nanos, 7_000_000);
    let decided = told.iter().find(|entry| entry.kind() == v1::HistoryKind::CompensationDecided).unwrap();
    assert_eq!(decided.code, "rejected");
    assert_eq!(told.last().unwrap().kind(), v1::HistoryKind::Compensated);
}

#[test]
fn a_time_beyond_the_calendar_is_its_end() {
    assert_eq!(timestamp(Timestamp(u64::MAX)).seconds, 253_402_300_799);
}
