//! The golden records of every released format, and the values that they must give for ever.
//!
//! The files in `fixtures/` are never edited: `<name>.hex` is the record, `<name>.txt` the value for people. A new format
//! gets new files beside these. Invariant: format 1 decodes to these values, and today's encoder writes the newest format.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{DefinitionName, Namespace, Operation, ParticipantName, SagaId, SagaKey, StepIndex, Version};
use amends_engine::outcome::{CallFacts, Doubt, LastOutcome, OutcomeKind, Why};
use amends_engine::payload::Digest;
use amends_engine::saga::{
    Acknowledgement, By, CancelRequest, Cause, Decision, OperationState, OperationStatus, Parked, Paused, Phase,
    SagaHead, SagaState, SkippedBy, StepState, StuckReason,
};
use amends_engine::time::Timestamp;
use bytes::Bytes;

use super::{
    DefinitionRecord, Deprecation, Epoch, NodeRecord, ParticipantRecord, RecordedEntry, decode_definition,
    decode_deprecation, decode_history, decode_node, decode_participant, decode_state, encode_definition,
    encode_deprecation, encode_history, encode_node, encode_participant, encode_state,
};

fn time(offset: u64) -> Timestamp {
    Timestamp(1_760_000_000_000 + offset)
}

fn by(principal: &str, reason: &str) -> By {
    By { principal: principal.into(), reason: reason.into() }
}

