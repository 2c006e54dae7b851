//! A definition as it was read: well-formed, but not yet judged as a whole.
//!
//! Names are names, durations are durations and expressions compile; whether steps exist, wait for each other or can be
//! undone is [`crate::lint`]'s business, and whether participants understand the requests that of [`crate::Compiled`].
//! Invariant: every part knows its place in the text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::definition::Policy;
use amends_engine::ids::{DefinitionName, Operation, ParticipantName, StepName};

use crate::expression::Expression;
use crate::finding::Place;
use crate::http::HttpText;
use crate::input::InputSchema;
use crate::template::Template;

/// How a definition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, without anchors, aliases, tags and merge keys.
    Yaml,
    /// JSON.
    Json,
}

/// What a status code means when a definition says so (`codes:`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MappedOutcome {
    /// The effect stands.
    Succeeded,
    /// The participant refused, and nothing happened.
    Rejected,
    /// It will tell us later.
    Pending,
    /// It may have happened.
    Unknown,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A definition as it was read. Made by [`crate::parse`].
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) file: Arc<str>,
    pub(crate) name: DefinitionName,
    pub(crate) timeout: Duration,
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) input: Option<InputSchema>,
    pub(crate) steps: Vec<StepText>,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct StepText {
    pub(crate) place: Place,
    pub(crate) name: StepName,
    pub(crate) participant: Located<ParticipantName>,
    /// `None`: after the step above it.
    pub(crate) after: Option<Vec<Located<StepName>>>,
    /// Where `pivot: true` is written.
    pub(crate) pivot: Option<Place>,
    pub(crate) when: Option<Expression>,
    pub(crate) within: Option<Located<Duration>>,
    pub(crate) action: OperationText,
    pub(crate) compensate: Option<CompensateText>,
    pub(crate) confirm: Option<OperationText>,
    pub(crate) query: Option<OperationText>,
}

/// How a step is undone.
#[derive(Debug, Clone)]
pub(crate) enum CompensateText {
    /// By a call.
    Call(Box<OperationText>),
    /// Not at all, for this reason.
    None(String),
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct OperationText {
    /// The word that the team used: `action` or `try`, `compensate` or `cancel` …
    pub(crate) word: &'static str,
    pub(crate) call: CallText,
    pub(crate) request: Template,
    pub(crate) policy: Policy,
    /// Where `timeout` is written.
    pub(crate) timeout_place: Option<Place>,
    /// What codes mean, and where it says so.
    pub(crate) codes: BTreeMap<String, Located<MappedOutcome>>,
    pub(crate) rejected_when: Option<Expression>,
    pub(crate) pending_when: Option<Expression>,
    /// Of a query: whether its reply says that the effect stands.
    pub(crate) when: Option<Expression>,
}

/// How a participant is called. It speaks one of them, in all its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Unary gRPC methods, by its descriptors.
    Grpc,
    /// HTTP requests with JSON.
    Http,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Grpc => "gRPC",
            Self::Http => "HTTP",
        })
    }
}

/// What an operation calls.
#[derive(Debug, Clone)]
pub(crate) enum CallText {
    /// `call: package.Service/Method`.
    Grpc(Located<Call>),
    /// `http: "POST /path"`.
    Http(Box<HttpText>),
}

impl CallText {
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Grpc(_) => Protocol::Grpc,
            Self::Http(_) => Protocol::Http,
        }
    }

    /// Where it is written.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Grpc(call) => call.place,
            Self::Http(http) => http.route.place,
        }
    }

    /// The gRPC method, if it is one.
    pub(crate) fn grpc(&self) -> Option<&Located<Call>> {
        match self {
            Self::Grpc(call) => Some(call),
            Self::Http(_) => None,
        }
    }
}

/// The method that an operation calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The full name of the service, `inventory.v1.Inventory`.
    pub service: String,
    /// The method, `Reserve`.
    pub method: String,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.method)
    }
}

impl Document {
    /// The definition's name.
    pub fn name(&self) -> &DefinitionName {
        &self.name
    }

    /// The name that the text was given under.
    pub fn file_name(&self) -> &str {
        &self.file
    }

    /// The names of its steps, in their order.
    pub fn step_names(&self) -> impl Iterator<Item = &StepName> {
        self.steps.iter().map(|step| &step.name)
    }

    /// Every participant that it calls, and how; sorted. Where steps disagree, the first one counts, and the lint says so.
    pub fn protocols(&self) -> BTreeMap<ParticipantName, Protocol> {
        let mut protocols = BTreeMap::new();
        for step in &self.steps {
            let protocol = step.action.call.protocol();
            protocols.entry(step.participant.value.clone()).or_insert(protocol);
        }
        protocols
    }

    /// Every gRPC participant that it calls, and what it calls there; sorted, without repeats.
    pub fn calls(&self) -> BTreeMap<ParticipantName, Vec<Call>> {
        let mut calls: BTreeMap<ParticipantName, Vec<Call>> = BTreeMap::new();
        for step in &self.steps {
            for call in step.operations().filter_map(|(_, operation)| operation.call.grpc()) {
                calls.entry(step.participant.value.clone()).or_default().push(call.value.clone());
            }
        }
        for of_participant in calls.values_mut() {
            of_participant.sort();
            of_participant.dedup();
        }
        calls
    }
}

impl StepText {
    /// Its operations that are calls.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (Operation, &OperationText)> {
        [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query]
            .into_iter()
            .filter_map(|operation| Some((operation, self.operation(operation)?)))
    }

    /// One of its operations, if it is a call.
    pub(crate) fn operation(&self, operation: Operation) -> Option<&OperationText> {
        match operation {
            Operation::Action => Some(&self.action),
            Operation::Compensate => match &self.compensate {
                Some(CompensateText::Call(text)) => Some(text),
                Some(CompensateText::None(_)) | None => None,
            },
            Operation::Confirm => self.confirm.as_ref(),
            Operation::Query => self.query.as_ref(),
        }
    }
}

impl OperationText {
    /// Every expression that is evaluated for its request, in the order of the text.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        let mut expressions = match &self.call {
            CallText::Grpc(_) => Vec::new(),
            CallText::Http(http) => http.expressions(),
        };
        expressions.extend(self.request.expressions());
        expressions
    }

    /// Whether an answer may mean that it will tell us later.
    pub(crate) fn may_be_pending(&self) -> bool {
        self.pending_when.is_some() || self.codes.values().any(|outcome| outcome.value == MappedOutcome::Pending)
    }
}
