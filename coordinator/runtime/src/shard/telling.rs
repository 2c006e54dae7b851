//! What an owner tells about its work: counters, spans, and the log lines that people search for.
//!
//! Called where something has become durable or has ended; it changes nothing. Invariant: a change is told once, by the owner whose
//! commit made it; what is told holds no payload, no message, and no code that a participant made up.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::ids::{Operation, ParticipantName, SagaKey, StepName};
use amends_engine::outcome::{Outcome, OutcomeKind};
use amends_engine::saga::{Saga, SagaHead};
use amends_engine::standing::{self, StatusWord, WaitingReason};
use amends_engine::time::Timestamp;
use amends_store::Committed;

use crate::participant::Answer;
use crate::telemetry::Kind;
use crate::telemetry::context::trace_id;
use crate::telemetry::spans::{SagaTrace, SpanKind, Told};

use super::owner::Owner;
use super::resident::Staged;
use super::supervise::{ShardContext, Shared};

/// What the sagas in a shard's memory wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many wait, by the first reason that will end.
    pub by_reason: BTreeMap<WaitingReason, u64>,
    /// How many of those in memory are neither stuck nor paused, nor ended.
    pub moving: u64,
    /// Of how many only a note is kept.
    pub asleep: u64,
}

impl ShardContext {
    /// The trace of a saga; `None` where it isn't recorded.
    pub(super) fn trace(&self, head: &SagaHead, epoch: u64) -> Option<SagaTrace> {
        let trace = SagaTrace::of(self.shared.telemetry.spans.as_ref(), head)?;
        let node = ("amends.node", self.config.node.clone());
        Some(trace.with([node, ("amends.shard", self.shard.0.to_string()), ("amends.epoch", epoch.to_string())]))
    }
}

impl Owner<'_> {
    fn trace(&self, head: &SagaHead) -> Option<SagaTrace> {
        self.context.trace(head, self.lease.epoch.0)
    }

    /// Counts what the sagas in memory wait for.
    pub(super) fn waits(&self) -> Waits {
        let mut waits = Waits::default();
        for resident in self.residents.values().filter(|resident| resident.saga.state.revision > 0) {
            if let Some(waiting) = standing::waiting(&resident.saga) {
                *waits.by_reason.entry(waiting.reason).or_default() += 1;
            }
            waits.moving += u64::from(is_moving(standing::status(&resident.saga)));
        }
        for asleep in self.asleep.values() {
            if let Some(reason) = asleep.waits {
                *waits.by_reason.entry(reason).or_default() += 1;
            }
            waits.moving += u64::from(asleep.moving);
            waits.asleep += 1;
        }
        waits
    }

    /// A change is durable: before it the saga was as it is in memory still.
    pub(super) fn tell(&self, key: &SagaKey, staged: &Staged, committed: Committed) {
        let Some(resident) = self.residents.get(key) else { return };
        let (before, after) = (&resident.saga, &staged.saga);
        let telemetry = &self.context.shared.telemetry;
        let (was, is) = (standing_of(before), standing_of(after));
        if staged.is_start || was != is || matches!(committed, Committed::Duplicate { .. }) {
            let from = if staged.is_start { None } else { Kind::of(before) };
            telemetry.tally.committed(self.lease, committed, from, Kind::of(after));
        }
        for step in &staged.differing {
            let participant = &after.definition.step(*step).participant;
            telemetry.meters.nondeterministic(participant);
            tracing::warn!(
                shard = self.lease.shard.0, saga = %key, trace_id = trace_id(&after.state.head.traceparent), %participant,
                "a reply differs from the first one"
            );
        }
        let news =
            News { started: staged.is_start, turned_back: before.state.decision.is_none(), was: was.0, is: is.0 };
        self.tell_news(after, news);
    }

    fn tell_news(&self, saga: &Saga, news: News) {
        let head = &saga.state.head;
        let meters = &self.context.shared.telemetry.meters;
        let now = self.context.seams.now();
        let trace = || self.trace(head);
        if news.started {
            meters.started(&head.key.namespace, &head.definition);
            if let Some(trace) = trace() {
                trace.moment("start", "start", (saga.state.started_at, now), None);
            }
        }
        if let Some(decision) = saga.state.decision.as_ref().filter(|_| news.turned_back) {
            meters.turned_back(&head.key.namespace, &head.definition, &decision.cause);
            self.log(saga, "saga turns back");
            if let Some(trace) = trace() {
                trace.moment("turn back", "turn back", (decision.at, now), None);
            }
        }
        if news.is == StatusWord::Stuck && news.was != StatusWord::Stuck {
            let reason = saga.stuck().map(|stuck| stuck.reason.as_str()).unwrap_or_default();
            tracing::warn!(
                shard = self.lease.shard.0, saga = %head.key, trace_id = trace_id(&head.traceparent),
                definition = %head.definition, reason, "saga stuck"
            );
            if let Some(trace) = trace() {
                let what = format!("stuck {}", saga.state.revision);
                trace.moment("stuck", &what, (now, now), Some(reason.to_owned()));
            }
        }
        if saga.state.phase.is_terminal() && (news.started || !is_over(news.was)) {
            meters.ended((&head.key.namespace, &head.definition), news.is, now.since(saga.state.started_at));
            self.log(saga, "saga ended");
            if let Some(trace) = trace() {
                trace.whole(saga, &head.key, now);
            }
        }
    }

    fn log(&self, saga: &Saga, message: &'static str) {
        let head = &saga.state.head;
        tracing::debug!(
            shard = self.lease.shard.0, saga = %head.key, trace_id = trace_id(&head.traceparent),
            definition = %head.definition, status = %standing::status(saga), "{message}"
        );
    }

    /// A saga was read back. While a shard is being recovered that is a take-over, or a restart.
    pub(super) fn tell_loaded(&self, saga: &Saga) {
        if self.horizon.is_some() {
            return;
        }
        self.context.shared.telemetry.meters.taken_over(1);
        if let Some(trace) = self.trace(&saga.state.head) {
            let what = format!("take over {}", self.lease.epoch.0);
            trace.moment("take over", &what, (self.asked_at, self.context.seams.now()), None);
        }
    }

    /// All that is due soon is in memory: for the first time in this tenure, the shard has recovered.
    pub(super) fn tell_recovered(&self) {
        if self.horizon.is_none() && self.ended.is_none() {
            let took = self.context.seams.now().since(self.asked_at);
            self.context.shared.telemetry.meters.recovered(took);
        }
    }
}

