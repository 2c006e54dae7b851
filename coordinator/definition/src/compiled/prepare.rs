//! Makes the requests of a step: evaluated once, stored as bytes, sent as the same bytes on every attempt.
//!
//! With the action it prepares every other request of the step that is complete already, so that a compensation can't turn
//! out to be impossible when it is needed (design §4, semantics A18). It reads recorded facts only. Invariant: an error
//! names the place in the definition and holds no value.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_engine::event::Event;
use amends_engine::ids::{Operation, SagaKey, StepIndex};
use amends_engine::payload::Payload;
use bytes::Bytes;
use serde_json::Value;

use super::{Compiled, CompiledOperation, Request, Target, slot};
use crate::expression::EvaluateError;
use crate::expression::path::dotted;
use crate::expression::variables::{Outputs, Variables};
use crate::finding::Place;
use crate::transcode::{encode, to_message};

/// What requests are made from.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Which saga.
    pub key: &'a SagaKey,
    /// What it was started with, as [`Compiled::check_input`] or [`crate::read_json`] gave it.
    pub input: &'a Value,
    /// The recorded outputs of actions, read from their JSON by [`crate::read_json`].
    pub outputs: &'a BTreeMap<StepIndex, &'a Value>,
}

/// What preparing an operation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// The step's `when` is false.
    Skipped,
    /// The request that was asked for, first, and every other of the step that is complete already.
    Requests(Vec<(Operation, Payload)>),
}

/// A request or condition that can't be worked out. Repeating it with the same facts gives the same error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: step {step}, {operation}: {message}", place.line, place.column)]
pub struct PrepareError {
    /// The name that the definition was given under.
    pub file: Arc<str>,
    /// Where in the definition.
    pub place: Place,
    /// Which step.
    pub step: String,
    /// Whose request or condition.
    pub operation: Operation,
    /// What went wrong; holds no value.
    pub message: String,
}

impl Compiled {
    /// Makes the request of an operation. For an action it first asks the step's `when`.
    pub fn prepare(&self, step: StepIndex, operation: Operation, scope: &Scope<'_>) -> Result<Prepared, PrepareError> {
        let variables = self.variables(scope);
        let failed = |of: Operation| move |(place, message)| self.failed(step, of, place, message);
        let Some(compiled) = self.steps.get(step.get()) else {
            return Err(failed(operation)((Place::START, "the definition has no such step".to_owned())));
        };
        if operation == Operation::Action
            && let Some(when) = &compiled.when
            && !when.is_true(&variables).map_err(split).map_err(failed(operation))?
        {
            return Ok(Prepared::Skipped);
        }
        let Some(asked) = &compiled.operations[slot(operation)] else {
            return Err(failed(operation)((Place::START, format!("the step has no {operation}"))));
        };
        let mut requests = vec![(operation, make(asked, &variables).map_err(failed(operation))?)];
        if operation == Operation::Action {
            for other in [Operation::Compensate, Operation::Confirm, Operation::Query] {
                if let Some(complete) =
                    compiled.operations[slot(other)].as_ref().filter(|other| !other.reads_own_output)
                {
                    requests.push((other, make(complete, &variables).map_err(failed(other))?));
                }
            }
        }
        Ok(Prepared::Requests(requests))
    }

    /// The event that the engine waits for: what [`Self::prepare`] gave.
    pub fn prepared(&self, step: StepIndex, operation: Operation, scope: &Scope<'_>) -> Event {
        match self.prepare(step, operation, scope) {
            Ok(Prepared::Requests(requests)) => Event::Prepared { step, operation, requests },
            Ok(Prepared::Skipped) => Event::ConditionFalse { step },
            Err(error) => Event::PrepareFailed { step, operation, message: error.to_string() },
        }
    }

    fn variables<'a>(&'a self, scope: &Scope<'a>) -> Variables<'a> {
        Variables {
            input: Some(scope.input),
            reply: None,
            saga: Some((scope.key, self.engine.name())),
            steps: Some(Outputs { names: &self.names, outputs: scope.outputs }),
        }
    }

    fn failed(&self, step: StepIndex, operation: Operation, place: Place, message: String) -> PrepareError {
        let step = match self.engine.steps().get(step.get()) {
            Some(step) => step.name.to_string(),
            None => format!("number {}", step.get()),
        };
        PrepareError { file: Arc::clone(&self.file), place, step, operation, message }
    }
}

fn make(operation: &CompiledOperation, variables: &Variables<'_>) -> Result<Payload, (Place, String)> {
    let (method, template) = match &operation.target {
        Target::Grpc { request: Request::Encoded(bytes), .. } => return Ok(Payload::protobuf(bytes.clone())),
        Target::Grpc { method, request: Request::Template(template) } => (method, template),
        Target::Http { http, body } => {
            let request = http.render(body, variables).map_err(split)?;
            return Ok(Payload::protobuf(request.encode()));
        }
    };
    let value = template.render(variables).map_err(split)?;
    let message = to_message(&method.input, &value).map_err(|mismatch| {
        let path = mismatch.path();
        let (field, request) = (dotted(&path), method.input.full_name());
        let message = format!("`{field}` of {request}: {} — {}", mismatch.message, mismatch.mend);
        (template.place_of(&path), message)
    })?;
    Ok(Payload::protobuf(Bytes::from(encode(&message, method.input_has_maps))))
}

fn split(error: EvaluateError) -> (Place, String) {
    (error.place, error.message)
}
