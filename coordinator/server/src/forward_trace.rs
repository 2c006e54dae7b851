//! The span of a start that is sent on to another node: the first one of its saga's trace.
//!
//! Only of starts: what comes later finds its trace in the saga, which the node that sends on doesn't read. It changes nothing but
//! the `traceparent` of the request that is sent on. Invariant: without a collector, and in a trace that isn't recorded, the request
//! goes on as it came.

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;
use amends_runtime::Coordinator;
use amends_runtime::telemetry::{SpanFacts, SpanKind, TraceContext};
use axum::http::{HeaderMap, HeaderValue, Request};

const TRACEPARENT: &str = "traceparent";
/// The one method that begins a trace.
const START: &str = "/amends.v1.Sagas/Start";

/// A start on its way to another node.
pub(crate) struct Hop {
    context: TraceContext,
    parent: Option<u64>,
    key: SagaKey,
    begun: Timestamp,
}

impl Hop {
    /// Makes what is sent on a part of this hop; `None` where it isn't traced.
    pub(crate) fn begin<T>(coordinator: &Coordinator, key: &SagaKey, request: &mut Request<T>) -> Option<Self> {
        coordinator.telemetry().spans.as_ref()?;
        if request.uri().path() != START {
            return None;
        }
        let given = given(request.headers());
        let context = given.or_else(|| coordinator.trace_of(key)).filter(|context| context.sampled)?;
        let begun = coordinator.seams().now();
        let span = context.span(&format!("forward {} {}", coordinator.node(), begun.0));
        let header = HeaderValue::from_str(&context.under(span).to_string()).ok()?;
        request.headers_mut().insert(TRACEPARENT, header);
        Some(Self { context: context.under(span), parent: given.map(|given| given.span_id), key: key.clone(), begun })
    }

    /// The other node has answered, or hasn't.
    pub(crate) fn end(self, coordinator: &Coordinator, to: &str, failed: bool) {
        let Self { context, parent, key, begun } = self;
        let Some(spans) = &coordinator.telemetry().spans else { return };
        spans.ended(SpanFacts {
            name: "forward start".to_owned(),
            kind: SpanKind::Client,
            trace_id: context.trace_id,
            span_id: context.span_id,
            parent,
            started_at: begun,
            ended_at: coordinator.seams().now(),
            failed: failed.then(|| "broken".to_owned()),
            attributes: vec![
                ("amends.namespace", key.namespace.to_string()),
                ("amends.saga.id", key.id.to_string()),
                ("amends.node", coordinator.node().to_owned()),
                ("amends.endpoint", to.to_owned()),
            ],
        });
    }
}

fn given(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get(TRACEPARENT)?.to_str().ok()?)
}
