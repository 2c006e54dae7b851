//! Effects as participants' books show them, against what the sagas say of themselves.
//!
//! Plain data on both sides, so that the simulation, the process tests and an SQL export can all be judged. Invariants: I1
//! (sums are conserved), I2 (no effect twice), I3 (an end says the truth), I4 (no effect after its undoing), I5 (nobody is
//! forgotten).

use std::collections::{BTreeMap, BTreeSet};

use amends_engine::ids::{Operation, SagaKey, StepName};
use amends_engine::saga::{OperationStatus, Phase, Saga};

use crate::view::{View, steps};
use crate::violation::{Rule, Violation};

/// One business effect that took place at a participant. Calls that changed nothing (repeats, tombstones) are not effects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EffectSeen {
    /// For which saga.
    pub saga: SagaKey,
    /// Of which step.
    pub step: StepName,
    /// Of which operation.
    pub operation: Operation,
}

/// What must be seen of a step once its saga has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Its effect stands: done once, not undone.
    Stands,
    /// Nothing stands: never done, or undone.
    Nothing,
    /// Nobody can tell, or somebody accepted it: it is in the residue.
    Either,
}

/// One step of a saga that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedStep {
    /// Its name.
    pub step: StepName,
    /// What must be seen of its action and compensation.
    pub effect: Expected,
    /// What must be seen of its confirm.
    pub confirm: Expected,
}

/// A saga that has ended, as far as the ledger is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub saga: SagaKey,
    /// Its steps.
    pub steps: Vec<EndedStep>,
}

impl Ended {
    /// What a saga says of itself; `None` while it is open.
    pub fn of(saga: &Saga) -> Option<Self> {
        if !saga.state.phase.is_terminal() {
            return None;
        }
        let of_step = |view: View<'_>| EndedStep {
            step: view.step().name.clone(),
            effect: expected_effect(view),
            confirm: expected_confirm(view),
        };
        Some(Self { saga: saga.state.head.key.clone(), steps: steps(saga).map(of_step).collect() })
    }
}

fn expected_effect(view: View<'_>) -> Expected {
    if !view.may_stand() || view.state.compensate.status == OperationStatus::Succeeded {
        return Expected::Nothing;
    }
    match view.saga.state.phase {
        Phase::Completed if view.state.action.status == OperationStatus::Succeeded => Expected::Stands,
        // What it promises, whatever it says of this step.
        Phase::Compensated if !view.is_accepted() => Expected::Nothing,
        Phase::Running
        | Phase::Confirming
        | Phase::Compensating
        | Phase::Completed
        | Phase::Compensated
        | Phase::ForceStopped => Expected::Either,
    }
}

fn expected_confirm(view: View<'_>) -> Expected {
    match view.state.confirm.status {
        OperationStatus::Succeeded => Expected::Stands,
        OperationStatus::Idle | OperationStatus::Ready => Expected::Nothing,
        OperationStatus::InFlight { .. }
        | OperationStatus::Retry { .. }
        | OperationStatus::Asking
        | OperationStatus::Pending { .. }
        | OperationStatus::Rejected
        | OperationStatus::GaveUp
        | OperationStatus::Skipped(_)
        | OperationStatus::Stuck { .. } => Expected::Either,
    }
}

/// I2 and I4: what the books alone can show, in the order in which the effects took place. All violations are returned.
pub fn check_effects(effects: &[EffectSeen]) -> Vec<Violation> {
    let mut seen: BTreeSet<&EffectSeen> = BTreeSet::new();
    let mut violations = Vec::new();
    for effect in effects {
        let has = |operation| seen.contains(&EffectSeen { operation, ..effect.clone() });
        let undone = has(Operation::Compensate);
        let wrong = match effect.operation {
            Operation::Action if undone => Some("done after it was undone"),
            Operation::Confirm if undone => Some("confirmed after it was undone"),
            Operation::Compensate if has(Operation::Confirm) => Some("undone after it was confirmed"),
            Operation::Compensate | Operation::Confirm if !has(Operation::Action) => Some("never done before"),
            Operation::Query => Some("a query took effect"),
            Operation::Action | Operation::Compensate | Operation::Confirm => None,
        };
        let complain = |rule, what: &str| Violation::of(rule, &effect.saga, what).at(&effect.step, effect.operation);
        violations.extend(wrong.map(|what| complain(Rule::EffectOrder, what)));
        if !seen.insert(effect) {
            violations.push(complain(Rule::EffectTwice, "it took effect more than once"));
        }
    }
    violations
}

