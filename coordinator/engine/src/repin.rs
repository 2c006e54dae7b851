//! Whether a saga may move to another version of its definition: what was done under the old one must mean the same under the new
//! one (design §8, semantics A12).
//!
//! Pure comparison; the move itself is in `apply/repin.rs`. State, history and stored payloads name steps by their position, so a
//! step that anything happened to keeps its position. Invariant: a saga that passes is one that the new version could have led to
//! itself: no effect loses its compensation, no order is broken after the fact, no step ends on the other side of the pivot.

use crate::definition::{Compensation, Definition, Step};
use crate::facts::StepEffect;
use crate::ids::{DefinitionName, Operation, StepIndex, StepName, Version};
use crate::outstanding::OPERATIONS;
use crate::saga::{OperationState, OperationStatus, Phase, Saga, SkippedBy};

/// What keeps a saga from moving to another version. The first thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// A definition of another name.
    #[error("it is a version of {0}, and the saga is one of another definition")]
    OtherDefinition(DefinitionName),
    /// It was compared with a version that the saga isn't on any more.
    #[error("the saga has been moved to version {0} meanwhile")]
    MovedMeanwhile(Version),
    /// A step that something happened to isn't there, or elsewhere.
    #[error("step `{step}`, which has begun, {}: write it as step {} there too; new steps go behind it", other(found.as_ref()), position + 1)]
    StepMoved {
        /// The step.
        step: StepName,
        /// Where it must be, from 0.
        position: usize,
        /// What is there.
        found: Option<StepName>,
    },
    /// Called elsewhere.
    #[error("step `{step}`, which was called, is at participant {there} there, and at {here} here")]
    Participant {
        /// The step.
        step: StepName,
        /// Here.
        here: String,
        /// There.
        there: String,
    },
    /// It has an operation more or less.
    #[error("step `{step}`, which was called, {} a {operation} there, unlike here", if *there { "has" } else { "doesn't have" })]
    Operations {
        /// The step.
        step: StepName,
        /// Which.
        operation: Operation,
        /// Whether it has it there.
        there: bool,
    },
    /// A request that is prepared would go to another method.
    #[error("the {operation} of step `{step}` calls something else there, and its request is prepared already")]
    Call {
        /// The step.
        step: StepName,
        /// Which.
        operation: Operation,
    },
    /// It is the pivot in one of them only, or on its other side.
    #[error("step `{step}`, which has begun, is {there} there, and {here} here")]
    Side {
        /// The step.
        step: StepName,
        /// Here.
        here: Side,
        /// There.
        there: Side,
    },
    /// It has begun, and another one would have had to be before it, or needn't have been.
    #[error("step `{step}`, which has begun, comes {} `{other}` there, unlike here", if *there { "after" } else { "no longer after" })]
    Order {
        /// The step.
        step: StepName,
        /// What it comes after, in one of them.
        other: StepName,
        /// Whether it comes after it there.
        there: bool,
    },
    /// Its condition was false, and it has none there.
    #[error("step `{0}` was left out because its `when` was false, and has none there: it would have run")]
    Condition(StepName),
    /// All actions are done, and there would be one more.
    #[error("step `{0}` is new there, and the saga's actions are all done already: it would never run")]
    TooLate(StepName),
}

fn other(found: Option<&StepName>) -> String {
    found.map_or_else(|| "isn't there".to_owned(), |found| format!("isn't at its place there, but `{found}`"))
}

/// Where a step stands to the pivot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before it, or there is none: it is undone on the way back.
    Before,
    /// It is the pivot.
    Pivot,
    /// After it.
    After,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Before => "before any pivot",
            Self::Pivot => "the pivot",
            Self::After => "after the pivot",
        })
    }
}

/// Whether anything that is kept has happened to an operation: more than having been asked for.
fn is_touched(state: &OperationState) -> bool {
    let status = if state.status == OperationStatus::Ready { OperationStatus::Idle } else { state.status };
    OperationState { status, ..state.clone() } != OperationState::IDLE
}

/// Whether a participant may know of an operation, or will be told with bytes that are fixed.
fn is_bound(state: &OperationState) -> bool {
    state.attempt > 0 || state.request.is_some()
}

impl Saga {
    /// Whether anything that is kept has happened to a step.
    pub(crate) fn is_step_touched(&self, step: StepIndex) -> bool {
        OPERATIONS.iter().any(|operation| is_touched(self.operation(step, *operation)))
    }

    fn is_step_called(&self, step: StepIndex) -> bool {
        // A person may have stated that what was never called happened.
        let bound = OPERATIONS.iter().any(|operation| is_bound(self.operation(step, *operation)));
        bound || self.action_effect(step) != StepEffect::None
    }

