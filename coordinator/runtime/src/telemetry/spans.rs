//! What is told about a saga to whoever collects traces: facts about something that has ended.
//!
//! A span is told once it is over, by the owner that saw it end; nothing is open in between, so that a node that dies leaves nothing
//! half told. Invariants: only recorded traces are told; a span says names, numbers and codes from closed lists, never
//! what a participant or caller wrote.

use std::sync::Arc;

use amends_engine::ids::{Operation, SagaKey};
use amends_engine::saga::{Saga, SagaHead};
use amends_engine::standing;
use amends_engine::time::Timestamp;

use super::context::TraceContext;
use super::runtime::cause_word;

/// On which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Within a node.
    Internal,
    /// A request that was answered.
    Server,
    /// A call that was made.
    Client,
}

/// Something that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanFacts {
    /// What it was, with few different values.
    pub name: String,
    /// On which side of a call.
    pub kind: SpanKind,
    /// Which trace.
    pub trace_id: u128,
    /// Its id.
    pub span_id: u64,
    /// The span that it belongs to; `None`: the trace begins with it.
    pub parent: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why it failed, in a word of ours; `None` where it didn't.
    pub failed: Option<String>,
    /// What else there is to know.
    pub attributes: Vec<(&'static str, String)>,
}

/// Collects spans.
pub trait Spans: Send + Sync + std::fmt::Debug {
    /// Takes one. Must not wait: a shard's owner calls it.
    fn ended(&self, span: SpanFacts);
}

/// Tells the spans of one saga.
#[derive(Debug, Clone)]
pub(crate) struct SagaTrace {
    spans: Arc<dyn Spans>,
    context: TraceContext,
    saga_span: u64,
    attributes: Vec<(&'static str, String)>,
}

impl SagaTrace {
    /// `None` where the saga's trace isn't recorded, or nobody collects spans.
    pub(crate) fn of(spans: Option<&Arc<dyn Spans>>, head: &SagaHead) -> Option<Self> {
        let spans = spans?;
        let context = TraceContext::parse(&head.traceparent).filter(|context| context.sampled)?;
        let attributes = vec![
            ("amends.namespace", head.key.namespace.to_string()),
            ("amends.saga.id", head.key.id.to_string()),
            ("amends.definition", head.definition.to_string()),
            ("amends.definition.version", head.version.to_string()),
        ];
        Some(Self { spans: spans.clone(), context, saga_span: context.saga_span(&head.key), attributes })
    }

    /// Adds facts to everything that is told from here on.
    pub(crate) fn with(mut self, attributes: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// The span of one attempt; what the participant is told to continue.
    pub(crate) fn attempt(&self, step: &str, operation: Operation, attempt: u32) -> TraceContext {
        self.context.under(self.context.span(&format!("attempt {step} {operation} {attempt}")))
    }

    /// Tells of something within the saga.
    pub(crate) fn tell(&self, told: Told) {
        let Told { name, kind, span_id, started_at, ended_at, failed, attributes } = told;
        self.spans.ended(SpanFacts {
            name,
            kind,
            trace_id: self.context.trace_id,
            span_id,
            parent: Some(self.saga_span),
            started_at,
            ended_at,
            failed,
            attributes: self.attributes.iter().cloned().chain(attributes).collect(),
        });
    }

    /// Tells of a moment within the saga; `what` names it among all moments of the saga.
    pub(crate) fn moment(&self, name: &str, what: &str, at: (Timestamp, Timestamp), failed: Option<String>) {
        self.tell(Told {
            name: name.to_owned(),
            kind: SpanKind::Internal,
            span_id: self.context.span(what),
            started_at: at.0,
            ended_at: at.1,
            failed,
            attributes: Vec::new(),
        });
    }

    /// Tells of the saga as a whole, once it has ended.
    pub(crate) fn whole(&self, saga: &Saga, key: &SagaKey, now: Timestamp) {
        let status = standing::status(saga);
        let turned_back = saga.state.decision.as_ref().map(|decision| cause_word(&decision.cause).to_owned());
        let attributes = [("amends.status", status.to_string())];
        self.spans.ended(SpanFacts {
            name: format!("saga {}", saga.state.head.definition),
            kind: SpanKind::Internal,
            trace_id: self.context.trace_id,
            span_id: self.saga_span,
            parent: self.context.saga_parent(key),
            started_at: saga.state.started_at,
            ended_at: now,
            failed: turned_back,
            attributes: self.attributes.iter().cloned().chain(attributes).collect(),
        });
    }
}

/// A span within a saga, as it is told.
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) span_id: u64,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    pub(crate) failed: Option<String>,
    pub(crate) attributes: Vec<(&'static str, String)>,
}
