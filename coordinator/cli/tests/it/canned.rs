//! The sagas, definitions, participants and nodes that the fake coordinator knows.
//!
//! Times are days and a half from now, so that ages come out the same whenever the tests run.

use amends_proto::v1::{
    Acknowledgement, BreakerMode, BreakerState, CodeMeaning, CountSagasResponse, Decision, DecisionCause, Definition,
    DefinitionVersion, Deprecation, Doubt, Effect, EndpointHealth, EndpointState, HistoryEntry, HistoryKind, Limits,
    LimitsChange, Node, NodeState, Operation, OperationState, OperationStatus, OutcomeKind, Participant, Payload,
    Protection, ReconcileAnswer, ReconcileFinding, ReconcileSagaResponse, Residue, Saga, SagaCount, SagaPhase,
    SagaStatus, Shard, ShardState, SourceFormat, StatusCount, Step, Stuck, StuckReason, Waiting, WaitingCount,
    WaitingReason, Webhook, payload::Encoding,
};
use pbjson_types::{Duration, Timestamp};

/// That many days and a half ago; negative: to come.
pub(crate) fn days_ago(days: i64) -> Option<Timestamp> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seconds = i64::try_from(now.as_secs()).expect("small") - days * 86_400 - days.signum() * 43_200;
    Some(Timestamp { seconds, nanos: 0 })
}

pub(crate) fn json(text: &'static str) -> Option<Payload> {
    Some(Payload { encoding: Encoding::Json.into(), data: text.into() })
}

pub(crate) fn saga(id: &str) -> Option<Saga> {
    match id {
        "order-1001" => Some(stuck()),
        "order-1002" => Some(waiting()),
        "order-1003" => Some(completed()),
        _ => None,
    }
}

fn base(id: &str, status: SagaStatus, phase: SagaPhase) -> Saga {
    Saga {
        namespace: "default".to_owned(),
        id: id.to_owned(),
        definition: "checkout".to_owned(),
        version: 3,
        status: status.into(),
        phase: phase.into(),
        revision: 7,
        input: json("{\"order_id\": \"1001\",\n \"amount_minor\": 9007199254740993}"),
        labels: [("order".to_owned(), "1001".to_owned())].into(),
        create_time: days_ago(3),
        update_time: days_ago(2),
        deadline: days_ago(-4),
        principal: "shop".to_owned(),
        ..Saga::default()
    }
}

pub(crate) fn operation(operation: Operation, status: OperationStatus, attempts: u32) -> OperationState {
    OperationState { operation: operation.into(), status: status.into(), attempts, ..OperationState::default() }
}

fn stuck() -> Saga {
    let refused = OperationState {
        last_outcome: OutcomeKind::Rejected.into(),
        last_code: "FAILED_PRECONDITION".to_owned(),
        last_message: "already shipped\u{1b}[2J".to_owned(),
        ..operation(Operation::Compensate, OperationStatus::Stuck, 40)
    };
    let reserved = OperationState {
        output: json("{\"reservation_id\":\"r-77\"}"),
        ..operation(Operation::Action, OperationStatus::Succeeded, 1)
    };
    let declined = OperationState {
        last_code: "INSUFFICIENT_FUNDS".to_owned(),
        last_message: "balance is 12".to_owned(),
        ..operation(Operation::Action, OperationStatus::Rejected, 1)
    };
    Saga {
        decision: Some(Decision {
            cause: DecisionCause::Rejected.into(),
            step: "charge".to_owned(),
            code: "INSUFFICIENT_FUNDS".to_owned(),
            message: "balance is 12".to_owned(),
            time: days_ago(3),
            ..Decision::default()
        }),
        stuck: vec![Stuck {
            reason: StuckReason::CompensationRefused.into(),
            since: days_ago(2),
            step: "reserve-stock".to_owned(),
            operation: Operation::Compensate.into(),
            code: "FAILED_PRECONDITION".to_owned(),
            message: "already shipped\u{1b}[2J".to_owned(),
        }],
        steps: vec![
            step("reserve-stock", "inventory", Effect::Stands, vec![reserved, refused]),
            Step { pivot: true, ..step("charge", "payment", Effect::None, vec![declined]) },
            step("ship", "inventory", Effect::None, vec![operation(Operation::Action, OperationStatus::NotStarted, 0)]),
        ],
        why: "Stuck since 2026-11-29 02:10:05 UTC: inventory refused to undo `reserve-stock` with FAILED_PRECONDITION \"already \
              shipped\". Nothing more happens until somebody retries, skips or resolves it; still standing: `reserve-stock` at \
              inventory."
            .to_owned(),
        held_up_at: "inventory".to_owned(),
        acknowledgement: Some(Acknowledgement {
            time: days_ago(1),
            principal: "anna".to_owned(),
            note: "asked the warehouse".to_owned(),
        }),
        residue: vec![Residue {
            step: "reserve-stock".to_owned(),
            participant: "inventory".to_owned(),
            effect: Effect::Stands.into(),
            output: json("{\"reservation_id\":\"r-77\"}"),
            message: "compensation refused".to_owned(),
            idempotency_key: "default/order-1001/reserve-stock/action".to_owned(),
            since: days_ago(2),
        }],
        ..base("order-1001", SagaStatus::Stuck, SagaPhase::Compensating)
    }
}

