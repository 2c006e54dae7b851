//! What the runtime counts as it happens, with the words that it uses for it.
//!
//! Invariant: every word that becomes a label comes from a closed list here or from a bounded one; a participant's own reason codes
//! don't.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use amends_engine::ids::{DefinitionName, Namespace, Operation, ParticipantName};
use amends_engine::outcome::OutcomeKind;
use amends_engine::saga::Cause;
use amends_engine::standing::StatusWord;
use prometheus_client::registry::Registry;

use super::bounded::Bounded;
use super::meter::{Counter, Timing};
use super::names;
use crate::participant::Reply;

/// Most namespaces, definitions and participants that have series of their own.
const NAMES_MAX: usize = 500;

/// The runtime's counters.
#[derive(Debug)]
pub struct RuntimeMeters {
    names: Names,
    /// Whose series are there.
    definitions: Seen,
    operations: Seen,
    totals: Sums,
    started: Counter,
    ended: Counter,
    turned_back: Counter,
    duration: Timing,
    attempts: Counter,
    attempt_duration: Timing,
    retries: Counter,
    nondeterministic: Counter,
    losses: Counter,
    acquisitions: Counter,
    audit_left_out: Counter,
    audit_lost: Counter,
    taken_over: Counter,
    recovery: Timing,
}

/// How many sagas this node has started and ended since it began, over all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Whose first commit is durable.
    pub started: u64,
    /// COMPLETED.
    pub completed: u64,
    /// COMPENSATED.
    pub compensated: u64,
    /// FORCE_STOPPED.
    pub force_stopped: u64,
}

/// The same, as they are counted.
#[derive(Debug, Default)]
struct Sums {
    started: AtomicU64,
    completed: AtomicU64,
    compensated: AtomicU64,
    force_stopped: AtomicU64,
}

/// Pairs that were seen: bounded, since their names are.
#[derive(Debug, Default)]
struct Seen(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Seen {
    /// Whether these two are seen together for the first time.
    fn first(&self, whose: &str, what: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(whose).is_some_and(|seen| seen.contains(what)) {
            return false;
        }
        seen.entry(whose.to_owned()).or_default().insert(what.to_owned())
    }
}

/// Which names have series of their own.
#[derive(Debug)]
pub struct Names {
    /// Namespaces.
    pub namespaces: Bounded,
    /// Definitions.
    pub definitions: Bounded,
    /// Participants.
    pub participants: Bounded,
}

impl Default for RuntimeMeters {
    fn default() -> Self {
        Self {
            names: Names {
                namespaces: Bounded::new(NAMES_MAX),
                definitions: Bounded::new(NAMES_MAX),
                participants: Bounded::new(NAMES_MAX),
            },
            definitions: Seen::default(),
            operations: Seen::default(),
            totals: Sums::default(),
            started: Counter::new(names::SAGAS_STARTED, &[]),
            ended: Counter::new(names::SAGAS_ENDED, &[]),
            turned_back: Counter::new(names::SAGAS_TURNED_BACK, &[]),
            duration: Timing::new(names::SAGA_DURATION, &[]),
            attempts: Counter::new(names::ATTEMPTS, &[]),
            attempt_duration: Timing::new(names::ATTEMPT_DURATION, &[]),
            retries: Counter::new(names::RETRIES, &[]),
            nondeterministic: Counter::new(names::NONDETERMINISTIC, &[]),
            losses: Counter::new(names::STORE_LOSSES, &[&[]]),
            acquisitions: Counter::new(names::SHARD_ACQUISITIONS, &[&[]]),
            audit_left_out: Counter::new(names::AUDIT_LEFT_OUT, &[&[]]),
            audit_lost: Counter::new(names::AUDIT_LOST, &[&[]]),
            taken_over: Counter::new(names::TAKEN_OVER_SAGAS, &[&[]]),
            recovery: Timing::new(names::SHARD_RECOVERY, &[&[]]),
        }
    }
}

impl RuntimeMeters {
    /// Which names have series of their own; for gauges with the same labels.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// How many sagas were started and ended here so far.
    pub fn totals(&self) -> Totals {
        let Sums { started, completed, compensated, force_stopped } = &self.totals;
        let read = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Totals {
            started: read(started),
            completed: read(completed),
            compensated: read(compensated),
            force_stopped: read(force_stopped),
        }
    }

    /// Has all of it exported.
    pub fn register(&self, registry: &mut Registry) {
        let Self {
            names: _,
            definitions: _,
            operations: _,
            totals: _,
            started,
            ended,
            turned_back,
            duration,
            attempts,
            attempt_duration,
            retries,
            ..
        } = self;
        let Self { nondeterministic, losses, acquisitions, audit_left_out, audit_lost, taken_over, recovery, .. } =
            self;
        let counters = [
            started,
            ended,
            turned_back,
            attempts,
            retries,
            nondeterministic,
            losses,
            acquisitions,
            audit_left_out,
            audit_lost,
            taken_over,
        ];
        counters.iter().for_each(|counter| counter.register(registry));
        [duration, attempt_duration, recovery].iter().for_each(|timing| timing.register(registry));
    }

    fn pair<'a>(&self, namespace: &'a Namespace, definition: &'a DefinitionName) -> [&'a str; 2] {
        let Names { namespaces, definitions, .. } = &self.names;
        [namespaces.name(namespace.as_str()), definitions.name(definition.as_str())]
    }

    /// A saga's first commit is durable.
    pub(crate) fn started(&self, namespace: &Namespace, definition: &DefinitionName) {
        let [namespace, definition] = self.pair(namespace, definition);
        self.started.one(&[namespace, definition]);
        self.totals.started.fetch_add(1, Ordering::Relaxed);
        if !self.definitions.first(namespace, definition) {
            return;
        }
        // There from the first saga on, so that a rate of it can be taken when it matters.
        for status in [StatusWord::Completed, StatusWord::Compensated, StatusWord::ForceStopped] {
            self.ended.add(&[namespace, definition, status.as_str()], 0);
        }
        for cause in CAUSES {
            self.turned_back.add(&[namespace, definition, cause], 0);
        }
    }

    /// A saga has ended.
    pub(crate) fn ended(&self, of: (&Namespace, &DefinitionName), status: StatusWord, took: Duration) {
        let [namespace, definition] = self.pair(of.0, of.1);
        let values = [namespace, definition, status.as_str()];
        self.ended.one(&values);
        let sum = match status {
            StatusWord::Completed => Some(&self.totals.completed),
            StatusWord::Compensated => Some(&self.totals.compensated),
            StatusWord::ForceStopped => Some(&self.totals.force_stopped),
            _ => None,
        };
        if let Some(sum) = sum {
            sum.fetch_add(1, Ordering::Relaxed);
        }
        self.duration.observe(&values, took.as_secs_f64());
    }

    /// A saga was decided to be compensated.
    pub(crate) fn turned_back(&self, namespace: &Namespace, definition: &DefinitionName, cause: &Cause) {
        let [namespace, definition] = self.pair(namespace, definition);
        self.turned_back.one(&[namespace, definition, cause_word(cause)]);
    }

    /// A call ended.
    pub(crate) fn attempt(&self, of: (&ParticipantName, Operation, u32), how: (OutcomeKind, &Reply), took: Duration) {
        let (participant, operation, attempt) = of;
        let participant = self.names.participants.name(participant.as_str());
        let operation = operation.as_str();
        self.attempts.one(&[participant, operation, outcome_word(how.0), code_word(how.1)]);
        self.attempt_duration.observe(&[participant, operation], took.as_secs_f64());
        if attempt > 1 {
            self.retries.one(&[participant, operation]);
        }
        if self.operations.first(participant, operation) {
            // So that an alert on them has a 0 to rise from.
            for (outcome, code) in [("unknown", "UNAVAILABLE"), ("not_sent", "not_sent")] {
                self.attempts.add(&[participant, operation, outcome, code], 0);
            }
            self.retries.add(&[participant, operation], 0);
            self.nondeterministic.add(&[participant], 0);
        }
    }

    /// A reply differed from the first one.
    pub(crate) fn nondeterministic(&self, participant: &ParticipantName) {
        self.nondeterministic.one(&[self.names.participants.name(participant.as_str())]);
    }

    /// The store has lost what it had confirmed.
    pub(crate) fn store_lost(&self) {
        self.losses.one(&[]);
    }

    /// An entry couldn't be written to the audit log.
    pub fn audit_lost(&self) {
        self.audit_lost.one(&[]);
    }

    /// An attempt has no entry in the audit log.
    pub(crate) fn audit_left_out(&self) {
        self.audit_left_out.one(&[]);
    }

    /// A shard was acquired.
    pub(crate) fn acquired(&self) {
        self.acquisitions.one(&[]);
    }

    /// So many sagas with work due were found in a shard that was just acquired.
    pub(crate) fn taken_over(&self, sagas: u64) {
        self.taken_over.add(&[], sagas);
    }

    /// All that is due in a shard is in memory again.
    pub(crate) fn recovered(&self, took: Duration) {
        self.recovery.observe(&[], took.as_secs_f64());
    }
}

