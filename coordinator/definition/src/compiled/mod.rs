//! A definition ready to run: the engine's part, the methods, and every request, condition and label compiled.
//!
//! Made once per version and shared by all its sagas; nothing is parsed after that. `compile.rs` makes it and checks requests
//! against descriptors, `prepare.rs` makes requests, `reply.rs` judges replies. It calls nobody and keeps nothing about a
//! saga. Invariant: the same definition, input and outputs give the same bytes, in every process.

mod compile;
mod elsewhere;
mod prepare;
mod reply;
mod scripted;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use amends_engine::definition::Definition;
use amends_engine::ids::{Operation, ParticipantName, StepIndex};
use bytes::Bytes;
use serde_json::Value;

use crate::descriptors::Method;
use crate::document::{MappedOutcome, Protocol};
use crate::expression::Expression;
use crate::expression::variables::Variables;
use crate::http::HttpText;
use crate::input::{InputError, InputSchema, read_json};
use crate::template::Template;
pub use compile::check;
pub use prepare::{PrepareError, Prepared, Scope};
pub use reply::{Judgement, ReplyError};

/// Longest value of a label, in bytes.
pub const LABEL_LENGTH_MAX: usize = 256;

/// A definition ready to run. Share it behind an [`Arc`].
pub struct Compiled {
    file: Arc<str>,
    engine: Arc<Definition>,
    participants: Vec<ParticipantName>,
    input: Option<InputSchema>,
    labels: Vec<(String, Template)>,
    names: BTreeMap<String, StepIndex>,
    steps: Vec<CompiledStep>,
}

struct CompiledStep {
    when: Option<Expression>,
    /// Whose outputs its condition and requests read; sorted.
    reads: Vec<StepIndex>,
    /// By [`slot`].
    operations: [Option<CompiledOperation>; 4],
}

struct CompiledOperation {
    target: Target,
    /// Its request needs the output of its own step's action.
    reads_own_output: bool,
    codes: BTreeMap<String, MappedOutcome>,
    rejected_when: Option<Expression>,
    pending_when: Option<Expression>,
    when: Option<Expression>,
}

/// What is called.
enum Target {
    Grpc { method: Method, request: Request },
    Http { http: Box<HttpText>, body: Template },
}

enum Request {
    /// The same for every saga.
    Encoded(Bytes),
    /// To be filled in.
    Template(Template),
}

/// A label that can't be worked out from an input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Its expression has no value.
    #[error("label `{label}`: {message}")]
    Expression {
        /// Which label.
        label: String,
        /// What went wrong; holds no value.
        message: String,
    },
    /// Not a text, a number or a truth value.
    #[error("label `{label}` must be a text, an integer, or true or false")]
    NotText {
        /// Which label.
        label: String,
    },
    /// Over [`LABEL_LENGTH_MAX`].
    #[error("label `{label}` is longer than {LABEL_LENGTH_MAX} bytes")]
    TooLong {
        /// Which label.
        label: String,
    },
}

impl fmt::Debug for Compiled {
    /// Name and version: descriptors would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({} v{})", self.engine.name(), self.engine.version())
    }
}

impl Compiled {
    /// The engine's part: steps, order, limits.
    pub fn engine(&self) -> &Arc<Definition> {
        &self.engine
    }

    /// Whom it calls; sorted, without repeats.
    pub fn participants(&self) -> &[ParticipantName] {
        &self.participants
    }

    /// Reads an input, digits kept, and checks it against `input:`. Any JSON will do where a definition has none.
    pub fn check_input(&self, bytes: &[u8]) -> Result<Value, InputError> {
        let input = read_json(bytes)?;
        self.input.as_ref().map_or(Ok(()), |schema| schema.check(&input))?;
        Ok(input)
    }

    /// The searchable labels of a saga with this input, sorted by key.
    pub fn labels(&self, input: &Value) -> Result<Vec<(String, String)>, LabelError> {
        let variables = Variables { input: Some(input), ..Variables::default() };
        self.labels.iter().map(|(label, template)| label_value(label, template, &variables)).collect()
    }

    /// The gRPC method that an operation calls; `None` where the step doesn't have it, or calls it by HTTP.
    pub fn method(&self, step: StepIndex, operation: Operation) -> Option<&Method> {
        match &self.operation(step, operation)?.target {
            Target::Grpc { method, .. } => Some(method),
            Target::Http { .. } => None,
        }
    }

    /// What an operation calls, as the definition names it: `payment.v1.Payment/Refund` or `POST /orders/${input.id}/refund`; `None`
    /// where the step doesn't have it.
    pub fn called(&self, step: StepIndex, operation: Operation) -> Option<String> {
        Some(match &self.operation(step, operation)?.target {
            Target::Grpc { method, .. } => method.path().trim_start_matches('/').to_owned(),
            Target::Http { http, .. } => http.route.written(),
        })
    }

    /// How an operation is called; `None` where the step doesn't have it. By HTTP, its prepared request is a
    /// [`crate::HttpRequest`].
    pub fn protocol(&self, step: StepIndex, operation: Operation) -> Option<Protocol> {
        Some(match &self.operation(step, operation)?.target {
            Target::Grpc { .. } => Protocol::Grpc,
            Target::Http { .. } => Protocol::Http,
        })
    }

    /// The steps whose outputs preparing this step may read; sorted. Others need not be in a [`Scope`].
    pub fn reads(&self, step: StepIndex) -> &[StepIndex] {
        self.steps.get(step.get()).map_or(&[], |step| &step.reads)
    }

    /// What a status code means to an operation, where its `codes:` say so. `code` is gRPC's name, `FAILED_PRECONDITION`, or
    /// an HTTP status, `409`.
    pub fn code(&self, step: StepIndex, operation: Operation, code: &str) -> Option<MappedOutcome> {
        self.operation(step, operation)?.codes.get(code).copied()
    }

    fn operation(&self, step: StepIndex, operation: Operation) -> Option<&CompiledOperation> {
        self.steps.get(step.get())?.operations[slot(operation)].as_ref()
    }
}

/// Where an operation is in arrays of a step's operations.
pub(crate) fn slot(operation: Operation) -> usize {
    match operation {
        Operation::Action => 0,
        Operation::Compensate => 1,
        Operation::Confirm => 2,
        Operation::Query => 3,
    }
}

fn label_value(label: &str, template: &Template, variables: &Variables<'_>) -> Result<(String, String), LabelError> {
    let rendered = template
        .render(variables)
        .map_err(|error| LabelError::Expression { label: label.to_owned(), message: error.message })?;
    let text = match rendered {
        Value::String(text) => text,
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return Err(LabelError::NotText { label: label.to_owned() }),
    };
    if text.len() > LABEL_LENGTH_MAX {
        return Err(LabelError::TooLong { label: label.to_owned() });
    }
    Ok((label.to_owned(), text))
}