fn step(name: &str, participant: &str, effect: Effect, operations: Vec<OperationState>) -> Step {
    Step {
        name: name.to_owned(),
        participant: participant.to_owned(),
        effect: effect.into(),
        operations,
        ..Step::default()
    }
}

fn waiting() -> Saga {
    let retrying = OperationState {
        last_doubt: Doubt::NoAnswer.into(),
        last_code: "DEADLINE_EXCEEDED".to_owned(),
        ..operation(Operation::Action, OperationStatus::Retrying, 2)
    };
    Saga {
        late: true,
        waiting: vec![Waiting {
            reason: WaitingReason::RetryDue.into(),
            since: days_ago(2),
            until: days_ago(-5),
            step: "charge".to_owned(),
            operation: Operation::Action.into(),
            message: "DEADLINE_EXCEEDED: no answer within 3s".to_owned(),
        }],
        steps: vec![step("charge", "payment", Effect::Possible, vec![retrying])],
        ..base("order-1002", SagaStatus::Running, SagaPhase::Running)
    }
}

fn completed() -> Saga {
    let charged = operation(Operation::Action, OperationStatus::Succeeded, 1);
    Saga {
        end_time: days_ago(2),
        steps: vec![step("charge", "payment", Effect::Stands, vec![charged])],
        ..base("order-1003", SagaStatus::Completed, SagaPhase::Running)
    }
}

/// What participants say of three steps.
pub(crate) fn reconciled() -> ReconcileSagaResponse {
    let finding = |step: &str, recorded: Effect, answer: ReconcileAnswer, agrees, message: &str| ReconcileFinding {
        step: step.to_owned(),
        participant: "inventory".to_owned(),
        recorded: recorded.into(),
        answer: answer.into(),
        agrees,
        message: message.to_owned(),
    };
    let findings = vec![
        finding("reserve-stock", Effect::Stands, ReconcileAnswer::Stands, true, ""),
        finding("charge", Effect::None, ReconcileAnswer::Stands, false, ""),
        finding("ship", Effect::Possible, ReconcileAnswer::CannotAsk, false, "the step has no `query`"),
    ];
    ReconcileSagaResponse { findings }
}

pub(crate) fn compensated(id: &str) -> Saga {
    Saga { end_time: days_ago(2), ..base(id, SagaStatus::Compensated, SagaPhase::Compensating) }
}

/// What a saga looks like just after it was accepted or changed.
pub(crate) fn running(id: &str) -> Saga {
    base(id, SagaStatus::Running, SagaPhase::Running)
}