/// What a change has done.
struct News {
    started: bool,
    /// It hadn't turned back before.
    turned_back: bool,
    was: StatusWord,
    is: StatusWord,
}

fn standing_of(saga: &Saga) -> (StatusWord, Option<amends_engine::saga::StuckReason>) {
    (standing::status(saga), saga.stuck().map(|stuck| stuck.reason))
}

fn is_over(status: StatusWord) -> bool {
    matches!(status, StatusWord::Completed | StatusWord::Compensated | StatusWord::ForceStopped)
}

pub(super) fn is_moving(status: StatusWord) -> bool {
    matches!(status, StatusWord::Running | StatusWord::Confirming | StatusWord::Compensating)
}

/// Names an attempt that ended.
pub(super) struct Attempted<'a> {
    pub(super) participant: &'a ParticipantName,
    pub(super) step: &'a StepName,
    pub(super) operation: Operation,
    pub(super) attempt: u32,
}

impl Attempted<'_> {
    /// Tells what became of it.
    pub(super) fn tell(
        &self,
        shared: &Shared,
        trace: Option<&SagaTrace>,
        (outcome, answer): (&Outcome, &Answer),
        (started_at, took): (Timestamp, Duration),
    ) {
        let Self { participant, step, operation, attempt } = *self;
        let kind = outcome.kind();
        shared.telemetry.meters.attempt((participant, operation, attempt), (kind, &answer.reply), took);
        let Some(trace) = trace else { return };
        let (outcome, code) = (crate::telemetry::outcome_word(kind), crate::telemetry::code_word(&answer.reply));
        let fine = matches!(kind, OutcomeKind::Succeeded | OutcomeKind::Pending | OutcomeKind::NotFound);
        trace.tell(Told {
            name: format!("{operation} {step}"),
            kind: SpanKind::Client,
            span_id: trace.attempt(step.as_str(), operation, attempt).span_id,
            started_at,
            ended_at: started_at + took,
            failed: (!fine).then(|| outcome.to_owned()),
            attributes: vec![
                ("amends.step", step.to_string()),
                ("amends.operation", operation.to_string()),
                ("amends.participant", participant.to_string()),
                ("amends.attempt", attempt.to_string()),
                ("amends.outcome", outcome.to_owned()),
                ("amends.code", code.to_owned()),
                ("amends.endpoint", answer.endpoint.clone()),
            ],
        });
    }
}
