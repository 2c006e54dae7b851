//! Starts the calls that a durable state asks for, each in its own task, and turns their replies into events.
//!
//! It starts a call only for an attempt that is in the committed state and not under way already. It never retries: that is
//! the engine's decision. Invariant: every call that was started reports once, as an event for its saga.

use std::sync::Arc;
use std::time::Duration;

use amends_definition::{Compiled, Protocol};
use amends_engine::definition::Policy;
use amends_engine::effect::Effect;
use amends_engine::event::Event;
use amends_engine::ids::SagaKey;
use amends_engine::outcome::{CallFacts, Doubt, Outcome};
use amends_engine::outstanding;
use amends_engine::payload::{Digest, PayloadKey};
use amends_engine::saga::{Saga, StuckReason};
use amends_engine::time::Timestamp;
use tokio::sync::mpsc;

use crate::floor::Origin;
use crate::participant::protection::{Permit, health};
use crate::participant::{Call, Codes, Reply, classify};
use crate::seam::Running;
use crate::telemetry::context::trace_id;
use crate::telemetry::spans::SagaTrace;

use super::ShardEvent;
use super::owner::{Ended, Owner};
use super::reading::OperationReading;
use super::resident::{CallId, Resident, Work};
use super::supervise::Shared;
use super::telling::Attempted;

/// A call about to be made, with what is needed to understand its answer.
struct Planned {
    key: SagaKey,
    id: CallId,
    call: Call,
    compiled: Arc<Compiled>,
    policy: Policy,
    failures: u32,
    trace: Option<SagaTrace>,
    /// Given back when the call has ended. None for a call that nobody was asked about.
    permit: Option<Permit>,
}

impl Owner<'_> {
    /// Starts every call that the saga's committed state asks for and that isn't under way.
    pub(super) fn start_calls(&mut self, key: &SagaKey) {
        let now = self.context.seams.now();
        if now >= self.valid_until {
            self.ended = Some(Ended::Lost);
            return;
        }
        let epoch = self.lease.epoch.0;
        let Some(resident) = self.residents.get_mut(key) else { return };
        for effect in outstanding(&resident.saga) {
            let Effect::Call { step, operation, attempt, .. } = effect else { continue };
            if resident.calls.contains_key(&(step, operation, attempt)) {
                continue;
            }
            let origin = self.context.shared.floor.origin(resident.saga.state.started_at);
            let trace = self.context.trace(&resident.saga.state.head, epoch);
            let permit = resident.admissions.take((step, operation, attempt));
            match plan(resident, &effect, epoch, now, origin, trace) {
                Some(planned) => {
                    let planned = Planned { permit, ..planned };
                    let id = planned.id;
                    let call = start(self.context.shared.clone(), planned, self.events.clone());
                    resident.calls.insert(id, call);
                }
                None => resident.queue.push_back(Work::event(Event::Park {
                    reason: StuckReason::Poison,
                    message: format!("the prepared request of {operation} in step {} is missing", step.0),
                })),
            }
        }
    }
}

fn plan(
    resident: &Resident,
    effect: &Effect,
    epoch: u64,
    now: Timestamp,
    origin: Origin,
    trace: Option<SagaTrace>,
) -> Option<Planned> {
    let Effect::Call { step, operation, attempt, deadline, expects_succeeded } = *effect else { return None };
    let saga: &Saga = &resident.saga;
    let definition_step = saga.definition.step(step);
    let policy = saga.definition.policy(step, operation)?.clone();
    let call = Call {
        key: saga.state.head.key.clone(),
        participant: definition_step.participant.clone(),
        step: definition_step.name.clone(),
        operation,
        attempt,
        epoch,
        origin,
        expects_succeeded,
        path: match resident.compiled.protocol(step, operation)? {
            Protocol::Grpc => resident.compiled.method(step, operation)?.path().to_owned(),
            Protocol::Http => String::new(),
        },
        request: resident.payloads.get(&PayloadKey::Request(step, operation))?.bytes.clone(),
        // The deadline may be of an owner whose clock was ahead: no call is waited for for longer than the policy says.
        timeout: deadline.since(now).min(policy.attempt_timeout),
        traceparent: match &trace {
            Some(trace) => trace.attempt(definition_step.name.as_str(), operation, attempt).to_string(),
            None => saga.state.head.traceparent.clone(),
        },
    };
    Some(Planned {
        key: call.key.clone(),
        id: (step, operation, attempt),
        call,
        compiled: resident.compiled.clone(),
        policy,
        failures: saga.operation(step, operation).failures,
        trace,
        permit: None,
    })
}

