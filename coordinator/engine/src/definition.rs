//! A definition as the engine needs it: steps, order, pivot and limits. No templates, no expressions, no addresses.
//!
//! `amends-definition` makes these from what a team wrote and gives the friendly errors; [`Definition::new`] repeats only
//! what the machine relies on. Invariant: a `Definition` is acyclic, has at most one pivot, every other step is ordered
//! before or after it, and every step before it can be undone or says why not.

use std::time::Duration;

use crate::ids::{DefinitionName, Operation, ParticipantName, StepIndex, StepName, Version};

mod check;

/// Most steps that a definition may have.
pub const STEPS_MAX: usize = 256;

/// Limits of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// Attempts before the operation is given up; at least 1. Attempts that never left don't count.
    pub max_attempts: u32,
    /// Delay before the second attempt, before jitter.
    pub initial_delay: Duration,
    /// Longest delay between attempts.
    pub max_delay: Duration,
    /// Growth of the delay from one attempt to the next; at least 1.
    pub multiplier: f64,
}

impl Policy {
    /// The default for an action: 8 attempts of 5 s, 200 ms doubling up to 10 s (design §4).
    pub fn action() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(5),
            max_attempts: 8,
            initial_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(10),
            multiplier: 2.0,
        }
    }

    /// The default for compensate and confirm: 40 attempts of 5 s, 500 ms doubling up to 60 s (design §4).
    pub fn finishing() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(5),
            max_attempts: 40,
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(60),
            multiplier: 2.0,
        }
    }
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq)]
pub enum Compensation {
    /// By a call.
    Call(Policy),
    /// The team says that nothing needs undoing, and why (`compensate: none`).
    None {
        /// Their reason.
        reason: String,
    },
    /// Not before the pivot, so it is never undone on the way back.
    Absent,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name, unique in the definition.
    pub name: StepName,
    /// Who carries it out.
    pub participant: ParticipantName,
    /// The steps that must be done before it; empty: it starts at once.
    pub after: Vec<StepIndex>,
    /// Whether the saga can only go forward once this has succeeded.
    pub pivot: bool,
    /// Whether a `when` decides if it runs.
    pub conditional: bool,
    /// Total time for the action from its first attempt; checked between attempts.
    pub within: Option<Duration>,
    /// Limits of the action (TCC: try).
    pub action: Policy,
    /// How it is undone (TCC: cancel).
    pub compensate: Compensation,
    /// Limits of the confirm, for a TCC step.
    pub confirm: Option<Policy>,
    /// Limits of the query, where the participant can be asked.
    pub query: Option<Policy>,
}

/// A recipe, immutable once made.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    name: DefinitionName,
    version: Version,
    timeout: Duration,
    steps: Vec<Step>,
    dependents: Vec<Vec<StepIndex>>,
    pivot: Option<StepIndex>,
}

/// A definition that the machine can't run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDefinition {
    /// No step at all.
    #[error("a definition needs at least one step")]
    NoSteps,
    /// Over [`STEPS_MAX`].
    #[error("{0} steps: at most {STEPS_MAX} are allowed")]
    TooManySteps(usize),
    /// An `after` that names no step.
    #[error("step {0}: `after` names a step that doesn't exist")]
    UnknownDependency(StepName),
    /// Steps wait for each other.
    #[error("step {0}: it waits for itself through `after`")]
    Cycle(StepName),
    /// Two steps with one name.
    #[error("step {0}: the name is used twice")]
    DuplicateName(StepName),
    /// More than one pivot.
    #[error("step {0}: a definition has at most one pivot")]
    SecondPivot(StepName),
    /// A pivot that may be skipped.
    #[error("step {0}: a pivot can't have `when`")]
    ConditionalPivot(StepName),
    /// A step beside the pivot.
    #[error("step {0}: it is neither before nor after the pivot")]
    BesideThePivot(StepName),
    /// A step that would have to be undone and can't be.
    #[error("step {0}: it comes before the pivot and has no compensation")]
    NoCompensation(StepName),
    /// An operation without attempts.
    #[error("step {0}: max_attempts must be at least 1")]
    NoAttempts(StepName),
}

impl Definition {
    /// Checks the invariant of this module and derives the reverse order.
    pub fn new(
        name: DefinitionName,
        version: Version,
        timeout: Duration,
        steps: Vec<Step>,
    ) -> Result<Self, InvalidDefinition> {
        if steps.is_empty() {
            return Err(InvalidDefinition::NoSteps);
        }
        if steps.len() > STEPS_MAX {
            return Err(InvalidDefinition::TooManySteps(steps.len()));
        }
        check::names(&steps)?;
        let dependents = check::dependents(&steps)?;
        check::acyclic(&steps, &dependents)?;
        let pivot = check::pivot(&steps)?;
        let definition = Self { name, version, timeout, steps, dependents, pivot };
        check::order_of_pivot(&definition)?;
        check::operations(&definition)?;
        Ok(definition)
    }

    /// Its name.
    pub fn name(&self) -> &DefinitionName {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How long a saga may run forward before it is compensated.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// All steps, in the order in which they were written.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step at this index, which must come from this definition.
    pub fn step(&self, index: StepIndex) -> &Step {
        &self.steps[index.get()]
    }

    /// The index of the step with this name.
    pub fn find(&self, name: &StepName) -> Option<StepIndex> {
        self.indices().find(|index| self.step(*index).name == *name)
    }

    /// All indices, in the order in which the steps were written.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = StepIndex> + use<> {
        (0..self.steps.len()).filter_map(|index| u16::try_from(index).ok()).map(StepIndex)
    }

    /// The steps that name this one in their `after`.
    pub fn dependents(&self, index: StepIndex) -> &[StepIndex] {
        &self.dependents[index.get()]
    }

    /// The pivot, if there is one.
    pub fn pivot(&self) -> Option<StepIndex> {
        self.pivot
    }

    /// Whether any step has a confirm.
    pub fn has_confirm(&self) -> bool {
        self.steps.iter().any(|step| step.confirm.is_some())
    }

    /// Whether `early` is done before `late` begins: there is a chain of `after` between them.
    pub fn is_before(&self, early: StepIndex, late: StepIndex) -> bool {
        let mut seen = vec![false; self.steps.len()];
        let mut open = vec![early];
        while let Some(index) = open.pop() {
            for next in self.dependents(index) {
                if *next == late {
                    return true;
                }
                if !std::mem::replace(&mut seen[next.get()], true) {
                    open.push(*next);
                }
            }
        }
        false
    }

    /// All steps that are done before this one begins, in the order in which they were written.
    pub(crate) fn ancestors(&self, late: StepIndex) -> Vec<StepIndex> {
        let mut seen = vec![false; self.steps.len()];
        let mut open = vec![late];
        while let Some(index) = open.pop() {
            for before in &self.step(index).after {
                if !std::mem::replace(&mut seen[before.get()], true) {
                    open.push(*before);
                }
            }
        }
        self.indices().filter(|index| seen[index.get()]).collect()
    }

    /// The limits of one of a step's operations; `None` where the step doesn't have it.
    pub fn policy(&self, index: StepIndex, operation: Operation) -> Option<&Policy> {
        let step = self.step(index);
        match operation {
            Operation::Action => Some(&step.action),
            Operation::Compensate => match &step.compensate {
                Compensation::Call(policy) => Some(policy),
                Compensation::None { .. } | Compensation::Absent => None,
            },
            Operation::Confirm => step.confirm.as_ref(),
            Operation::Query => step.query.as_ref(),
        }
    }
}