/// I3: what stands is what the ends say. All violations are returned.
pub fn check_ended(effects: &[EffectSeen], ended: &[Ended]) -> Vec<Violation> {
    let mut counts: BTreeMap<(&SagaKey, &StepName, Operation), i64> = BTreeMap::new();
    for effect in effects {
        *counts.entry((&effect.saga, &effect.step, effect.operation)).or_default() += 1;
    }
    let mut violations = Vec::new();
    for saga in ended {
        for ((_, step, operation), count) in counts.iter().filter(|((of, ..), _)| *of == &saga.saga) {
            if *count != 0 && saga.steps.iter().all(|of| of.step != **step) {
                let what = "the saga's end doesn't speak of this step";
                violations.push(Violation::of(Rule::EffectAgainstEnd, &saga.saga, what).at(step, *operation));
            }
        }
        for step in &saga.steps {
            let count = |operation| counts.get(&(&saga.saga, &step.step, operation)).copied().unwrap_or(0);
            let net = count(Operation::Action) - count(Operation::Compensate);
            let expectations =
                [(Operation::Action, step.effect, net), (Operation::Confirm, step.confirm, count(Operation::Confirm))];
            for (operation, expected, found) in expectations {
                let wrong = match expected {
                    Expected::Stands => found != 1,
                    Expected::Nothing => found != 0,
                    Expected::Either => false,
                };
                if wrong {
                    let what = format!("the saga's end says {expected:?}, the books say {found}");
                    violations.push(Violation::of(Rule::EffectAgainstEnd, &saga.saga, what).at(&step.step, operation));
                }
            }
        }
    }
    violations
}

/// I1: sums by kind, as participants publish them (`conservation(kind, amount)`), before and after. Kinds are compared, not
/// participants, since money moves between those.
pub fn check_conserved(before: &[(String, i64)], after: &[(String, i64)]) -> Vec<Violation> {
    let sums = |rows: &[(String, i64)]| {
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        for (kind, amount) in rows {
            *sums.entry(kind.clone()).or_default() += i128::from(*amount);
        }
        sums
    };
    let (before, after) = (sums(before), sums(after));
    let kinds: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |sums: &BTreeMap<String, i128>, kind: &String| sums.get(kind).copied().unwrap_or(0);
    let changed = kinds.into_iter().filter(|kind| of(&before, kind) != of(&after, kind));
    let what = |kind: &String| format!("{kind} was {} and is {}", of(&before, kind), of(&after, kind));
    changed.map(|kind| Violation { rule: Rule::Conservation, saga: None, at: None, what: what(kind) }).collect()
}

/// I5: every acknowledged saga was found, and has ended or is flagged as stuck. All violations are returned.
pub fn check_accounted(acknowledged: &[SagaKey], found: &[Saga]) -> Vec<Violation> {
    let by_key: BTreeMap<&SagaKey, &Saga> = found.iter().map(|saga| (&saga.state.head.key, saga)).collect();
    let complaint = |key: &SagaKey| match by_key.get(key) {
        None => Some("acknowledged, and not found"),
        Some(saga) if saga.state.phase.is_terminal() || saga.stuck().is_some() => None,
        Some(_) => Some("acknowledged, and neither ended nor stuck"),
    };
    let missing = acknowledged.iter().filter_map(|key| complaint(key).map(|what| (key, what)));
    missing.map(|(key, what)| Violation::of(Rule::NotAccountedFor, key, what)).collect()
}

#[cfg(test)]
mod tests;
