//! Asking participants, by the steps' queries, which of a saga's effects stand, and comparing that with what is recorded.
//!
//! It changes nothing: no state, no history, no attempt. The questions take the road of all calls, behind breaker and limits, with
//! time limits of their own. Invariant: "agrees" is said only where both sides are certain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use amends_definition::{Compiled, Prepared, Protocol, Scope};
use amends_engine::definition::STEPS_MAX;
use amends_engine::facts::StepEffect;
use amends_engine::ids::{Operation, ParticipantName, SagaKey, StepIndex, StepName};
use amends_engine::outcome::Outcome;
use amends_engine::payload::PayloadKey;
use amends_engine::standing::WaitingReason;
use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::{Coordinator, gone};
use crate::error::RequestError;
use crate::participant::protection::{Admission, Permit, Wanted, health};
use crate::participant::{Call, Codes, classify};
use crate::shard::{OperationReading, Request, ShardEvent};
use crate::snapshot::Snapshot;

/// How long a question waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(5);
/// How long an answer is waited for at most, also where the definition would wait longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What a participant says about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It stands.
    Stands,
    /// There is none.
    NotFound,
    /// The step has no query.
    CannotAsk,
    /// No answer, or none that says.
    Unknown,
}

/// One step's effect, as it is recorded and as its participant says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// The step.
    pub step: StepName,
    /// The participant.
    pub participant: ParticipantName,
    /// What is recorded.
    pub recorded: StepEffect,
    /// What the participant says.
    pub said: Said,
    /// Both say the same; false also where nobody can know.
    pub agrees: bool,
    /// What it said, or why it wasn't asked.
    pub message: String,
}

impl Coordinator {
    /// Asks about every step whose action may have been called, in the order of the definition. Only where the saga's shard is.
    pub async fn reconcile(&self, key: &SagaKey) -> Result<Vec<Reconciled>, RequestError> {
        let (reply, epoch) = oneshot::channel();
        self.send(key, Request::Epoch(reply))?;
        let epoch = epoch.await.map_err(|_| gone())?.0;
        let snapshot = self.get(key).await?;
        let head = &snapshot.saga.state.head;
        let compiled = self.inner.definitions.get(&key.namespace, &head.definition, head.version).await?;
        let called = |step: &StepIndex| {
            let action = &snapshot.saga.step(*step).action;
            action.attempt > 0 || snapshot.saga.effect(*step) != StepEffect::None
        };
        let steps: Vec<StepIndex> = snapshot.saga.definition.indices().filter(called).collect();
        let asked = steps.into_iter().map(|step| self.reconciled(&snapshot, &compiled, step, epoch));
        Ok(join_all(asked).await)
    }

    async fn reconciled(
        &self,
        snapshot: &Snapshot,
        compiled: &Arc<Compiled>,
        step: StepIndex,
        epoch: u64,
    ) -> Reconciled {
        let definition = snapshot.saga.definition.step(step);
        let recorded = snapshot.saga.effect(step);
        let (said, message) = match definition.query {
            Some(_) => self.asked(snapshot, compiled, step, epoch).await,
            None => (Said::CannotAsk, "the step has no `query`: look at the participant yourself".to_owned()),
        };
        let agrees = match (recorded, said) {
            (StepEffect::Stands, Said::Stands) | (StepEffect::None | StepEffect::Undone, Said::NotFound) => true,
            (StepEffect::Stands, _) | (StepEffect::None | StepEffect::Undone, _) | (StepEffect::Possible, _) => false,
        };
        let (step, participant) = (definition.name.clone(), definition.participant.clone());
        Reconciled { step, participant, recorded, said, agrees, message }
    }

    async fn asked(
        &self,
        snapshot: &Snapshot,
        compiled: &Arc<Compiled>,
        step: StepIndex,
        epoch: u64,
    ) -> (Said, String) {
        let request = match request(snapshot, compiled, step) {
            Ok(request) => request,
            Err(why) => return (Said::Unknown, why),
        };
        let Some(call) = self.question(snapshot, compiled, step, epoch, request) else {
            return (Said::Unknown, "the question can't be made".to_owned());
        };
        let Some(permit) = self.turn(snapshot, step).await else {
            let who = &call.participant;
            return (
                Said::Unknown,
                format!("not asked: {who} isn't called for now, see `amends participant describe {who}`"),
            );
        };
        let answer = self.inner.caller.call(call).await;
        let reading = OperationReading { compiled: compiled.clone(), step, operation: Operation::Query };
        let namespace = &snapshot.saga.state.head.key.namespace;
        let registration = self.inner.directory.get(namespace, &snapshot.saga.definition.step(step).participant);
        let unmapped = Codes::new();
        let (codes, last_word) =
            registration.as_deref().map_or((&unmapped, false), |it| (&it.codes, it.refusals_final));
        let outcome = classify(Operation::Query, &answer.reply, &reading, codes, last_word);
        permit.end(health(&answer.reply, &outcome));
        said(&outcome)
    }

