//! What a batch does to each of its sagas: one of the single verbs, as somebody would ask for it.
//!
//! Invariant: which step and operation are meant is found in the saga at the planned revision, when it is planned and when it is
//! done, so that both mean the same.

use amends_engine::event::Finding;
use amends_engine::ids::{Operation, StepName, Version};
use amends_engine::payload::Payload;
use amends_engine::saga::Saga;
use prost::{Enumeration, Message};

use crate::coordinator::Ask;

/// What is done to each saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Fresh attempts, of this step or of all that is stuck or waiting.
    Retry {
        /// Only this step.
        step: Option<StepName>,
    },
    /// Do without an operation; where none is named, without what is stuck.
    Skip {
        /// The step.
        step: Option<StepName>,
        /// The operation.
        operation: Option<Operation>,
    },
    /// State a fact; where no operation is named, about what is stuck.
    Resolve {
        /// The step.
        step: Option<StepName>,
        /// The operation.
        operation: Option<Operation>,
        /// The fact.
        finding: Finding,
    },
    /// Turn back.
    Cancel,
    /// Stop here.
    ForceStop,
    /// Start nothing more.
    Pause,
    /// Go on.
    Resume,
    /// Somebody knows about it.
    Acknowledge,
    /// Move to another version of the definition.
    Repin {
        /// Which: named, so that what is done is what was planned.
        version: Version,
    },
}

/// What one saga is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// One of the verbs.
    Ask(Ask),
    /// Another version.
    Repin(Version),
}

impl Action {
    /// What to ask of this saga; or why nothing can be asked of it.
    pub(crate) fn order(&self, saga: &Saga) -> Result<Order, String> {
        let ask = match self.clone() {
            Self::Repin { version } => return Ok(Order::Repin(version)),
            Self::Retry { step } => Ask::Retry { step },
            Self::Skip { step, operation } => {
                let (step, operation) = meant(saga, step, operation)?;
                Ask::Skip { step, operation }
            }
            Self::Resolve { step, operation, finding } => {
                let (step, operation) = meant(saga, step, operation)?;
                Ask::Resolve { step, operation, finding }
            }
            Self::Cancel => Ask::Cancel,
            Self::ForceStop => Ask::ForceStop,
            Self::Pause => Ask::Pause,
            Self::Resume => Ask::Resume,
            Self::Acknowledge => Ask::Acknowledge,
        };
        Ok(Order::Ask(ask))
    }
}

/// The named step and operation, else where the saga is stuck.
fn meant(
    saga: &Saga,
    step: Option<StepName>,
    operation: Option<Operation>,
) -> Result<(StepName, Option<Operation>), String> {
    if let Some(step) = step {
        return Ok((step, operation));
    }
    let stuck = saga.stuck().ok_or("nothing is stuck here, and no step is named")?;
    let step = stuck.step.ok_or("it is parked as a whole, not at a step; retry it")?;
    if operation.is_some_and(|named| stuck.operation != Some(named)) {
        return Err("it isn't stuck in this operation".to_owned());
    }
    Ok((saga.definition.step(step).name.clone(), stuck.operation))
}

/// An action as it is stored.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ActionRecord {
    #[prost(enumeration = "Verb", tag = "1")]
    verb: i32,
    #[prost(string, tag = "2")]
    step: String,
    #[prost(uint32, optional, tag = "3")]
    operation: Option<u32>,
    /// RESOLVE: what it would have replied; absent: it didn't happen.
    #[prost(bytes = "vec", optional, tag = "4")]
    happened: Option<Vec<u8>>,
    #[prost(uint32, tag = "5")]
    version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
enum Verb {
    Unknown = 0,
    Retry = 1,
    Skip = 2,
    Resolve = 3,
    Cancel = 4,
    ForceStop = 5,
    Pause = 6,
    Resume = 7,
    Acknowledge = 8,
    Repin = 9,
}

pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];

/// The number that stands for an operation in a record; never changed.
pub(crate) fn tag(operation: Operation) -> u32 {
    match operation {
        Operation::Action => 1,
        Operation::Compensate => 2,
        Operation::Confirm => 3,
        Operation::Query => 4,
    }
}

/// The operation of such a number.
pub(crate) fn of_tag(number: u32) -> Option<Operation> {
    OPERATIONS.into_iter().find(|operation| tag(*operation) == number)
}

impl From<&Action> for ActionRecord {
    fn from(action: &Action) -> Self {
        let named = |verb: Verb, step: &Option<StepName>, operation: Option<Operation>| Self {
            verb: verb.into(),
            step: step.as_ref().map(StepName::to_string).unwrap_or_default(),
            operation: operation.map(tag),
            ..Self::default()
        };
        let plain = |verb| named(verb, &None, None);
        match action {
            Action::Retry { step } => named(Verb::Retry, step, None),
            Action::Skip { step, operation } => named(Verb::Skip, step, *operation),
            Action::Resolve { step, operation, finding } => Self {
                happened: match finding {
                    Finding::Happened(output) => Some(output.bytes.to_vec()),
                    Finding::DidNotHappen => None,
                },
                ..named(Verb::Resolve, step, *operation)
            },
            Action::Cancel => plain(Verb::Cancel),
            Action::ForceStop => plain(Verb::ForceStop),
            Action::Pause => plain(Verb::Pause),
            Action::Resume => plain(Verb::Resume),
            Action::Acknowledge => plain(Verb::Acknowledge),
            Action::Repin { version } => Self { version: version.0, ..plain(Verb::Repin) },
        }
    }
}

impl TryFrom<ActionRecord> for Action {
    type Error = String;

    fn try_from(record: ActionRecord) -> Result<Self, String> {
        let verb = record.verb();
        let step = match record.step.as_str() {
            "" => None,
            name => Some(StepName::parse(name).map_err(|error| error.to_string())?),
        };
        let operation = match record.operation {
            None => None,
            Some(number) => Some(of_tag(number).ok_or_else(|| format!("operation {number} is unknown"))?),
        };
        Ok(match verb {
            Verb::Unknown => {
                return Err(format!("verb {} is unknown: was it written by a newer version?", record.verb));
            }
            Verb::Retry => Self::Retry { step },
            Verb::Skip => Self::Skip { step, operation },
            Verb::Resolve => {
                let happened = |output| Finding::Happened(Payload::json(output));
                Self::Resolve { step, operation, finding: record.happened.map_or(Finding::DidNotHappen, happened) }
            }
            Verb::Cancel => Self::Cancel,
            Verb::ForceStop => Self::ForceStop,
            Verb::Pause => Self::Pause,
            Verb::Resume => Self::Resume,
            Verb::Acknowledge => Self::Acknowledge,
            Verb::Repin => Self::Repin { version: Version(record.version) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_comes_back_as_it_was_stored() {
        let step = || StepName::parse("charge").ok();
        let operation = Some(Operation::Compensate);
        let happened = Finding::Happened(Payload::json(r#"{"id":7}"#));
        let all = [
            Action::Retry { step: None },
            Action::Retry { step: step() },
            Action::Skip { step: step(), operation },
            Action::Resolve { step: None, operation: None, finding: happened },
            Action::Resolve { step: step(), operation, finding: Finding::DidNotHappen },
            Action::Cancel,
            Action::ForceStop,
            Action::Pause,
            Action::Resume,
            Action::Acknowledge,
            Action::Repin { version: Version(3) },
        ];
        for action in all {
            assert_eq!(Action::try_from(ActionRecord::from(&action)), Ok(action));
        }
        assert!(Action::try_from(ActionRecord { verb: 77, ..ActionRecord::default() }).is_err());
    }
}
