//! The pure part of a turn: events in, a change and its commit out.
//!
//! Applies events, prepares what the state asks for, applies that too, until nothing is left to prepare: state, request bytes
//! and intent go into one commit (design §4). It reads no clock and calls nobody. Invariant: a panic in a rule, a template or an
//! expression parks this one saga as poison and nothing else.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use amends_definition::{Compiled, Scope};
use amends_engine::event::Event;
use amends_engine::history::{self, HistoryEntry};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::{Saga, StuckReason};
use amends_engine::standing;
use amends_engine::time::Timestamp;
use amends_engine::{Applied, Attempt, IllegalEvent, apply, apply_admitting, is_calling, next_due, unprepared};
use amends_store::{Commit, IndexRow, Lease, OpId, record};
use std::time::Duration;

use super::resident::Values;
use crate::planted;

/// A change in the making: several events, one commit.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) saga: Saga,
    pub(crate) history: Vec<HistoryEntry>,
    pub(crate) payloads: Vec<(PayloadKey, Payload)>,
    /// Whether there is anything to commit.
    pub(crate) changed: bool,
}

/// Says whether an attempt may begin; see [`apply_admitting`].
pub(crate) type Admit<'a> = &'a mut dyn FnMut(Attempt<'_>) -> bool;

/// What became of one event within a turn.
pub(crate) enum Step {
    /// It changed the saga.
    Changed,
    /// It changed nothing, which is all right.
    Same,
    /// It makes no sense here.
    Refused(IllegalEvent),
}

impl Change {
    /// Nothing changed yet.
    pub(crate) fn new(saga: Saga) -> Self {
        Self { saga, history: Vec::new(), payloads: Vec::new(), changed: false }
    }

    /// A saga that was just begun.
    pub(crate) fn begun(begun: amends_engine::Changed) -> Self {
        Self { saga: begun.saga, history: begun.history, payloads: begun.payloads, changed: true }
    }

    /// The revision that it leads to, as somebody would see it who comes after what is in it already.
    pub(crate) fn revision(&self) -> u64 {
        self.saga.state.revision + u64::from(self.changed)
    }

    /// Applies one event; `admit` says which attempts may begin. A panic parks the saga.
    pub(crate) fn apply(&mut self, event: &Event, now: Timestamp, admit: Admit<'_>) -> Step {
        let applied = catch_unwind(AssertUnwindSafe(|| apply_admitting(&self.saga, event, now, admit)));
        match applied {
            Ok(Ok(Applied::Changed(changed))) => {
                self.saga = changed.saga;
                self.history.extend(changed.history);
                self.payloads.extend(changed.payloads);
                self.changed = true;
                Step::Changed
            }
            Ok(Ok(Applied::Ignored(_))) => Step::Same,
            Ok(Err(error)) => Step::Refused(error),
            Err(_) => self.park("a rule of the engine panicked", now),
        }
    }

    fn park(&mut self, message: &str, now: Timestamp) -> Step {
        tracing::error!(saga = %self.saga.state.head.key, message, "parked as poison");
        let event = Event::Park { reason: StuckReason::Poison, message: message.to_owned() };
        match apply(&self.saga, &event, now) {
            Ok(Applied::Changed(changed)) => {
                self.saga = changed.saga;
                self.history.extend(changed.history);
                self.changed = true;
                Step::Changed
            }
            Ok(Applied::Ignored(_)) | Err(_) => Step::Same,
        }
    }

    /// Prepares everything that the state asks for. Ends because each pass settles at least one request.
    pub(crate) fn prepare(
        &mut self,
        compiled: &Compiled,
        values: &mut Values,
        stored: &BTreeMap<PayloadKey, Payload>,
        now: Timestamp,
        admit: Admit<'_>,
    ) {
        while let Some((step, operation)) = unprepared(&self.saga) {
            self.fill(values, stored, compiled.reads(step));
            let event = catch_unwind(AssertUnwindSafe(|| self.evaluate(compiled, values, step, operation)));
            match event {
                Ok(event) => match self.apply(&event, now, admit) {
                    Step::Changed => {}
                    // An answer that the state doesn't take would be asked for again for ever.
                    Step::Same | Step::Refused(_) => {
                        self.park("a prepared request was not taken", now);
                    }
                },
                Err(_) => {
                    self.park("an expression or template panicked", now);
                }
            }
        }
    }

    fn evaluate(&self, compiled: &Compiled, values: &Values, step: StepIndex, operation: Operation) -> Event {
        let outputs = values.outputs.iter().map(|(step, value)| (*step, value)).collect();
        let scope = Scope { key: &self.saga.state.head.key, input: &values.input, outputs: &outputs };
        compiled.prepared(step, operation, &scope)
    }

    /// Parses the input and the outputs that the step's expressions read, each once.
    fn fill(&self, values: &mut Values, stored: &BTreeMap<PayloadKey, Payload>, reads: &[StepIndex]) {
        let find = |key: PayloadKey| {
            let fresh = self.payloads.iter().find(|(at, _)| *at == key).map(|(_, payload)| payload);
            fresh.or_else(|| stored.get(&key))
        };
        if !values.has_input {
            values.take_input(find(PayloadKey::Input).map(parse).unwrap_or_default());
        }
        for step in reads {
            if values.outputs.contains_key(step) {
                continue;
            }
            if let Some(output) = find(PayloadKey::Output(*step, Operation::Action)) {
                values.outputs.insert(*step, parse(output));
            }
        }
    }

    /// The steps of which a repeat gave another reply than the first.
    pub(crate) fn differing(&self) -> Vec<StepIndex> {
        let differs = self.history.iter().filter(|entry| entry.change == history::Change::Nondeterministic);
        differs.filter_map(|entry| entry.step).collect()
    }

    /// The commit that makes this change durable, and the saga with its new revision.
    pub(crate) fn into_commit(mut self, at: &CommitAt<'_>) -> (Saga, Vec<(PayloadKey, Payload)>, Commit) {
        let expected_revision = self.saga.state.revision;
        let revision = expected_revision + 1;
        self.saga.state.revision = revision;
        let encode = |entry: &HistoryEntry| record::encode_history(entry, at.node, at.lease.epoch, revision);
        let history = self.history.iter().map(|entry| (entry.sequence, encode(entry))).collect();
        let state = &self.saga.state;
        let open = !state.phase.is_terminal();
        let commit = Commit {
            lease: at.lease,
            key: state.head.key.clone(),
            op: at.op,
            expected_revision,
            state: record::encode_state(state),
            payloads: self.payloads.clone(),
            history,
            due: due(&self.saga),
            index: index_row(&self.saga),
            retain_until: (!open).then(|| at.now + at.retention),
            logs: Vec::new(),
        };
        (self.saga, self.payloads, commit)
    }
}

/// What a commit needs besides the change.
pub(crate) struct CommitAt<'a> {
    pub(crate) lease: Lease,
    pub(crate) op: OpId,
    pub(crate) node: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) retention: Duration,
}

/// When another owner would have to look at the saga: at once if an attempt is outstanding, since its answer dies with us. Any
/// time in the past says so, and one that stays the same costs the due index one change in a clean run instead of one a step.
fn due(saga: &Saga) -> Option<Timestamp> {
    if planted::is("due_entry_left_out") {
        return None;
    }
    if is_calling(saga) {
        return Some(saga.state.started_at);
    }
    next_due(saga)
}

fn index_row(saga: &Saga) -> IndexRow {
    let head = &saga.state.head;
    IndexRow {
        status: standing::status(saga).as_str(),
        stuck: saga.stuck().map(|stuck| stuck.reason.as_str()),
        definition: head.definition.clone(),
        version: head.version,
        labels: head.labels.clone(),
        started_at: saga.state.started_at,
        open: !saga.state.phase.is_terminal(),
        held_up_at: standing::held_up_at(saga).cloned(),
        acknowledged: saga.state.acknowledgement.is_some(),
    }
}

/// Payloads were checked when they came in; one that no longer parses reads as null, and the expression says so.
fn parse(payload: &Payload) -> serde_json::Value {
    amends_definition::read_json(&payload.bytes).unwrap_or_default()
}