fn head() -> SagaHead {
    SagaHead {
        key: SagaKey { namespace: Namespace::parse("shop").unwrap(), id: SagaId::parse("order-1001").unwrap() },
        definition: DefinitionName::parse("checkout").unwrap(),
        version: Version(3),
        input: Digest::of(b"input"),
        labels: vec![("customer".into(), "c-7".into()), ("order".into(), "1001".into())],
        principal: "team-shop".into(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
    }
}

fn operation(status: OperationStatus) -> OperationState {
    OperationState {
        status,
        attempt: 3,
        failures: 2,
        uncertain: true,
        begun_at: Some(time(10)),
        quiet_at: Some(time(5_010)),
        request: Some(Digest::of(b"request")),
        output: Some(Digest::of(b"output")),
        last: Some(LastOutcome {
            kind: OutcomeKind::Unknown(Doubt::NoAnswer),
            why: Why::new("DEADLINE_EXCEEDED", "no answer within 5 s"),
            at: time(5_000),
        }),
    }
}

fn step(statuses: [OperationStatus; 4], sealing: bool) -> StepState {
    let [action, compensate, confirm, query] = statuses.map(operation);
    StepState { action, compensate, confirm, query, sealing }
}

/// A state with every field and every operation status filled in.
pub(super) fn full_state() -> SagaState {
    let (operator, condition) = (SkippedBy::Operator, SkippedBy::Condition);
    let stuck = OperationStatus::Stuck { reason: StuckReason::CompensationRefused, since: time(60) };
    SagaState {
        head: head().into(),
        revision: 12,
        history_length: 34,
        phase: Phase::Compensating,
        parked: Some(Parked { reason: StuckReason::Poison, message: "panicked in apply".into(), since: time(70) }),
        paused: Some(Paused { since: time(80), by: by("anna", "participant is migrated") }),
        decision: Some(Decision { cause: Cause::Cancelled(by("bert", "customer called")), at: time(50) }),
        cancel: Some(CancelRequest { at: time(40), by: by("bert", "customer called") }),
        acknowledgement: None,
        deadline: time(300_000),
        late: true,
        nondeterministic: 1,
        started_at: time(0),
        updated_at: time(90),
        ended_at: Some(time(100)),
        steps: vec![
            step([OperationStatus::Succeeded, stuck, OperationStatus::Idle, OperationStatus::Ready], false),
            step(
                [
                    OperationStatus::InFlight { deadline: time(5_010) },
                    OperationStatus::Retry { due: time(400) },
                    OperationStatus::Pending { since: time(20) },
                    OperationStatus::Asking,
                ],
                true,
            ),
            step(
                [
                    OperationStatus::Skipped(operator),
                    OperationStatus::Rejected,
                    OperationStatus::GaveUp,
                    OperationStatus::Skipped(condition),
                ],
                false,
            ),
        ]
        .into(),
    }
}

/// A state that somebody looks after, which format 1 can't say.
pub(super) fn acknowledged_state() -> SagaState {
    let acknowledgement = Some(Acknowledgement { at: time(85), by: by("anna", "asked the bank, ticket 4711") });
    SagaState { acknowledgement, ..full_state() }
}

/// The state of a saga that has just been started.
fn fresh_state() -> SagaState {
    let action = OperationState {
        status: OperationStatus::InFlight { deadline: time(5_000) },
        attempt: 1,
        begun_at: Some(time(0)),
        quiet_at: Some(time(5_000)),
        request: Some(Digest::of(b"request")),
        ..OperationState::IDLE
    };
    SagaState {
        head: SagaHead { labels: Vec::new(), traceparent: String::new(), ..head() }.into(),
        revision: 1,
        history_length: 1,
        phase: Phase::Running,
        parked: None,
        paused: None,
        decision: None,
        cancel: None,
        acknowledgement: None,
        deadline: time(300_000),
        late: false,
        nondeterministic: 0,
        started_at: time(0),
        updated_at: time(0),
        ended_at: None,
        steps: vec![StepState { action, ..StepState::IDLE }, StepState::IDLE].into(),
    }
}

/// An entry with every field filled in.
pub(super) fn full_entry() -> HistoryEntry {
    HistoryEntry {
        sequence: 7,
        at: time(1_234),
        change: Change::AttemptEnded(OutcomeKind::Unknown(Doubt::Code)),
        step: Some(StepIndex(2)),
        operation: Some(Operation::Compensate),
        attempt: Some(4),
        why: Why::new("UNAVAILABLE", "connection reset"),
        call: Some(CallFacts {
            started_at: time(1_200),
            duration: Duration::from_micros(34_567),
            endpoint: "http://payment-2:7503".into(),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            reply: Some(Digest::of(b"reply")),
        }),
        request: Some(Digest::of(b"request")),
        next_due: Some(time(2_000)),
        by: Some(by("anna", "retry after the outage")),
    }
}

fn decided_entry() -> HistoryEntry {
    HistoryEntry::new(0, time(50), Change::DecidedToCompensate(Cause::Rejected(StepIndex(1))))
}

fn repinned_entry() -> HistoryEntry {
    HistoryEntry {
        sequence: 9,
        change: Change::Repinned(Version(4)),
        why: Why::new("", "it was on version 3"),
        by: Some(by("anna", "version 4 divides by the right number")),
        ..decided_entry()
    }
}

/// Compares with a file of `fixtures/`. A missing one is written, to be looked at and kept; one that is there never is.
fn compare(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
    match std::fs::read_to_string(&path) {
        Ok(expected) => assert_eq!(found, expected, "{file}: what is written today differs from what was released"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::write(&path, found).unwrap();
            panic!("{file} was missing and is written now: check and keep it");
        }
        Err(error) => panic!("{file}: {error}"),
    }
}

fn read(file: &str) -> Vec<u8> {
    from_hex(&std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file)).unwrap())
}

fn to_hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.chunks(32).map(|line| line.concat() + "\n").collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn format_1_states_give_the_same_values_for_ever() {
    for (name, state) in [("format-1-state-full", full_state()), ("format-1-state-fresh", fresh_state())] {
        compare(&format!("{name}.hex"), &to_hex(&encode_state(&state)));
        let text = format!("{state:#?}\n");
        // Format 1 knew nothing of it.
        compare(&format!("{name}.txt"), &text.replace("    acknowledgement: None,\n", ""));
        assert_eq!(decode_state(&read(&format!("{name}.hex"))).unwrap(), state, "{name}");
    }
}