fn start(shared: Arc<Shared>, planned: Planned, events: mpsc::UnboundedSender<ShardEvent>) -> Running {
    Running::spawn(async move {
        let key = planned.key.clone();
        let event = make(&shared, planned).await;
        // The tenure may be over; whoever comes next counts this attempt as unknown.
        let _ = events.send(ShardEvent::Answered { key, event });
    })
}

async fn make(shared: &Shared, planned: Planned) -> Event {
    let Planned { key, id: (step, operation, attempt), call, compiled, policy, failures, trace, permit } = planned;
    let traceparent = call.traceparent.clone();
    let (participant, step_name) = (call.participant.clone(), call.step.clone());
    let started_at = shared.seams.now();
    let answer = shared.caller.call(call).await;
    let duration = shared.seams.now().since(started_at);
    let outcome = {
        let registration = shared.directory.get(&key.namespace, &participant);
        let reading = OperationReading { compiled, step, operation };
        let unmapped = Codes::new();
        let (codes, last_word) =
            registration.as_deref().map_or((&unmapped, false), |it| (&it.codes, it.refusals_final));
        classify(operation, &answer.reply, &reading, codes, last_word)
    };
    if let Some(permit) = permit {
        permit.end(health(&answer.reply, &outcome));
    }
    let failed = failed(&outcome, failures, attempt);
    let named = Attempted { participant: &participant, step: &step_name, operation, attempt };
    named.tell(shared, trace.as_ref(), (&outcome, &answer), (started_at, duration));
    let retry_after = retry_after(shared, &policy, failed, &outcome, answer.reply.retry_after());
    let call = CallFacts {
        started_at,
        duration,
        endpoint: answer.endpoint,
        trace_id: trace_id(&traceparent).to_owned(),
        reply: digest(&answer.reply),
    };
    Event::Answered { step, operation, attempt, outcome, retry_after, call }
}

/// How often it has failed, for the delay. What never left, or was refused because of our epoch, uses up no attempt and counts as no
/// failure, and is still called ever more seldom: a participant that is away for an hour must not fill the history.
fn failed(outcome: &Outcome, failures: u32, attempt: u32) -> u32 {
    match outcome {
        Outcome::NotSent(_) | Outcome::Unknown { doubt: Doubt::StaleEpoch, .. } => attempt,
        _ => failures.saturating_add(1),
    }
}

/// The delay before the next attempt, should there be one. What is misconfigured is retried slowly from the start.
fn retry_after(shared: &Shared, policy: &Policy, failed: u32, outcome: &Outcome, hint: Option<Duration>) -> Duration {
    match outcome {
        Outcome::Unknown { doubt: Doubt::Misconfigured, .. } if crate::planted::is("misconfigured_called_at_once") => {
            Duration::ZERO
        }
        Outcome::Unknown { doubt: Doubt::Misconfigured, .. } => {
            crate::retry::slow_delay(policy, hint, shared.seams.unit())
        }
        _ => crate::retry::delay(policy, failed, hint, shared.seams.unit()),
    }
}

/// Digest of the reply's bytes, where there are any.
fn digest(reply: &Reply) -> Option<Digest> {
    match reply {
        Reply::Ok { bytes, .. } => Some(Digest::of(bytes)),
        Reply::Http(reply) => reply.body.as_deref().map(Digest::of),
        Reply::Status(_)
        | Reply::NoAnswer
        | Reply::Broken(_)
        | Reply::TooLarge { .. }
        | Reply::Unreadable(_)
        | Reply::NotSent(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use amends_engine::outcome::Why;

    use super::*;

    #[test]
    fn what_never_leaves_is_tried_ever_more_seldom_though_it_uses_up_no_attempt() {
        let not_sent = Outcome::NotSent(Why::new("", "no connection"));
        let unknown = Outcome::Unknown { doubt: Doubt::NoAnswer, why: Why::new("", "") };
        assert_eq!([1, 2, 9].map(|attempt| failed(&not_sent, 0, attempt)), [1, 2, 9]);
        assert_eq!(failed(&unknown, 0, 9), 1, "its failures alone count");
        let stale = Outcome::Unknown { doubt: Doubt::StaleEpoch, why: Why::new("", "") };
        assert_eq!(failed(&stale, 0, 9), 9);
    }
}
