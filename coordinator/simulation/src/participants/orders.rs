//! What the participants of a run are to do with each saga, and what they answer: from the run's plan, never from a request.
//!
//! So a user's own definition is played with the same rules as ours, whatever its requests look like. It decides nothing.
//! Invariant: what it says of a saga never changes during a run.

use std::collections::BTreeMap;

use amends_engine::ids::{DefinitionName, Operation, SagaKey, StepName};
use bytes::Bytes;
use prost::Message;

use super::messages::Receipt;
use crate::load::SagaPlan;

/// Replies by step and operation.
pub(crate) type Replies = BTreeMap<(StepName, Operation), Bytes>;

/// What is to be done with the sagas of a run.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    sagas: BTreeMap<SagaKey, SagaPlan>,
    /// Of the definitions that aren't ours.
    replies: BTreeMap<DefinitionName, Replies>,
}

impl Orders {
    pub(super) fn expect(&mut self, key: SagaKey, plan: SagaPlan) {
        self.sagas.insert(key, plan);
    }

    pub(super) fn answer(&mut self, definition: DefinitionName, replies: Replies) {
        self.replies.insert(definition, replies);
    }

    /// Whether an operation is refused for business reasons.
    pub(super) fn refuses(&self, saga: &SagaKey, step: &StepName, operation: Operation) -> bool {
        let name = if operation == Operation::Action { step.to_string() } else { format!("{step}.{operation}") };
        self.sagas.get(saga).is_some_and(|plan| names(&plan.refuse, &name))
    }

    /// Whether an operation is only accepted, and finished later.
    pub(super) fn pends(&self, saga: &SagaKey, step: &StepName, operation: Operation) -> bool {
        self.sagas.get(saga).is_some_and(|plan| names(&plan.pend, &format!("{step}.{operation}")))
    }

    /// The bytes of a success. `receipt` is unique in a run; ours give it, others' replies were written by somebody.
    pub(super) fn reply(&self, saga: &SagaKey, step: &StepName, operation: Operation, receipt: u64) -> Vec<u8> {
        let definition = self.sagas.get(saga).map(|plan| plan.definition.as_str());
        let others =
            self.replies.iter().find(|(name, _)| definition == Some(name.as_str())).map(|(_, replies)| replies);
        match others {
            Some(replies) => replies.get(&(step.clone(), operation)).map(|reply| reply.to_vec()).unwrap_or_default(),
            None => Receipt { number: format!("r{receipt}") }.encode_to_vec(),
        }
    }
}

fn names(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|item| item == name)
}
