//! What became of each saga of a run, for whoever wants to know what faults do to a definition.
//!
//! It judges nothing. Invariant: a saga is told of once, in the order in which they were started.

use amends_engine::facts::StepEffect;
use amends_engine::ids::{DefinitionName, Operation, SagaKey, StepName};
use amends_engine::saga::{Saga, StuckReason};
use amends_engine::standing::{self, StatusWord};

/// What became of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub saga: SagaKey,
    /// Of which definition.
    pub definition: DefinitionName,
    /// How it stands.
    pub status: StatusWord,
    /// Why it is stuck and at which operation, where it is; neither for the saga as a whole.
    pub stuck: Option<(StuckReason, Option<(StepName, Operation)>)>,
    /// Steps whose effect stands though the saga wasn't completed, or may: true where it is certain.
    pub residue: Vec<(StepName, bool)>,
}

impl Outcome {
    pub(crate) fn of(saga: &Saga) -> Self {
        let name = |step| saga.definition.step(step).name.clone();
        let stuck = saga.stuck().map(|stuck| (stuck.reason, stuck.step.map(name).zip(stuck.operation)));
        let residue = saga.residue().into_iter();
        Self {
            saga: saga.state.head.key.clone(),
            definition: saga.state.head.definition.clone(),
            status: standing::status(saga),
            stuck,
            residue: residue.map(|it| (name(it.step), it.effect == StepEffect::Stands)).collect(),
        }
    }
}
