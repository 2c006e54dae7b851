//! Streams over HTTP: as a long poll, and as server-sent events.
//!
//! Both go on from a number: a method takes part whose request has `after_sequence` and whose messages have `entries` with a
//! `sequence`. Invariants: no entry is left out or sent twice to whoever gives the last number that it saw; an event stream
//! ends when the stream of the method ends, also because the server stops.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream};
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, Streaming};

use super::json::{Misfit, show};
use super::problem::Problem;

/// The parameter that says how long a long poll waits.
pub(super) const WAIT: &str = "wait";
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After so much silence an event stream says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a broken event stream is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// The last number that a client of an event stream saw.
const LAST_EVENT_ID: &str = "last-event-id";

/// Whether the caller wants events.
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepts
        .flat_map(|accept| accept.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream")))
}

/// How long a long poll waits; `text` is the parameter.
pub(super) fn patience(text: Option<&str>) -> Result<Duration, Misfit> {
    let Some(text) = text else { return Ok(WAIT_DEFAULT) };
    let read: Option<Duration> = text.parse::<jiff::SignedDuration>().ok().and_then(|read| read.try_into().ok());
    read.filter(|read| *read <= WAIT_MAX).ok_or_else(|| Misfit {
        field: WAIT.to_owned(),
        problem: format!("write a time up to {} s, for example 30s", WAIT_MAX.as_secs()),
        place: None,
    })
}

/// Where the caller goes on; `None` at the beginning, or for a method without numbers.
pub(super) fn resume(rpc: &MethodDescriptor, headers: &HeaderMap) -> Result<Option<(String, Value)>, Misfit> {
    let (Some(given), Some(field)) = (headers.get(LAST_EVENT_ID), rpc.input().get_field_by_name("after_sequence"))
    else {
        return Ok(None);
    };
    match given.to_str().ok().and_then(|given| given.parse().ok()) {
        Some(number) => Ok(Some((field.name().to_owned(), Value::U64(number)))),
        None => Err(Misfit {
            field: "Last-Event-ID".to_owned(),
            problem: "give the id of the last event seen, a number".to_owned(),
            place: None,
        }),
    }
}

/// Answers with the first message that has news, or, when time is up or the stream has ended, with the last one without.
pub(super) async fn long_poll(
    of: &MessageDescriptor,
    mut messages: Streaming<Bytes>,
    patience: Duration,
) -> Result<DynamicMessage, Status> {
    let until = Instant::now() + patience;
    // It comes at once, and is what there is to say if nothing happens.
    let Some(mut last) = next(of, &mut messages).await? else { return Ok(DynamicMessage::new(of.clone())) };
    while !has_news(&last) {
        match timeout_at(until, next(of, &mut messages)).await {
            Ok(Ok(Some(message))) => last = message,
            Ok(Ok(None)) | Err(_) => break,
            Ok(Err(status)) => return Err(status),
        }
    }
    Ok(last)
}

/// Answers with one event a message. `resumed`: the caller has seen a part of the stream before.
pub(super) async fn events(
    of: MessageDescriptor,
    mut messages: Streaming<Bytes>,
    resumed: bool,
) -> Result<Response, Status> {
    let first = next(&of, &mut messages).await?;
    let mut begun: Vec<Result<DynamicMessage, Status>> = first.map(Ok).into_iter().collect();
    if resumed && !begun.iter().flatten().any(has_news) {
        match next(&of, &mut messages).now_or_never() {
            // Nothing more will come. A browser that got an empty stream would ask again for ever; this makes it stop.
            Some(Ok(None)) => return Ok(StatusCode::NO_CONTENT.into_response()),
            Some(Ok(Some(message))) => begun.push(Ok(message)),
            Some(Err(status)) => begun.push(Err(status)),
            None => {}
        }
    }
    let failed = begun.iter().any(Result::is_err);
    let later = stream::unfold((of, messages, failed), |(of, mut messages, over)| async move {
        if over {
            return None;
        }
        let message = next(&of, &mut messages).await.transpose()?;
        let over = message.is_err();
        Some((message, (of, messages, over)))
    });
    let all = stream::iter(begun).chain(later).map(|message| Ok::<_, Infallible>(event(message)));
    Ok(Sse::new(all).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

async fn next(of: &MessageDescriptor, messages: &mut Streaming<Bytes>) -> Result<Option<DynamicMessage>, Status> {
    let Some(bytes) = messages.message().await? else { return Ok(None) };
    super::gateway::decode(of, bytes).map(Some)
}

/// A message as an event; a failure, which ends the stream, is an event of the name `status`.
fn event(message: Result<DynamicMessage, Status>) -> Event {
    match message {
        Ok(message) => {
            let event = Event::default().retry(AGAIN).data(show(&message));
            match last_sequence(&message) {
                Some(sequence) => event.id(sequence.to_string()),
                None => event,
            }
        }
        Err(status) => Event::default().event("status").retry(AGAIN).data(Problem::from(status).body()),
    }
}

/// A message without entries says how things stand, which whoever waits for news knows.
fn has_news(message: &DynamicMessage) -> bool {
    match message.get_field_by_name("entries") {
        Some(entries) => entries.as_list().is_some_and(|entries| !entries.is_empty()),
        None => true,
    }
}

fn last_sequence(message: &DynamicMessage) -> Option<u64> {
    let entries = message.get_field_by_name("entries")?;
    let last = entries.as_list()?.last()?.as_message()?;
    last.get_field_by_name("sequence")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_has_a_limit() {
        assert_eq!(patience(None), Ok(WAIT_DEFAULT));
        assert_eq!(patience(Some("30s")), Ok(Duration::from_secs(30)));
        assert_eq!(patience(Some("0s")), Ok(Duration::ZERO));
        for wrong in ["61s", "-1s", "30", "soon", ""] {
            assert_eq!(patience(Some(wrong)).unwrap_err().field, "wait", "{wrong}");
        }
    }

    #[test]
    fn events_are_asked_for_by_their_type() {
        let wants =
            |accept: &'static str| wants_events(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert!(wants("text/event-stream") && wants("application/json, Text/Event-Stream;q=0.9"));
        assert!(!wants("*/*") && !wants("application/json") && !wants_events(&HeaderMap::new()));
    }
}