    fn question(
        &self,
        snapshot: &Snapshot,
        compiled: &Compiled,
        step: StepIndex,
        epoch: u64,
        request: Bytes,
    ) -> Option<Call> {
        let operation = Operation::Query;
        let state = &snapshot.saga.state;
        let definition = snapshot.saga.definition.step(step);
        let path = match compiled.protocol(step, operation)? {
            Protocol::Grpc => compiled.method(step, operation)?.path().to_owned(),
            Protocol::Http => String::new(),
        };
        Some(Call {
            key: state.head.key.clone(),
            participant: definition.participant.clone(),
            step: definition.name.clone(),
            operation,
            // Not one of the saga's own: it is counted nowhere.
            attempt: snapshot.saga.operation(step, operation).attempt.max(1),
            epoch,
            origin: self.inner.floor.origin(state.started_at),
            expects_succeeded: false,
            path,
            request,
            timeout: definition.query.as_ref()?.attempt_timeout.min(ANSWER_MAX),
            traceparent: state.head.traceparent.clone(),
        })
    }

    /// Waits until the participant may be asked.
    async fn turn(&self, snapshot: &Snapshot, step: StepIndex) -> Option<Permit> {
        let head = &snapshot.saga.state.head;
        let whom = (head.key.namespace.clone(), snapshot.saga.definition.step(step).participant.clone());
        let who = (head.key.clone(), place(step), Operation::Query);
        let (events, mut told) = mpsc::unbounded_channel();
        let protection = &self.inner.protection;
        let wanted = Wanted { whom: whom.clone(), who: who.clone(), due: self.inner.seams.now(), retry: false };
        match protection.ask(wanted, &events) {
            Admission::Now(permit) => Some(permit),
            // It isn't answering, or is paused: a person is waiting for this.
            Admission::Later(_ticket)
                if matches!(protection.why(&whom, &who), Some((WaitingReason::BreakerOpen, ..))) =>
            {
                None
            }
            Admission::Later(ticket) => {
                let admitted = tokio::time::timeout(TURN_MAX, told.recv()).await;
                drop(ticket);
                match admitted {
                    Ok(Some(ShardEvent::Admitted { permit, .. })) => Some(permit),
                    _ => None,
                }
            }
        }
    }
}

/// A place in a participant's queue that no step of a saga has: positions end before it. Each question has its own.
fn place(step: StepIndex) -> StepIndex {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    let steps = u16::try_from(STEPS_MAX).unwrap_or(u16::MAX);
    let rounds = u16::MAX / steps - 1;
    let round = ASKED.fetch_add(1, Ordering::Relaxed) % rounds;
    StepIndex(steps * (1 + round) + step.0 % steps)
}

/// The query's request: the one that is kept, else made now as the saga would make it.
fn request(snapshot: &Snapshot, compiled: &Compiled, step: StepIndex) -> Result<Bytes, String> {
    if let Some(kept) = snapshot.payloads.get(&PayloadKey::Request(step, Operation::Query)) {
        return Ok(kept.bytes.clone());
    }
    let read = |key| snapshot.payloads.get(&key).and_then(|payload| amends_definition::read_json(&payload.bytes).ok());
    let input = read(PayloadKey::Input).unwrap_or_default();
    let steps = compiled.reads(step).iter();
    let outputs: BTreeMap<StepIndex, serde_json::Value> =
        steps.filter_map(|step| Some((*step, read(PayloadKey::Output(*step, Operation::Action))?))).collect();
    let outputs = outputs.iter().map(|(step, value)| (*step, value)).collect();
    let scope = Scope { key: &snapshot.saga.state.head.key, input: &input, outputs: &outputs };
    match compiled.prepare(step, Operation::Query, &scope) {
        Ok(Prepared::Requests(requests)) => {
            let made = requests.into_iter().find(|(operation, _)| *operation == Operation::Query);
            made.map(|(_, request)| request.bytes).ok_or_else(|| "the question can't be made".to_owned())
        }
        Ok(Prepared::Skipped) => Err("the question can't be made".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn said(outcome: &Outcome) -> (Said, String) {
    match outcome {
        Outcome::Succeeded(_) => (Said::Stands, String::new()),
        Outcome::NotFound(why) => (Said::NotFound, why.to_string()),
        Outcome::Pending => (Said::Unknown, "it isn't settled there yet".to_owned()),
        // A question that is refused says nothing of the effect.
        Outcome::Rejected { why, .. } | Outcome::Unknown { why, .. } | Outcome::NotSent(why) => {
            (Said::Unknown, why.to_string())
        }
    }
}
