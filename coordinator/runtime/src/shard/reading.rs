//! How a definition reads the answers to one operation: the bridge from `amends-definition` to the outcome table.
//!
//! It adds nothing of its own. Invariant: a reply that can't be read or judged is an error, which the table takes for unknown.

use std::sync::Arc;

use amends_definition::{Compiled, Judgement as Judged, MappedOutcome};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::Payload;
use bytes::Bytes;

use crate::error::with_sources;
use crate::participant::{Code, Judgement, Meaning, Reading};

/// One operation of one compiled definition.
pub(super) struct OperationReading {
    pub(super) compiled: Arc<Compiled>,
    pub(super) step: StepIndex,
    pub(super) operation: Operation,
}

impl Reading for OperationReading {
    fn read(&self, reply: &Bytes) -> Result<(Payload, Judgement), String> {
        let (step, operation) = (self.step, self.operation);
        let output = self.compiled.decode_reply(step, operation, reply).map_err(|error| with_sources(&error))?;
        let judged = self.compiled.judge_reply(step, operation, &output).map_err(|error| with_sources(&error))?;
        let judgement = match judged {
            Judged::Succeeded => Judgement::Succeeded,
            Judged::Rejected(_) => Judgement::Rejected,
            Judged::Pending => Judgement::Pending,
            Judged::NotYet => Judgement::NotYet,
        };
        Ok((output, judgement))
    }

    fn meaning(&self, code: Code) -> Option<Meaning> {
        let mapped = self.compiled.code(self.step, self.operation, code.name())?;
        Some(match mapped {
            MappedOutcome::Succeeded => Meaning::Succeeded,
            MappedOutcome::Rejected => Meaning::Rejected,
            MappedOutcome::Pending => Meaning::Pending,
            MappedOutcome::Unknown => Meaning::Unknown,
        })
    }
}