/// Every word of [`cause_word`].
const CAUSES: [&str; 6] = ["rejected", "gave_up", "expression_failed", "cancelled", "deadline", "resolved"];

/// Why a saga turned back, in a word.
pub(crate) fn cause_word(cause: &Cause) -> &'static str {
    match cause {
        Cause::Rejected(_) => "rejected",
        Cause::GaveUp(_) => "gave_up",
        Cause::ExpressionFailed(_) => "expression_failed",
        Cause::Cancelled(_) => "cancelled",
        Cause::Deadline => "deadline",
        Cause::ResolvedAsNotHappened(_) => "resolved",
    }
}

/// What became of an attempt, in a word.
pub(crate) fn outcome_word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Succeeded => "succeeded",
        OutcomeKind::Rejected => "rejected",
        OutcomeKind::Pending => "pending",
        OutcomeKind::NotFound => "not_found",
        OutcomeKind::Unknown(_) => "unknown",
        OutcomeKind::NotSent => "not_sent",
    }
}

/// What the transport said, in a word: a gRPC code, an HTTP status, or what kept both from coming.
pub(crate) fn code_word(reply: &Reply) -> &'static str {
    match reply {
        Reply::Ok { .. } => "OK",
        Reply::Status(status) => status.code.name(),
        Reply::Http(reply) => http_word(reply.status),
        Reply::NoAnswer => "no_answer",
        Reply::Broken(_) => "broken",
        Reply::TooLarge { .. } => "too_large",
        Reply::Unreadable(_) => "unreadable",
        Reply::NotSent(_) => "not_sent",
    }
}

/// The statuses that people look for by their number.
const STATUSES: &[(u16, &str)] = &[
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (422, "422"),
    (425, "425"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

/// One of [`STATUSES`], or its class.
fn http_word(status: u16) -> &'static str {
    let class = match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    };
    STATUSES.iter().find(|(number, _)| *number == status).map_or(class, |(_, word)| word)
}
