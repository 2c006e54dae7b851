//! Sends spans to an OpenTelemetry collector, in batches, beside everything else.
//!
//! A span that finds the queue full is dropped and counted, and so is a batch that the collector doesn't take: a trace is never worth
//! a saga's time. It makes no ids and no times: both come with the facts. Invariant: what was taken before the end of
//! the server is sent or counted before it ends, within [`LAST`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use amends_engine::time::Timestamp;
use amends_runtime::telemetry::{Sample, Source, SpanFacts, SpanKind, Spans, names};
use opentelemetry::trace::{self, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::ClientTlsConfig;

use crate::error::{Error, chain};

/// Most spans that wait; past that they are dropped.
const QUEUE: usize = 8 * 1024;
/// Most spans in one request.
const BATCH: usize = 512;
/// How long a batch collects.
const COLLECT: Duration = Duration::from_millis(500);
/// How long the collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the server ends.
const LAST: Duration = Duration::from_secs(2);

/// The way to the collector.
#[derive(Debug)]
pub(crate) struct Otlp {
    queue: Arc<Queue>,
    sending: JoinHandle<()>,
}

/// Takes spans in.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<SpanFacts>,
    dropped: Arc<AtomicU64>,
}

impl Otlp {
    /// Sends to the collector at this address, `http://host:port`; it needn't be there yet. Must be called within the runtime.
    pub(crate) fn to(endpoint: &str, node: &str) -> Result<Self, Error> {
        let unusable = |source: opentelemetry_otlp::ExporterBuildError| Error::Otlp(Box::new(source));
        let mut builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(TIMEOUT);
        if endpoint.starts_with("https://") {
            // By itself it would trust nobody.
            builder = builder.with_tls_config(ClientTlsConfig::new().with_webpki_roots());
        }
        let mut exporter = builder.build().map_err(unusable)?;
        exporter.set_resource(&resource(node));
        let (sender, spans) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let sending = tokio::spawn(send(exporter, spans, dropped.clone()));
        Ok(Self { queue: Arc::new(Queue { sender, dropped }), sending })
    }

    /// Where spans are taken in.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// Sends what is left. Whoever else holds the queue must have let it go.
    pub(crate) async fn close(self) {
        let Self { queue, mut sending } = self;
        drop(queue);
        if tokio::time::timeout(LAST, &mut sending).await.is_err() {
            tracing::warn!("the last spans were not taken by the collector in time");
            sending.abort();
        }
    }
}

impl Spans for Queue {
    fn ended(&self, span: SpanFacts) {
        if self.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How many spans were dropped: none, where none are sent.
#[derive(Debug)]
pub(super) struct Dropped(Option<Arc<AtomicU64>>);

impl Dropped {
    pub(super) fn of(otlp: Option<&Otlp>) -> Self {
        Self(otlp.map(|otlp| otlp.queue.dropped.clone()))
    }
}

impl Source for Dropped {
    fn samples(&self) -> Vec<Sample> {
        let dropped = self.0.as_ref().map_or(0, |dropped| dropped.load(Ordering::Relaxed));
        vec![Sample::new(names::SPANS_DROPPED, &[], dropped as f64)]
    }
}

fn resource(node: &str) -> Resource {
    let attributes = [
        KeyValue::new("service.name", "amends"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ];
    Resource::builder_empty().with_attributes(attributes).build()
}

async fn send(exporter: SpanExporter, mut spans: mpsc::Receiver<SpanFacts>, dropped: Arc<AtomicU64>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut failing = false;
    while let Some(first) = spans.recv().await {
        batch.push(first);
        let until = tokio::time::Instant::now() + COLLECT;
        while batch.len() < BATCH {
            match tokio::time::timeout_at(until, spans.recv()).await {
                Ok(Some(span)) => batch.push(span),
                Ok(None) | Err(_) => break,
            }
        }
        let count = batch.len() as u64;
        let sent = exporter.export(batch.drain(..).map(data).collect()).await;
        match &sent {
            Err(error) => {
                dropped.fetch_add(count, Ordering::Relaxed);
                if !failing {
                    tracing::warn!(
                        error = chain(error),
                        "the collector takes no spans; they are dropped until it does"
                    );
                }
            }
            Ok(()) if failing => tracing::info!("the collector takes spans again"),
            Ok(()) => {}
        }
        failing = sent.is_err();
    }
}

fn data(facts: SpanFacts) -> SpanData {
    let SpanFacts { name, kind, trace_id, span_id, parent, started_at, ended_at, failed, attributes } = facts;
    let id = |id: u64| SpanId::from(id);
    let trace_id = TraceId::from(trace_id);
    SpanData {
        span_context: SpanContext::new(trace_id, id(span_id), TraceFlags::SAMPLED, false, TraceState::default()),
        parent_span_id: parent.map_or(SpanId::INVALID, id),
        parent_span_is_remote: false,
        span_kind: match kind {
            SpanKind::Internal => trace::SpanKind::Internal,
            SpanKind::Server => trace::SpanKind::Server,
            SpanKind::Client => trace::SpanKind::Client,
        },
        name: name.into(),
        start_time: time(started_at),
        end_time: time(ended_at),
        attributes: attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: failed.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("amends").build(),
    }
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0)
}
