//! What was violated, where: the one error of this crate.
//!
//! Invariant: a violation names the rule, the saga and the step, so that a seed's report can be read without a debugger.

use amends_engine::ids::{Operation, SagaKey, StepName};

/// The rules, with the numbers that the test plan gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// I1: sums that must stay the same changed.
    Conservation,
    /// I2: an operation took effect more than once.
    EffectTwice,
    /// I3: a saga ended, and an effect isn't as its end says.
    EffectAgainstEnd,
    /// I4: a forward effect after its compensation, or something undone or confirmed that was never done.
    EffectOrder,
    /// I4: a compensation without a decision, or a confirm before the point of no return.
    NoDecision,
    /// I5: an acknowledged saga is missing, or neither ended nor flagged.
    NotAccountedFor,
    /// I6: revisions, attempt numbers, times or history entries don't follow each other.
    Sequence,
    /// I7: a call was seen whose intent wasn't durable.
    NoIntent,
    /// I9: something that is written once changed.
    WrittenOnce,
    /// I11: more attempts than the policy allows, or one before it was due.
    Budget,
    /// A terminal state with something left to do.
    UnfinishedEnd,
    /// Completed, and a step is neither done nor skipped.
    NotCompleted,
    /// Compensated, and an effect stands that nobody accepted.
    NotCompensated,
    /// Turned back while the pivot may have happened, or had.
    PivotTurnedBack,
    /// An attempt may have had its effect, and the state doesn't say so.
    DoubtForgotten,
    /// Something started before what it must wait for.
    Order,
    /// Something started in a saga that starts nothing.
    StartedWhileParked,
    /// An open saga that does nothing, waits for nothing and isn't stuck.
    SilentlyIdle,
    /// A phase that can't follow the one before.
    PhaseOrder,
    /// Parts of a state that contradict each other.
    Contradiction,
    /// A saga went on by a version in which what it has done means something else.
    OtherMeaning,
    /// An acknowledgement that changed something else, or is about what nobody has seen.
    MoreThanSaid,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?}: {}{what}", place(.saga.as_ref(), .at.as_ref()))]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Which saga; `None` where it is about all of them.
    pub saga: Option<SagaKey>,
    /// Which step and operation, where it is about one.
    pub at: Option<(StepName, Operation)>,
    /// What was found.
    pub what: String,
}

fn place(saga: Option<&SagaKey>, at: Option<&(StepName, Operation)>) -> String {
    let saga = saga.map(|saga| format!("saga {saga}: ")).unwrap_or_default();
    let at = at.map(|(step, operation)| format!("{step} {operation}: ")).unwrap_or_default();
    saga + &at
}

impl Violation {
    pub(crate) fn of(rule: Rule, saga: &SagaKey, what: impl Into<String>) -> Self {
        Self { rule, saga: Some(saga.clone()), at: None, what: what.into() }
    }

    pub(crate) fn at(self, step: &StepName, operation: Operation) -> Self {
        Self { at: Some((step.clone(), operation)), ..self }
    }
}
