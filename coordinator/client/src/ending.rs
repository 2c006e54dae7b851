//! How a saga that was waited for stands.
//!
//! Pure. Invariant: [`Ending::Completed`] and [`Ending::Compensated`] are said only of sagas that have ended so.

use std::fmt;

use amends_proto::v1;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// A saga that was waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Waited {
    /// How it stands, in short.
    pub ending: Ending,
    /// The whole of it.
    pub saga: v1::Saga,
}

/// How a saga stands after a wait.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Every action, and every confirm, succeeded.
    Completed {
        /// What its steps gave back.
        outputs: Outputs,
    },
    /// What was done is undone.
    Compensated {
        /// Why it turned back.
        why: v1::Decision,
        /// What an operator chose to leave standing; empty as a rule.
        residue: Vec<v1::Residue>,
    },
    /// An operator ended it where it stood.
    ForceStopped {
        /// The effects that stand, or may stand.
        residue: Vec<v1::Residue>,
    },
    /// An operator is needed; then it goes on and ends one way or the other. Don't start it again under another id.
    Stuck {
        /// Why, the oldest first; never empty.
        reasons: Vec<v1::Stuck>,
    },
    /// The time was over before it had ended. It runs on: wait again, or look later.
    StillOpen {
        /// How it stood when it was last seen.
        status: v1::SagaStatus,
    },
}

impl Ending {
    pub(crate) fn of(saga: &v1::Saga) -> Self {
        match saga.status() {
            v1::SagaStatus::Completed => Self::Completed { outputs: Outputs::read(saga) },
            v1::SagaStatus::Compensated => {
                Self::Compensated { why: saga.decision.clone().unwrap_or_default(), residue: saga.residue.clone() }
            }
            v1::SagaStatus::ForceStopped => Self::ForceStopped { residue: saga.residue.clone() },
            v1::SagaStatus::Stuck => Self::Stuck { reasons: saga.stuck.clone() },
            status => Self::StillOpen { status },
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed { .. } => f.write_str("completed"),
            Self::Compensated { why, .. } => {
                let word = word(why.cause().as_str_name(), "DECISION_CAUSE_");
                write!(f, "compensated: {word}")?;
                said(f, &[&why.step, &why.code, &why.message, &why.reason])
            }
            Self::ForceStopped { residue } => write!(f, "force-stopped; {} effects may stand", residue.len()),
            Self::Stuck { reasons } => {
                f.write_str("stuck")?;
                reasons.iter().try_for_each(|stuck| {
                    write!(f, ": {}", word(stuck.reason().as_str_name(), "STUCK_REASON_"))?;
                    said(f, &[&stuck.step, &stuck.code, &stuck.message])
                })
            }
            Self::StillOpen { status } => write!(f, "still {}", word(status.as_str_name(), "SAGA_STATUS_")),
        }
    }
}

/// `STUCK_REASON_PIVOT_UNKNOWN`: pivot unknown.
fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

fn said(f: &mut fmt::Formatter<'_>, parts: &[&str]) -> fmt::Result {
    parts.iter().filter(|part| !part.is_empty()).try_for_each(|part| write!(f, ", {part}"))
}

/// What the actions of a completed saga gave back, by step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs {
    by_step: Vec<(String, v1::Payload)>,
}

impl Outputs {
    fn read(saga: &v1::Saga) -> Self {
        let output = |step: &v1::Step| {
            let action = step.operations.iter().find(|state| state.operation() == v1::Operation::Action)?;
            Some((step.name.clone(), action.output.clone()?))
        };
        Self { by_step: saga.steps.iter().filter_map(output).collect() }
    }

    /// A step's output as a type of yours; 64-bit integers are exact. `None`: no such step, or it was left out.
    ///
    /// # Errors
    /// [`Error::Output`] when it isn't of that type.
    pub fn of<T: DeserializeOwned>(&self, step: &str) -> Result<Option<T>, Error> {
        let Some((_, payload)) = self.by_step.iter().find(|(name, _)| name == step) else { return Ok(None) };
        let read = serde_json::from_slice(&payload.data);
        read.map(Some).map_err(|source| Error::Output { step: step.to_owned(), source })
    }

    /// The steps that gave something back, in the order of the definition.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.by_step.iter().map(|(name, _)| name.as_str())
    }
}
