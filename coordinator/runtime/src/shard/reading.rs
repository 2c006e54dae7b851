//! How a definition reads the answers to one operation: the bridge from `amends-definition` to the outcome table.
//!
//! It adds nothing of its own. Invariant: a reply that can't be read or judged is an error, which the table takes for unknown.

use std::sync::Arc;

use amends_definition::{Compiled, Judgement};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::Payload;
use bytes::Bytes;

use crate::error::with_sources;
use crate::participant::{Meaning, Reading};

/// One operation of one compiled definition.
pub(crate) struct OperationReading {
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) step: StepIndex,
    pub(crate) operation: Operation,
}

impl Reading for OperationReading {
    fn read(&self, reply: &Bytes) -> Result<(Payload, Judgement), String> {
        let (step, operation) = (self.step, self.operation);
        let output = self.compiled.decode_reply(step, operation, reply).map_err(|error| with_sources(&error))?;
        let judgement = self.compiled.judge_reply(step, operation, &output).map_err(|error| with_sources(&error))?;
        Ok((output, judgement))
    }

    fn meaning(&self, code: &str) -> Option<Meaning> {
        self.compiled.code(self.step, self.operation, code)
    }
}
