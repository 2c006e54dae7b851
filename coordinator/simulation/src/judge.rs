//! Watches everything that becomes durable and every call that leaves, and says at the end whether the promise was kept.
//!
//! The rules are the checker's; what is here only feeds it, and adds what can be seen in a store alone: due times, retention,
//! epochs, deadlines. It changes nothing. Invariant: it sees each durable change once, in the order in which they were made.

mod auditing;
mod budget;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use amends_checker::{EffectSeen, Ended, Intents, check_accounted, check_effects, check_ended, check_state};
use amends_definition::Compiled;
use amends_engine::facts::PivotGate;
use amends_engine::ids::{DefinitionName, Operation, SagaKey, StepName, Version};
use amends_engine::payload::Payload;
use amends_engine::saga::{Cause, Phase, Saga, SagaState};
use amends_engine::{IllegalEvent, next_due};
use amends_runtime::participant::Call;
use amends_runtime::{Answered, RequestError};
use amends_store::{Commit, Lease, ShardId, record};

use crate::library::Registered;
use crate::trace::{Trace, lock};

/// The judge of one run.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    definitions: Mutex<BTreeMap<(DefinitionName, Version), Arc<Compiled>>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    intents: Intents,
    keys: Vec<SagaKey>,
    leases: BTreeMap<ShardId, Lease>,
    calls: BTreeSet<(SagaKey, StepName, Operation, u32)>,
    commits: u64,
}

impl Judge {
    /// Definitions that sagas may be pinned to.
    pub(crate) fn knows(&self, registered: &[Registered]) {
        let entries = registered.iter().map(|it| ((it.name.clone(), it.version), it.compiled.clone()));
        lock(&self.definitions).extend(entries);
    }

    /// Every saga that was committed, in the order of their first commits.
    pub(crate) fn keys(&self) -> Vec<SagaKey> {
        lock(&self.seen).keys.clone()
    }

    /// How many changes became durable.
    pub(crate) fn commits(&self) -> u64 {
        lock(&self.seen).commits
    }

    /// A change became durable.
    pub(crate) fn committed(&self, commit: &Commit, trace: &Trace) {
        let Some(saga) = self.revive(&commit.state, trace) else { return };
        let mut seen = lock(&self.seen);
        seen.commits += 1;
        if seen.intents.last(&commit.key).is_none() {
            seen.keys.push(commit.key.clone());
        }
        let before = seen.intents.last(&commit.key);
        if let Some(what) = before.and_then(|before| budget::fewer_failures(before, commit, &saga.state)) {
            trace.violated("I11", format!("saga {}: {what}", commit.key));
        }
        if let Err(violation) = seen.intents.committed(&saga.state) {
            trace.broke(&violation);
        }
        if saga.state.revision != commit.expected_revision + 1 {
            trace.violated("I6", format!("saga {}: the state's revision isn't the commit's", commit.key));
        }
        let before = seen.leases.insert(commit.lease.shard, commit.lease);
        if before.is_some_and(|before| before.epoch > commit.lease.epoch || is_forged(before, commit.lease)) {
            trace.violated("I6", format!("saga {}: written under an epoch that is over", commit.key));
        }
        drop(seen);
        if let Err(violation) = check_state(&saga) {
            trace.broke(&violation);
        }
        for what in [wakes(commit, &saga), keeps(commit, &saga), heeds_deadline(&saga)].into_iter().flatten() {
            trace.violated("I5", format!("saga {}: {what}", commit.key));
        }
        if let Some(what) = auditing::unaccounted(commit) {
            trace.violated("audit", format!("saga {}: {what}", commit.key));
        }
    }

    /// A call leaves the node.
    pub(crate) fn called(&self, call: &Call, trace: &Trace) {
        let mut seen = lock(&self.seen);
        let id = (call.key.clone(), call.step.clone(), call.operation, call.attempt);
        if !seen.calls.insert(id) {
            trace.violated("I11", format!("{call:?} left twice: an attempt's number is used once"));
        }
        let definition = seen.intents.last(&call.key).and_then(|state| self.compiled(state));
        let Some(step) = definition.and_then(|definition| definition.engine().find(&call.step)) else {
            trace.violated("NoIntent", format!("{call:?} left, and its saga isn't durable"));
            return;
        };
        if let Err(violation) = seen.intents.saw_call(&call.key, step, call.operation, call.attempt) {
            trace.broke(&violation);
        }
    }