pub(crate) fn history() -> Vec<HistoryEntry> {
    let entry = |sequence, kind: HistoryKind| HistoryEntry {
        sequence,
        revision: sequence,
        time: days_ago(3),
        kind: kind.into(),
        node: "node-a".to_owned(),
        epoch: 5,
        ..HistoryEntry::default()
    };
    vec![
        HistoryEntry { principal: "shop".to_owned(), ..entry(1, HistoryKind::Started) },
        HistoryEntry {
            step: "charge".to_owned(),
            operation: Operation::Action.into(),
            attempt: 1,
            outcome: OutcomeKind::Unknown.into(),
            doubt: Doubt::NoAnswer.into(),
            code: "DEADLINE_EXCEEDED".to_owned(),
            duration: Some(Duration { seconds: 3, nanos: 200_000_000 }),
            next_attempt_time: days_ago(3),
            ..entry(2, HistoryKind::AttemptEnded)
        },
        HistoryEntry {
            code: "pivot_unknown".to_owned(),
            step: "charge".to_owned(),
            operation: Operation::Action.into(),
            ..entry(3, HistoryKind::Stuck)
        },
        HistoryEntry {
            step: "charge".to_owned(),
            principal: "sre".to_owned(),
            reason: "bank says it never arrived".to_owned(),
            ..entry(4, HistoryKind::ResolvedAsNotHappened)
        },
    ]
}

/// Three versions, of which the second is deprecated and holds most of the open sagas.
pub(crate) fn versions() -> Vec<DefinitionVersion> {
    let version = |version: u32, days: i64, open: &[(SagaStatus, u64)]| DefinitionVersion {
        definition: Some(Definition { version, create_time: days_ago(days), ..definition() }),
        open_sagas: open
            .iter()
            .map(|(status, count)| StatusCount { status: (*status).into(), count: *count })
            .collect(),
    };
    let mut all = vec![
        version(3, 9, &[(SagaStatus::Running, 4)]),
        version(2, 20, &[(SagaStatus::Running, 10), (SagaStatus::Confirming, 1), (SagaStatus::Stuck, 2)]),
        version(1, 40, &[]),
    ];
    let deprecation =
        Deprecation { time: days_ago(9), principal: "ops".to_owned(), reason: "charges before the hold".to_owned() };
    all[1].definition.as_mut().expect("set").deprecation = Some(deprecation);
    all
}

