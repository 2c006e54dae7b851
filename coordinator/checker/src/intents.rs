//! What was durable when: committed states in the order in which they were committed, to judge what was seen outside.
//!
//! Whoever runs a simulation or a chaos test feeds it every committed state and asks about every call that a participant saw.
//! Invariants: revisions grow by one (I6); a call had a durable intent (I7), a compensation a durable decision (I4); outputs and
//! requests never change (I9).

use std::collections::BTreeMap;

use amends_engine::ids::{Operation, SagaKey, StepIndex};
use amends_engine::saga::{Phase, SagaState};

use crate::view::OPERATIONS;
use crate::violation::{Rule, Violation};

/// The last committed state of each saga.
#[derive(Debug, Default)]
pub struct Intents {
    committed: BTreeMap<SagaKey, SagaState>,
}

impl Intents {
    /// Nothing is durable yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A state was made durable. Errors when it doesn't follow the one before.
    pub fn committed(&mut self, state: &SagaState) -> Result<(), Violation> {
        if let Some(before) = self.committed.get(&state.head.key) {
            follows(before, state)?;
        }
        self.committed.insert(state.head.key.clone(), state.clone());
        Ok(())
    }

    /// The last state of a saga that was made durable.
    pub fn last(&self, saga: &SagaKey) -> Option<&SagaState> {
        self.committed.get(saga)
    }

    /// A participant saw this call. Errors when nothing durable asks for it. An old attempt may be seen late; one that was
    /// never recorded may not be seen at all.
    pub fn saw_call(
        &self,
        saga: &SagaKey,
        step: StepIndex,
        operation: Operation,
        attempt: u32,
    ) -> Result<(), Violation> {
        let complain = |rule, what: String| Err(Violation::of(rule, saga, what));
        let Some(state) = self.committed.get(saga) else {
            return complain(Rule::NoIntent, format!("{operation} {attempt} was seen, and the saga isn't durable"));
        };
        let Some(of_step) = state.steps.get(step.get()) else {
            return complain(Rule::NoIntent, format!("{operation} of step {} was seen: there is none", step.0));
        };
        let durable = of_step.operation(operation).attempt;
        if attempt == 0 || attempt > durable {
            let what = format!("attempt {attempt} of step {}'s {operation} was seen; durable is {durable}", step.0);
            return complain(Rule::NoIntent, what);
        }
        let decided = match operation {
            Operation::Action | Operation::Query => true,
            Operation::Compensate => state.decision.is_some() || of_step.sealing,
            Operation::Confirm => !matches!(state.phase, Phase::Running | Phase::Compensating | Phase::Compensated),
        };
        if decided { Ok(()) } else { complain(Rule::NoDecision, format!("{operation} was seen before its decision")) }
    }
}

fn follows(before: &SagaState, after: &SagaState) -> Result<(), Violation> {
    let complain = |rule, what: String| Err(Violation::of(rule, &after.head.key, what));
    if after.revision != before.revision + 1 {
        return complain(Rule::Sequence, format!("revision {} follows {}", after.revision, before.revision));
    }
    if before.decision.is_some() && after.decision != before.decision {
        return complain(Rule::WrittenOnce, "the durable decision changed".to_owned());
    }
    for (index, (was, is)) in before.steps.iter().zip(after.steps.iter()).enumerate() {
        for operation in OPERATIONS {
            let (was, is) = (was.operation(operation), is.operation(operation));
            let kept = |earlier: Option<_>, later: Option<_>| earlier.is_none() || earlier == later;
            if !kept(was.output, is.output) || !kept(was.request, is.request) || is.attempt < was.attempt {
                return complain(Rule::WrittenOnce, format!("step {index}'s {operation}: a durable fact changed"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
