//! Whether this server should be sent requests: the store answers, and it isn't stopping.
//!
//! One task asks; gRPC health and `/readyz` say the same. Invariant: from the moment a drain begins until the process ends
//! the answer is no.

use std::sync::Arc;
use std::time::Duration;

use amends_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::error::chain;

/// Time between two questions to the store, and how long it may take to answer one.
const PERIOD: Duration = Duration::from_secs(2);

/// Whether requests are welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Yes.
    Ready,
    /// No: the store doesn't answer.
    NoStore,
    /// No: the server is stopping.
    Draining,
}

/// Watches the store until the process ends.
pub(crate) async fn watch_over(
    store: Arc<dyn Store>,
    draining: CancellationToken,
    readiness: watch::Sender<Readiness>,
    reporter: HealthReporter,
    services: &'static [&'static str],
) {
    loop {
        let now = ask(&store, &draining).await;
        if readiness.send_replace(now) != now {
            tracing::info!(readiness = ?now, "readiness has changed");
        }
        let status = if now == Readiness::Ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        // The empty name is the server as a whole.
        for service in services.iter().chain(&[""]) {
            reporter.set_service_status(service, status).await;
        }
        if now == Readiness::Draining {
            return;
        }
        tokio::select! {
            biased;
            () = draining.cancelled() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn ask(store: &Arc<dyn Store>, draining: &CancellationToken) -> Readiness {
    if draining.is_cancelled() {
        return Readiness::Draining;
    }
    match tokio::time::timeout(PERIOD, store.now()).await {
        Ok(Ok(_)) => Readiness::Ready,
        Ok(Err(error)) if error.is_said_by_store() => Readiness::NoStore,
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "the store doesn't answer");
            Readiness::NoStore
        }
        Err(_) => {
            tracing::warn!("the store doesn't answer within {PERIOD:?}");
            Readiness::NoStore
        }
    }
}
