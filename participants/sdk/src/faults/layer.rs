//! Applies fault rules around every method of the server.
//!
//! Before the call: slow, down, and the mark that makes the barrier refuse. After it, when whatever it did is committed:
//! hang, crash. Invariant: the fault service itself is never hit, so that a rule can always be taken back.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Faults, Kind, RefuseOnPurpose, Rule};

/// Wraps a server in the rules of a [`Faults`].
#[derive(Debug, Clone)]
pub struct FaultsLayer(pub Faults);

impl<S> Layer<S> for FaultsLayer {
    type Service = FaultsService<S>;

    fn layer(&self, inner: S) -> FaultsService<S> {
        FaultsService { faults: self.0.clone(), inner }
    }
}

/// A server that fails on purpose.
#[derive(Debug, Clone)]
pub struct FaultsService<S> {
    faults: Faults,
    inner: S,
}

impl<S> Service<Request<Body>> for FaultsService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that poll_ready has made ready.
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        let rule = rule_for(&self.faults, &request);
        Box::pin(async move {
            match rule {
                None => inner.call(request).await,
                Some(rule) => fail(&rule, &mut inner, request).await,
            }
        })
    }
}

fn rule_for(faults: &Faults, request: &Request<Body>) -> Option<Rule> {
    let (service, method) = request.uri().path().strip_prefix('/')?.split_once('/')?;
    if service == "amends.faults.v1.Faults" {
        return None;
    }
    let saga_id = request.headers().get("amends-saga-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    faults.pick(method, saga_id)
}

async fn fail<S>(rule: &Rule, inner: &mut S, mut request: Request<Body>) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    match rule.kind() {
        Kind::Down => Ok(tonic::Status::unavailable("down on purpose by a fault rule").into_http()),
        Kind::Slow => {
            tokio::time::sleep(rule.delay()).await;
            inner.call(request).await
        }
        Kind::Reject => {
            request.extensions_mut().insert(RefuseOnPurpose);
            inner.call(request).await
        }
        Kind::TimeoutAfterCommit => {
            let response = inner.call(request).await;
            if rule.delay().is_zero() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(rule.delay()).await;
            response
        }
        Kind::CrashAfterCommit => {
            let _committed = inner.call(request).await;
            tracing::warn!("crashing on purpose by a fault rule");
            std::process::abort()
        }
    }
}