    /// Somebody is answered: of what isn't durable nobody may hear.
    pub(crate) fn answered(&self, key: &SagaKey, answer: &Result<Answered, RequestError>, trace: &Trace) {
        let seen = lock(&self.seen);
        let durable = seen.intents.last(key);
        let what = match answer {
            Ok(it) if durable.is_none_or(|state| state.revision < it.snapshot.saga.state.revision) => {
                format!("revision {} is answered", it.snapshot.saga.state.revision)
            }
            Err(RequestError::Illegal(IllegalEvent::Ended)) if durable.is_none_or(|it| !it.phase.is_terminal()) => {
                "it is said to have ended".to_owned()
            }
            _ => return,
        };
        let durable = durable.map(|state| (state.revision, state.phase));
        trace.violated("Told", format!("saga {key}: {what}, and durable is {durable:?}"));
    }

    /// Judges the end of a run: the books against what the sagas say of themselves.
    pub(crate) fn ended(&self, effects: &[EffectSeen], sagas: &[Saga], acknowledged: &[SagaKey], trace: &Trace) {
        let ended: Vec<Ended> = sagas.iter().filter_map(Ended::of).collect();
        let violations = [check_effects(effects), check_ended(effects, &ended), check_accounted(acknowledged, sagas)];
        for violation in violations.into_iter().flatten() {
            trace.broke(&violation);
        }
        for saga in sagas {
            for what in undone_too_early(saga, effects) {
                trace.violated("Order", what);
            }
        }
    }

    /// A participant's reply as its saga keeps it; an empty one where it can't be read.
    pub(crate) fn output(&self, saga: &SagaKey, step: &StepName, operation: Operation, reply: &[u8]) -> Payload {
        let compiled = lock(&self.seen).intents.last(saga).and_then(|state| self.compiled(state));
        let read = compiled.and_then(|it| it.decode_reply(it.engine().find(step)?, operation, reply).ok());
        read.unwrap_or_else(|| Payload::json("{}"))
    }

    fn compiled(&self, state: &SagaState) -> Option<Arc<Compiled>> {
        let key = (state.head.definition.clone(), state.head.version);
        lock(&self.definitions).get(&key).cloned()
    }

    /// A stored state with its definition.
    pub(crate) fn revive(&self, state: &[u8], trace: &Trace) -> Option<Saga> {
        let state = match record::decode_state(state) {
            Ok(state) => state,
            Err(error) => {
                trace.violated("record", format!("a committed state can't be read: {error}"));
                return None;
            }
        };
        let compiled = self.compiled(&state)?;
        Saga::resume(state, compiled.engine().clone()).ok()
    }
}

/// One epoch, two nonces: two owners at once.
fn is_forged(before: Lease, now: Lease) -> bool {
    before.epoch == now.epoch && before.nonce != now.nonce
}

/// An open saga is found again by whoever has the shard next, no later than its own timers say (semantics A18); where one of them
/// has run out already, at once.
fn wakes(commit: &Commit, saga: &Saga) -> Option<String> {
    let due = next_due(saga)?.max(saga.state.updated_at);
    let late = commit.due.is_none_or(|stored| stored > due);
    late.then(|| format!("it has something to do at {due} and the due index says {:?}", commit.due))
}

/// Nothing unfinished expires.
fn keeps(commit: &Commit, saga: &Saga) -> Option<String> {
    let expires = commit.retain_until.is_some() && !saga.state.phase.is_terminal();
    expires.then(|| "it isn't finished and would expire".to_owned())
}

/// The deadline turns a running saga back, and nothing earlier does in its name.
fn heeds_deadline(saga: &Saga) -> Option<String> {
    let state = &saga.state;
    let passed = state.updated_at >= state.deadline;
    let may_turn = state.phase == Phase::Running && saga.pivot_gate() == PivotGate::Open && !saga.is_parked();
    if passed && may_turn {
        return Some("its deadline has passed, and it runs on though it could turn back".to_owned());
    }
    let decision = state.decision.as_ref()?;
    let early = decision.cause == Cause::Deadline && decision.at < state.deadline;
    early.then(|| "it turned back for a deadline that hadn't passed".to_owned())
}

/// Steps that were undone before those that came after them (semantics A17), as the books show it.
fn undone_too_early(saga: &Saga, effects: &[EffectSeen]) -> Vec<String> {
    let definition = &saga.definition;
    let when_undone = |step| {
        let name = &definition.step(step).name;
        let of = |it: &EffectSeen| it.saga == saga.state.head.key && it.step == *name;
        effects.iter().position(|it| of(it) && it.operation == Operation::Compensate)
    };
    let mut found = Vec::new();
    for early in definition.indices() {
        for late in definition.indices().filter(|late| definition.is_before(early, *late)) {
            let both = when_undone(early).zip(when_undone(late));
            if both.is_some_and(|(early, late)| early < late) {
                let (early, late) = (&definition.step(early).name, &definition.step(late).name);
                found.push(format!(
                    "saga {}: {early} was undone before {late}, which depends on it",
                    saga.state.head.key
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
