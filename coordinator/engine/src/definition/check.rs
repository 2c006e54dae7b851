//! What [`Definition::new`] checks of the steps it is given, one function for each rule.
//!
//! Only what the machine relies on; the friendly errors are in `amends-definition`. Invariant: what passes all of these runs
//! without a case that the machine can't decide.

use super::{Compensation, Definition, InvalidDefinition, Step};
use crate::ids::{Operation, StepIndex, StepName};

/// Every name is used once.
pub(super) fn names(steps: &[Step]) -> Result<(), InvalidDefinition> {
    let mut names: Vec<&StepName> = steps.iter().map(|step| &step.name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(InvalidDefinition::DuplicateName(pair[0].clone())),
        None => Ok(()),
    }
}

/// Every `after` names a step; gives the reverse order.
pub(super) fn dependents(steps: &[Step]) -> Result<Vec<Vec<StepIndex>>, InvalidDefinition> {
    let mut dependents = vec![Vec::new(); steps.len()];
    for (index, step) in (0u16..).zip(steps) {
        for before in &step.after {
            dependents
                .get_mut(before.get())
                .ok_or_else(|| InvalidDefinition::UnknownDependency(step.name.clone()))?
                .push(StepIndex(index));
        }
    }
    Ok(dependents)
}

/// Kahn's algorithm: what is left over when nothing more can start is part of a cycle or behind one.
pub(super) fn acyclic(steps: &[Step], dependents: &[Vec<StepIndex>]) -> Result<(), InvalidDefinition> {
    let mut missing: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
    let mut startable: Vec<usize> = (0..steps.len()).filter(|index| missing[*index] == 0).collect();
    while let Some(index) = startable.pop() {
        for next in &dependents[index] {
            missing[next.get()] -= 1;
            if missing[next.get()] == 0 {
                startable.push(next.get());
            }
        }
    }
    match missing.iter().position(|count| *count > 0) {
        Some(index) => Err(InvalidDefinition::Cycle(steps[index].name.clone())),
        None => Ok(()),
    }
}

/// At most one pivot, and it always runs.
pub(super) fn pivot(steps: &[Step]) -> Result<Option<StepIndex>, InvalidDefinition> {
    let mut found = None;
    for (index, step) in (0u16..).zip(steps) {
        if !step.pivot {
            continue;
        }
        if step.conditional {
            return Err(InvalidDefinition::ConditionalPivot(step.name.clone()));
        }
        if found.replace(StepIndex(index)).is_some() {
            return Err(InvalidDefinition::SecondPivot(step.name.clone()));
        }
    }
    Ok(found)
}

/// Every other step is before or after the pivot, and what is before it can be undone or says why not.
pub(super) fn order_of_pivot(definition: &Definition) -> Result<(), InvalidDefinition> {
    for index in definition.indices() {
        let step = definition.step(index);
        let undoable = !matches!(step.compensate, Compensation::Absent);
        let Some(pivot) = definition.pivot else {
            if !undoable {
                return Err(InvalidDefinition::NoCompensation(step.name.clone()));
            }
            continue;
        };
        if index == pivot || definition.is_before(pivot, index) {
            continue;
        }
        if !definition.is_before(index, pivot) {
            return Err(InvalidDefinition::BesideThePivot(step.name.clone()));
        }
        if !undoable {
            return Err(InvalidDefinition::NoCompensation(step.name.clone()));
        }
    }
    Ok(())
}

/// Every operation may be tried at least once.
pub(super) fn operations(definition: &Definition) -> Result<(), InvalidDefinition> {
    use Operation::{Action, Compensate, Confirm, Query};
    for index in definition.indices() {
        let policies = [Action, Compensate, Confirm, Query].map(|operation| definition.policy(index, operation));
        if policies.into_iter().flatten().any(|policy| policy.max_attempts == 0) {
            return Err(InvalidDefinition::NoAttempts(definition.step(index).name.clone()));
        }
    }
    Ok(())
}
