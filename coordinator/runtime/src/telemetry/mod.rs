//! What the runtime tells about itself: counters, gauges and traces.
//!
//! ```text
//!   names     every metric of Amends, in one table            meter    how one is counted; sources asked at a scrape
//!   runtime   what the runtime counts as it happens           tally    what is open, counted along with the commits
//!   context   the trace that a saga belongs to                spans    what is told to whoever collects traces
//!   bounded   label values stay few
//! ```
//!
//! Nothing here is read by anything that decides, waits, asks a store, reads a clock or draws a number: a run with it is the same run
//! as one without, which the simulation's replay shows. Invariant: payloads, messages and the reasons that participants give are
//! never in a metric or a span.

mod alerts;
pub mod bounded;
pub mod context;
pub mod meter;
pub mod names;
mod runtime;
pub mod spans;
pub mod tally;

use std::sync::Arc;

pub use alerts::AlertMeters;
pub use context::TraceContext;
pub use meter::{Counter, Sample, Source, Timing};
pub use runtime::{RuntimeMeters, Totals};
pub(crate) use runtime::{code_word, outcome_word};
pub use spans::{SpanFacts, SpanKind, Spans};
pub use tally::{Kind, Tally};

/// All of it, for one node.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// What is counted as it happens.
    pub meters: RuntimeMeters,
    /// What becomes of messages to webhooks.
    pub alerts: AlertMeters,
    /// What is open.
    pub tally: Tally,
    /// Where spans go; `None`: traces of callers are handed through, and nothing is told.
    pub spans: Option<Arc<dyn Spans>>,
}

impl Telemetry {
    /// One that tells spans to this one.
    pub fn with_spans(spans: Option<Arc<dyn Spans>>) -> Self {
        Self { spans, ..Self::default() }
    }
}
