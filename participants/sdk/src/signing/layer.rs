//! Puts the check before every method of a server.
//!
//! It reads the whole request first, since the signature is over it. Invariants: health, and reflection where a server has it,
//! stay open, since those who ask there have no secret; everything else is checked.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::{Buf as _, Bytes};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{NotSigned, Verifier};

/// Largest request that is read: tonic's own limit.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Before the message: one byte that says whether it is compressed, four with its length.
const PREFIX_LENGTH: usize = 5;
const OPEN: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];

/// Lets only signed calls through: `Server::builder().layer(SignedLayer::new(verifier))`.
#[derive(Debug, Clone)]
pub struct SignedLayer {
    verifier: Arc<Verifier>,
}

impl SignedLayer {
    /// Checks with this.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier: Arc::new(verifier) }
    }
}

impl<S> Layer<S> for SignedLayer {
    type Service = SignedService<S>;

    fn layer(&self, inner: S) -> SignedService<S> {
        SignedService { verifier: self.verifier.clone(), inner }
    }
}

/// A server that answers signed calls only.
#[derive(Debug, Clone)]
pub struct SignedService<S> {
    verifier: Arc<Verifier>,
    inner: S,
}

impl<S> Service<Request<Body>> for SignedService<S>
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
        if OPEN.iter().any(|open| request.uri().path().starts_with(open)) {
            return Box::pin(inner.call(request));
        }
        let verifier = self.verifier.clone();
        Box::pin(async move {
            match checked(&verifier, request).await {
                Ok(request) => inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// The request as it came, if it is to be believed.
async fn checked(verifier: &Verifier, request: Request<Body>) -> Result<Request<Body>, Status> {
    let (head, body) = request.into_parts();
    let read = Limited::new(body, REQUEST_BYTES_MAX + PREFIX_LENGTH).collect().await;
    // Not a code that reads as a refusal: nothing is known about what was asked for.
    let whole = read.map_err(|error| Status::internal(format!("the request can't be read: {error}")))?.to_bytes();
    let message = message(&whole).ok_or(NotSigned::Message);
    let verdict = message.and_then(|it| verifier.check(head.uri.path(), &head.headers, &it, SystemTime::now()));
    if let Err(why) = verdict {
        tracing::warn!(method = head.uri.path(), %why, "a call was refused");
        return Err(Status::unauthenticated(why.to_string()));
    }
    Ok(Request::from_parts(head, Body::new(Full::new(whole))))
}

/// The one message of a unary call.
fn message(whole: &Bytes) -> Option<Bytes> {
    let mut rest = whole.clone();
    if rest.len() < PREFIX_LENGTH || rest.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(rest.get_u32()).ok()?;
    (rest.len() == length).then_some(rest)
}