pub(crate) const OLD_SOURCE: &str = "\
saga: checkout
steps:
  - step: charge
    participant: payment
    action: { call: payment.v1.Payment/Charge, request: { amount: \"${input.amount}\" } }
    compensate: { call: payment.v1.Payment/Refund }
";

pub(crate) const NEW_SOURCE: &str = "\
saga: checkout
timeout: 10m
steps:
  - step: charge
    participant: bank
    action: { call: payment.v1.Payment/Charge, request: { amount: \"${input.amount}\", currency: EUR } }
    compensate: { call: payment.v1.Payment/Refund }
";

pub(crate) fn definition() -> Definition {
    Definition {
        namespace: "default".to_owned(),
        name: "checkout".to_owned(),
        version: 3,
        digest: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".to_owned(),
        format: SourceFormat::Yaml.into(),
        participants: vec!["inventory".to_owned(), "payment".to_owned()],
        steps: vec!["reserve-stock".to_owned(), "charge".to_owned()],
        create_time: days_ago(9),
        principal: "shop".to_owned(),
        ..Definition::default()
    }
}

/// One that doesn't answer, and is called as an operator once said.
fn bank() -> Participant {
    let limits = Limits {
        concurrency: 64,
        reserved_percent: 20,
        rate_per_second: 12.5,
        retry_percent: 20,
        breaker: BreakerMode::Auto.into(),
        resume_per_second: 0.0,
    };
    let waiting = [(Operation::Action, 10_200), (Operation::Compensate, 3)];
    let share = Limits { concurrency: 32, rate_per_second: 6.25, ..limits };
    Participant {
        limits: Some(limits),
        limits_change: Some(LimitsChange {
            time: days_ago(3),
            principal: "ops".to_owned(),
            reason: "they asked for it".to_owned(),
        }),
        protection: Some(Protection {
            node: "node-a".to_owned(),
            nodes: 2,
            breaker: BreakerState::Open.into(),
            since: days_ago(1),
            probe_time: days_ago(-3),
            in_flight: 0,
            waiting: waiting.map(|(of, count)| WaitingCount { operation: of.into(), count }).to_vec(),
            drain_time: days_ago(-3),
            resuming_per_second: 0.0,
            limits: Some(share),
        }),
        ..participant("payment")
    }
}

pub(crate) fn participant(name: &str) -> Participant {
    if name == "bank" {
        return Participant { name: name.to_owned(), ..bank() };
    }
    Participant {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        endpoints: vec!["http://127.0.0.1:7503".to_owned(), "http://127.0.0.1:7513".to_owned()],
        refusals_final: true,
        codes: [("ABORTED".to_owned(), CodeMeaning::Rejected.into())].into(),
        revision: 2,
        update_time: days_ago(1),
        principal: "shop".to_owned(),
        endpoint_states: vec![
            EndpointState {
                endpoint: "http://127.0.0.1:7503".to_owned(),
                source: "registered".to_owned(),
                health: EndpointHealth::Healthy.into(),
                in_flight: 3,
                ..EndpointState::default()
            },
            EndpointState {
                endpoint: "http://127.0.0.1:7513".to_owned(),
                source: "registered".to_owned(),
                health: EndpointHealth::Ejected.into(),
                ejected_until: days_ago(0),
                last_failure_time: days_ago(1),
                last_failure: "it answered UNAVAILABLE".to_owned(),
                ..EndpointState::default()
            },
        ],
        ..Participant::default()
    }
}

/// One that serves, one that is being drained, one that isn't heard any more.
pub(crate) fn nodes() -> Vec<Node> {
    let node = |name: &str, state: NodeState, shards: u32, heard: i64| Node {
        name: name.to_owned(),
        address: format!("http://{name}:7400"),
        version: "0.4.0".to_owned(),
        start_time: days_ago(3),
        heard_time: days_ago(heard),
        state: state.into(),
        shards,
    };
    vec![
        node("node-a", NodeState::Serving, 2, 1),
        node("node-b", NodeState::Draining, 0, 1),
        node("node-c", NodeState::Silent, 1, 2),
    ]
}

/// One that takes messages, and one that doesn't.
pub(crate) fn webhooks() -> Vec<Webhook> {
    let pager = Webhook {
        name: "pager".to_owned(),
        address: "https://hooks.example:443".to_owned(),
        events: vec!["saga.stuck".to_owned(), "saga.unstuck".to_owned()],
        delivered_time: days_ago(1),
        ..Webhook::default()
    };
    let chat = Webhook {
        name: "chat".to_owned(),
        address: "https://chat.example:443".to_owned(),
        events: vec!["shard.frozen".to_owned()],
        failures: 7,
        last_error: "it answered 404 Not Found".to_owned(),
        delivered_time: None,
        oldest_undelivered_time: days_ago(2),
    };
    vec![pager, chat]
}

/// One in each state.
pub(crate) fn shards() -> Vec<Shard> {
    let message = "shard 2 is frozen: its store is at commit 90, but commit 100 was confirmed before";
    let owned = Shard {
        shard: 0,
        state: ShardState::Owned.into(),
        node: "node-a".to_owned(),
        epoch: 1_795_895_750_123,
        lease_until: days_ago(-4),
        commits: 1_204,
        open_sagas: 12,
        message: String::new(),
    };
    let free =
        Shard { shard: 1, state: ShardState::Free.into(), node: String::new(), lease_until: None, ..owned.clone() };
    let frozen =
        Shard { shard: 2, state: ShardState::Frozen.into(), commits: 90, message: message.to_owned(), ..free.clone() };
    vec![owned, free, frozen]
}

/// What `Count` answers.
pub(crate) fn counts() -> CountSagasResponse {
    let count = |version, status: SagaStatus, stuck_reason: StuckReason, participant: &str, count| SagaCount {
        definition: "checkout".to_owned(),
        version,
        status: status.into(),
        stuck_reason: stuck_reason.into(),
        participant: participant.to_owned(),
        count,
    };
    CountSagasResponse {
        total: 10_017,
        counts: vec![
            count(2, SagaStatus::Stuck, StuckReason::RetriesExhausted, "payment", 6),
            count(3, SagaStatus::Running, StuckReason::Unspecified, "", 11),
            count(3, SagaStatus::Running, StuckReason::Unspecified, "payment", 10_000),
        ],
    }
}