    /// Whether the saga may go on by this definition. `elsewhere` are the operations that call something else there than in the
    /// definition that the saga is on; the engine knows nothing of methods and paths.
    pub fn may_move_to(&self, there: &Definition, elsewhere: &[(StepIndex, Operation)]) -> Result<(), Incompatible> {
        let here = &self.definition;
        if there.name() != here.name() {
            return Err(Incompatible::OtherDefinition(there.name().clone()));
        }
        for step in here.indices().filter(|step| self.is_step_touched(*step)) {
            self.keeps_its_place(there, step)?;
            same_side(here, there, step)?;
            same_order(here, there, step)?;
            self.was_rightly_left_out(there, step)?;
        }
        for step in here.indices().filter(|step| self.is_step_called(*step)) {
            same_operations(here.step(step), there.step(step))?;
            self.same_calls(step, elsewhere)?;
        }
        let forward_done = matches!(self.state.phase, Phase::Confirming);
        let is_new = |step: &StepIndex| step.get() >= here.steps().len() || !self.is_step_touched(*step);
        match there.indices().find(|step| forward_done && is_new(step)) {
            Some(step) => Err(Incompatible::TooLate(there.step(step).name.clone())),
            None => Ok(()),
        }
    }

    fn keeps_its_place(&self, there: &Definition, step: StepIndex) -> Result<(), Incompatible> {
        let name = &self.definition.step(step).name;
        let found = there.steps().get(step.get()).map(|found| &found.name);
        if found == Some(name) {
            return Ok(());
        }
        // Where it is gone, what has taken its place says nothing.
        let found = found.filter(|_| there.find(name).is_some()).cloned();
        Err(Incompatible::StepMoved { step: name.clone(), position: step.get(), found })
    }

    fn was_rightly_left_out(&self, there: &Definition, step: StepIndex) -> Result<(), Incompatible> {
        let left_out = self.step(step).action.status == OperationStatus::Skipped(SkippedBy::Condition);
        let could_be = there.step(step).conditional;
        if left_out && !could_be { Err(Incompatible::Condition(there.step(step).name.clone())) } else { Ok(()) }
    }

    fn same_calls(&self, step: StepIndex, elsewhere: &[(StepIndex, Operation)]) -> Result<(), Incompatible> {
        let bound = |operation: &Operation| is_bound(self.operation(step, *operation));
        match OPERATIONS.into_iter().filter(bound).find(|operation| elsewhere.contains(&(step, *operation))) {
            Some(operation) => Err(Incompatible::Call { step: self.definition.step(step).name.clone(), operation }),
            None => Ok(()),
        }
    }
}

/// The same participant and operations. A query may be added: it has no effect, and may be what settles a doubt.
fn same_operations(here: &Step, there: &Step) -> Result<(), Incompatible> {
    let step = || here.name.clone();
    if here.participant != there.participant {
        let (here, there) = (here.participant.to_string(), there.participant.to_string());
        return Err(Incompatible::Participant { step: step(), here, there });
    }
    let kind = |step: &Step| std::mem::discriminant(&step.compensate);
    let is_called = |step: &Step| matches!(step.compensate, Compensation::Call(_));
    let (of_compensate, of_confirm) = (kind(here) == kind(there), here.confirm.is_some() == there.confirm.is_some());
    let query_lost = here.query.is_some() && there.query.is_none();
    let differs = |operation, there| Err(Incompatible::Operations { step: step(), operation, there });
    match (of_compensate, of_confirm, query_lost) {
        (false, _, _) => differs(Operation::Compensate, is_called(there)),
        (_, false, _) => differs(Operation::Confirm, there.confirm.is_some()),
        (_, _, true) => differs(Operation::Query, false),
        (true, true, false) => Ok(()),
    }
}

fn side(definition: &Definition, step: StepIndex) -> Side {
    match definition.pivot() {
        Some(pivot) if pivot == step => Side::Pivot,
        Some(pivot) if definition.is_before(pivot, step) => Side::After,
        Some(_) | None => Side::Before,
    }
}

fn same_side(here: &Definition, there: &Definition, step: StepIndex) -> Result<(), Incompatible> {
    let (is, would_be) = (side(here, step), side(there, step));
    if is == would_be {
        return Ok(());
    }
    Err(Incompatible::Side { step: here.step(step).name.clone(), here: is, there: would_be })
}

/// What has begun has exactly the same steps before it. They have begun too, so they are at their places.
fn same_order(here: &Definition, there: &Definition, step: StepIndex) -> Result<(), Incompatible> {
    let (are, would_be) = (here.ancestors(step), there.ancestors(step));
    let name = |definition: &Definition, index: StepIndex| definition.step(index).name.clone();
    let differs = |other, there| Err(Incompatible::Order { step: name(here, step), other, there });
    if let Some(new) = would_be.iter().find(|index| !are.contains(index)) {
        return differs(name(there, *new), true);
    }
    match are.iter().find(|index| !would_be.contains(index)) {
        Some(lost) => differs(name(here, *lost), false),
        None => Ok(()),
    }
}