#[test]
fn format_2_states_give_the_same_values_for_ever() {
    let state = acknowledged_state();
    compare("format-2-state-acknowledged.hex", &to_hex(&encode_state(&state)));
    compare("format-2-state-acknowledged.txt", &format!("{state:#?}\n"));
    assert_eq!(decode_state(&read("format-2-state-acknowledged.hex")).unwrap(), state);
}

#[test]
fn format_1_history_gives_the_same_values_for_ever() {
    for (name, entry) in [
        ("format-1-history-full", full_entry()),
        ("format-1-history-decided", decided_entry()),
        ("format-1-history-repinned", repinned_entry()),
    ] {
        let value = RecordedEntry { entry, node: "node-a".to_owned(), epoch: Epoch(1_760_000_000_123), revision: 5 };
        let RecordedEntry { entry, node, epoch, revision } = &value;
        compare(&format!("{name}.hex"), &to_hex(&encode_history(entry, node, *epoch, *revision)));
        compare(&format!("{name}.txt"), &format!("{value:#?}\n"));
        assert_eq!(decode_history(&read(&format!("{name}.hex"))).unwrap(), value, "{name}");
    }
}

/// A node with every field filled in.
pub(super) fn full_node() -> NodeRecord {
    NodeRecord {
        name: "amends-2-k3f9".into(),
        address: "http://10.0.0.12:7500".into(),
        version: "0.3.0".into(),
        started_at: time(0),
        draining: true,
        heard_at: time(900),
    }
}

#[test]
fn format_1_nodes_give_the_same_values_for_ever() {
    let node = full_node();
    compare("format-1-node.hex", &to_hex(&encode_node(&node)));
    compare("format-1-node.txt", &format!("{node:#?}\n"));
    assert_eq!(decode_node(&read("format-1-node.hex"), node.heard_at).unwrap(), node);
}

/// A definition, its deprecation and a participant with every field filled in.
fn full_registry() -> (DefinitionRecord, Deprecation, ParticipantRecord) {
    let deprecation = Deprecation { at: time(7), principal: "ops".into(), reason: "it forgets the tax".into() };
    let body = Bytes::from("body");
    let definition = DefinitionRecord {
        namespace: Namespace::parse("team-a").unwrap(),
        name: DefinitionName::parse("checkout").unwrap(),
        version: Version(3),
        digest: Digest::of(&body),
        registered_at: time(5),
        principal: "team".into(),
        body: body.clone(),
        deprecated: Some(deprecation.clone()),
    };
    let participant = ParticipantRecord {
        namespace: Namespace::parse("team-a").unwrap(),
        name: ParticipantName::parse("payment").unwrap(),
        revision: 4,
        updated_at: time(6),
        principal: "team".into(),
        body,
    };
    (definition, deprecation, participant)
}

#[test]
fn format_1_registrations_give_the_same_values_for_ever() {
    let (definition, deprecation, participant) = full_registry();
    compare("format-1-definition.hex", &to_hex(&encode_definition(&definition)));
    compare("format-1-definition.txt", &format!("{definition:#?}\n"));
    let marked = Some(deprecation.clone());
    assert_eq!(decode_definition(&read("format-1-definition.hex"), Version(3), marked).unwrap(), definition);
    compare("format-1-deprecation.hex", &to_hex(&encode_deprecation(&deprecation)));
    compare("format-1-deprecation.txt", &format!("{deprecation:#?}\n"));
    assert_eq!(decode_deprecation(&read("format-1-deprecation.hex")).unwrap(), deprecation);
    compare("format-1-participant.hex", &to_hex(&encode_participant(&participant)));
    compare("format-1-participant.txt", &format!("{participant:#?}\n"));
    assert_eq!(decode_participant(&read("format-1-participant.hex"), 4).unwrap(), participant);
}
