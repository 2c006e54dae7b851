//! Tells an open page that its saga has changed.
//!
//! The events carry nothing of the saga: the page fetches itself again, so that there is one way in which a saga is shown, and one
//! place that decides who sees what of it. Invariant: after an event `ended` there is nothing more to come; a stream that breaks
//! off for any other reason is asked for again by the browser.

use std::convert::Infallible;
use std::time::Duration;

use amends_proto::v1;
use axum::extract::Path;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use prost::Message as _;
use tonic::Streaming;

use super::super::method;
use super::super::trouble::Trouble;
use super::super::visitor::Visitor;
use super::is_over;

/// After so much silence it says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a broken stream is asked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// The events of one saga.
pub(in super::super) async fn follow(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Trouble> {
    let wanted = v1::WatchSagaRequest {
        namespace: visitor.namespace.clone(),
        saga_id: id,
        // Whoever follows has the history already; only how it stands is wanted.
        after_sequence: u64::MAX - 1,
    };
    let messages = visitor.follow(method::SAGAS_WATCH, wanted).await?;
    let events = stream::unfold(Some(messages), |messages| async move { next(messages?).await });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

type Step = Option<(Result<Event, Infallible>, Option<Streaming<Bytes>>)>;

async fn next(mut messages: Streaming<Bytes>) -> Step {
    // Where it breaks off (the shard moves, the node stops) the stream ends, and the browser asks again.
    let bytes = messages.message().await.ok().flatten()?;
    let saga = v1::WatchSagaResponse::decode(bytes).ok()?.saga?;
    let event = Event::default().retry(AGAIN).data(saga.revision.to_string());
    Some(match is_over(saga.status()) {
        true => (Ok(event.event("ended")), None),
        false => (Ok(event.event("changed")), Some(messages)),
    })
}
