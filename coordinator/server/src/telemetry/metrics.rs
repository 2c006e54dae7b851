//! The registry of all metrics of this node, and the page that shows them.
//!
//! One registry for each [`crate::App`], so that several in one process don't mix. Invariant: a scrape reads memory and `/proc` only; it
//! never asks the store, so that a store that hangs can still be seen to hang.

use std::sync::{Arc, Mutex, PoisonError};

use amends_runtime::Coordinator;
use amends_runtime::alerts::Alerts;
use amends_runtime::telemetry::{Sample, Source, meter, names};
use amends_store::Store;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::gauges::Gauges;
use super::otlp::{Dropped, Otlp};
use super::process::Process;
use super::requests::Requests;
use super::store::{StoreMeters, Watched};
use crate::config::{ServerConfig, StoreKind};

/// OpenMetrics, which Prometheus has read since 2.5.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of one node.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    gauges: Mutex<Option<Arc<Gauges>>>,
    store: Arc<StoreMeters>,
    pub(crate) requests: Requests,
}

impl Metrics {
    /// What the server itself counts.
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let mut registry = Registry::default();
        let (store, requests) = (Arc::new(StoreMeters::new()), Requests::new());
        store.register(&mut registry);
        requests.register(&mut registry);
        meter::register(&mut registry, Arc::new(Process));
        meter::register(&mut registry, Arc::new(Settings::of(config)));
        Self { registry: Mutex::new(registry), gauges: Mutex::default(), store, requests }
    }

    /// The same store, watched.
    pub(crate) fn watch(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Watched::new(store, self.store.clone()))
    }

    /// Shows what a node counts, too.
    pub(crate) fn add_node(&self, coordinator: &Coordinator, otlp: Option<&Otlp>) {
        coordinator.telemetry().meters.register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        self.add(Arc::new(Dropped::of(otlp)));
        let gauges = Arc::new(Gauges::new(coordinator.clone()));
        self.add(gauges.clone());
        *self.gauges.lock().unwrap_or_else(PoisonError::into_inner) = Some(gauges);
    }

    /// Shows what becomes of messages to webhooks, too.
    pub(crate) fn add_alerts(&self, coordinator: &Coordinator, alerts: Option<Arc<Alerts>>) {
        coordinator.telemetry().alerts.register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(alerts) = alerts {
            self.add(alerts);
        }
    }

    /// Keeps the gauges right until the server stops.
    pub(crate) async fn keep(self: Arc<Self>, draining: CancellationToken) {
        let gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // What holds the registry must not outlive the listeners.
        drop(self);
        if let Some(gauges) = gauges {
            gauges.keep(draining).await;
        }
    }

    /// Asks this one at every scrape, too.
    pub(crate) fn add(&self, source: Arc<dyn Source>) {
        meter::register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner), source);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // A string takes all that is written to it.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

/// `/metrics`.
pub(crate) fn page(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(move || async move { ([(CONTENT_TYPE, TEXT)], metrics.text()) }))
}

/// What was decided when the node was started.
#[derive(Debug)]
struct Settings {
    node: String,
    store: &'static str,
    durability: &'static str,
}

/// Every level of `amends_store_durability`.
const LEVELS: [&str; 3] = ["durable", "relaxed", "none"];

impl Settings {
    fn of(config: &ServerConfig) -> Self {
        use amends_store::redis::Durability;
        let (store, durability) = match config.store.kind {
            StoreKind::Sqlite => ("sqlite", "durable"),
            StoreKind::Memory => ("memory", "none"),
            StoreKind::Redis if config.store.redis.durability == Durability::Relaxed => ("redis", "relaxed"),
            StoreKind::Redis => ("redis", "durable"),
        };
        Self { node: config.node.clone(), store, durability }
    }
}

impl Source for Settings {
    fn samples(&self) -> Vec<Sample> {
        let build = [env!("CARGO_PKG_VERSION"), &self.node, self.store];
        let level = |level: &str| Sample::new(names::STORE_DURABILITY, &[level], f64::from(level == self.durability));
        LEVELS.into_iter().map(level).chain([Sample::new(names::BUILD_INFO, &build, 1.0)]).collect()
    }
}
