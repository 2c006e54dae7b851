//! Whole frames, torn ones and ones that lie about their length.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use amends_engine::ids::{Namespace, Operation, ParticipantName, SagaId, SagaKey, StepName};
use amends_engine::time::Timestamp;
use futures::FutureExt;
use hyper::body::Frame;
use proptest::prelude::*;

use super::*;
use crate::participant::Origin;

type Piece = Result<Frame<Bytes>, &'static str>;

/// A body that comes in the pieces given.
struct Pieces(VecDeque<Piece>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(self.0.pop_front())
    }
}

fn data(bytes: &[u8]) -> Piece {
    Ok(Frame::data(Bytes::copy_from_slice(bytes)))
}

fn trailers(pairs: &[(&'static str, &str)]) -> Piece {
    let map = pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect();
    Ok(Frame::trailers(map))
}

fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), bytes].concat()
}

fn response(pieces: impl IntoIterator<Item = Piece>) -> Response<Pieces> {
    let body = Pieces(pieces.into_iter().collect());
    Response::builder().header("content-type", "application/grpc+proto").body(body).unwrap()
}

fn unary(response: Response<Pieces>) -> Reply {
    read_unary(response, 16).now_or_never().unwrap()
}

fn ok(bytes: &'static [u8], pending: bool) -> Reply {
    Reply::Ok { bytes: Bytes::from_static(bytes), pending }
}

const OK: &[(&str, &str)] = &[("grpc-status", "0")];

#[test]
fn one_message_and_ok_is_the_reply() {
    assert_eq!(unary(response([data(&message(b"hello")), trailers(OK)])), ok(b"hello", false));
    assert_eq!(unary(response([data(&message(b"")), trailers(OK)])), ok(b"", false), "an empty message is a message");
}

#[test]
fn pending_may_stand_in_headers_or_trailers() {
    let pending_trailers = [("grpc-status", "0"), ("amends-outcome", "pending")];
    assert_eq!(unary(response([data(&message(b"x")), trailers(&pending_trailers)])), ok(b"x", true));
    let mut in_headers = response([data(&message(b"x")), trailers(OK)]);
    in_headers.headers_mut().insert("amends-outcome", "pending".parse().unwrap());
    assert_eq!(unary(in_headers), ok(b"x", true));
    let mut other = response([data(&message(b"x")), trailers(OK)]);
    other.headers_mut().insert("amends-outcome", "done".parse().unwrap());
    assert_eq!(unary(other), ok(b"x", false));
}

#[test]
fn a_status_is_found_in_trailers_and_in_headers() {
    let refused = |reply| matches!(reply, Reply::Status(Status { code: Code::FailedPrecondition, .. }));
    assert!(refused(unary(response([trailers(&[("grpc-status", "9")])]))));
    assert!(refused(unary(response([data(&message(b"half")), trailers(&[("grpc-status", "9")])]))));
    let mut only_headers = response([]);
    only_headers.headers_mut().insert("grpc-status", "9".parse().unwrap());
    assert!(refused(unary(only_headers)));
}

#[test]
fn a_reply_over_the_limit_is_refused_by_its_length_alone() {
    let length_only = [&[0], 17u32.to_be_bytes().as_slice()].concat();
    assert_eq!(unary(response([data(&length_only)])), Reply::TooLarge { limit: 16 });
    assert_eq!(unary(response([data(&[0, 255, 255, 255, 255])])), Reply::TooLarge { limit: 16 });
    assert_eq!(unary(response([data(&message(&[7; 16])), trailers(OK)])), ok(&[7; 16], false));
}

#[test]
fn what_isnt_one_whole_message_is_unreadable() {
    let unreadable = |pieces: Vec<Piece>| matches!(unary(response(pieces)), Reply::Unreadable(_));
    assert!(unreadable(vec![trailers(OK)]), "no message");
    assert!(unreadable(vec![data(&message(b"hello")[..7]), trailers(OK)]), "half a message");
    assert!(unreadable(vec![data(&[0, 0]), trailers(OK)]), "half a prefix");
    assert!(unreadable(vec![data(&message(b"a")), data(&message(b"b")), trailers(OK)]), "two messages");
    assert!(unreadable(vec![data(&[1, 0, 0, 0, 0]), trailers(OK)]), "compressed");
    let mut headers_only = response([]);
    headers_only.headers_mut().insert("grpc-status", "0".parse().unwrap());
    assert!(matches!(unary(headers_only), Reply::Unreadable(_)), "OK in the headers, and nothing else");
}

#[test]
fn an_answer_that_breaks_off_is_broken() {
    let broken = |pieces: Vec<Piece>| matches!(unary(response(pieces)), Reply::Broken(_));
    assert!(broken(vec![]));
    assert!(broken(vec![data(&message(b"hello"))]), "a whole message, but nobody said OK");
    assert!(broken(vec![data(&message(b"hello")), Err("reset")]));
    assert!(broken(vec![data(&message(b"hello")), trailers(&[("other", "1")])]));
}

#[test]
fn what_isnt_grpc_is_never_a_refusal() {
    let mut page = response([data(b"<html>")]);
    page.headers_mut().insert("content-type", "text/html".parse().unwrap());
    assert!(matches!(unary(page), Reply::Unreadable(why) if why.contains("text/html")));
    let mut gateway = response([]);
    *gateway.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    gateway.headers_mut().insert("grpc-status", "9".parse().unwrap());
    assert!(matches!(unary(gateway), Reply::Status(Status { code: Code::Unavailable, .. })));
}

#[test]
fn several_messages_share_one_limit() {
    let read = |limits| {
        let pieces = [data(&[message(b"abc"), message(b"def")].concat()), trailers(OK)];
        read(response(pieces), limits).now_or_never().unwrap()
    };
    let messages = vec![Bytes::from_static(b"abc"), Bytes::from_static(b"def")];
    assert_eq!(read(Limits { bytes: 6, messages: 2 }), Ok(Answered { messages, pending: false }));
    assert_eq!(read(Limits { bytes: 5, messages: 2 }), Err(Reply::TooLarge { limit: 5 }));
    assert!(matches!(read(Limits { bytes: 6, messages: 1 }), Err(Reply::Unreadable(_))));
}

proptest! {
    #[test]
    fn the_cuts_of_the_network_dont_matter(body in prop::collection::vec(any::<u8>(), 0..=16), cuts in prop::collection::vec(0usize..22, 0..6)) {
        let framed = message(&body);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(framed.len())).collect();
        cuts.extend([0, framed.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| data(&framed[pair[0]..pair[1]])).chain([trailers(OK)]);
        prop_assert_eq!(unary(response(pieces)), Reply::Ok { bytes: Bytes::from(body), pending: false });
    }

    #[test]
    fn no_body_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6)) {
        unary(response(pieces.iter().map(|piece| data(piece))));
    }
}

fn call() -> Call {
    Call {
        key: SagaKey { namespace: Namespace::parse("team-a").unwrap(), id: SagaId::parse("order-1").unwrap() },
        participant: ParticipantName::parse("payment").unwrap(),
        step: StepName::parse("charge").unwrap(),
        operation: Operation::Compensate,
        attempt: 3,
        epoch: 1_900_000_000_000,
        origin: Origin { begun: Timestamp(1_800_000_000_000), floor: "1700000000000;store=abc".into() },
        expects_succeeded: true,
        path: "/payment.v1.Payment/Refund".to_owned(),
        request: Bytes::from_static(b"\x08\x01"),
        timeout: Duration::from_millis(1500),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

#[test]
fn a_call_carries_the_metadata_of_the_design() {
    let endpoint = Endpoint::parse("http://pay:7501").unwrap();
    let request = request(&call(), &endpoint, &[], Timestamp(0)).unwrap();
    assert_eq!(request.uri(), "http://pay:7501/payment.v1.Payment/Refund");
    let expected = [
        ("amends-saga-id", "order-1"),
        ("amends-step", "charge"),
        ("amends-operation", "compensate"),
        ("amends-attempt", "3"),
        ("amends-epoch", "1900000000000"),
        ("amends-saga-begun", "1800000000000"),
        ("amends-floor", "1700000000000;store=abc"),
        ("amends-expects", "succeeded"),
        ("idempotency-key", "team-a/order-1/charge/compensate"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("grpc-timeout", "1500000u"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in expected {
        assert_eq!(request.headers()[name], value, "{name}");
    }
    let body = request.into_body();
    assert_eq!(&body[..], b"\0\0\0\0\x02\x08\x01");
}

#[test]
fn what_doesnt_apply_is_left_out() {
    let bare =
        Call { expects_succeeded: false, origin: Origin::default(), traceparent: "bad\nvalue".to_owned(), ..call() };
    let request = request(&bare, &Endpoint::parse("http://pay:7501").unwrap(), &[], Timestamp(0)).unwrap();
    assert!(!request.headers().contains_key("amends-expects"));
    assert!(!request.headers().contains_key("amends-saga-begun") && !request.headers().contains_key("amends-floor"));
    assert!(!request.headers().contains_key("traceparent"));
}

#[test]
fn a_path_cant_change_whom_we_call() {
    let endpoint = Endpoint::parse("http://pay:7501").unwrap();
    for path in ["@evil:1/x", "evil:1/x", "", "//evil:1/x", "/ok?x", "/with space"] {
        let odd = Call { path: path.to_owned(), ..call() };
        if let Ok(request) = request(&odd, &endpoint, &[], Timestamp(0)) {
            assert_eq!(request.uri().authority().unwrap(), "pay:7501", "{path}");
        }
    }
}

#[test]
fn timeouts_fit_in_eight_digits() {
    assert_eq!(grpc_timeout(Duration::from_micros(300)), "300u");
    assert_eq!(grpc_timeout(Duration::from_secs(5)), "5000000u");
    assert_eq!(grpc_timeout(Duration::from_secs(100)), "100000m");
    assert_eq!(grpc_timeout(Duration::from_secs(200_000)), "200000S");
    assert_eq!(grpc_timeout(Duration::MAX), "99999999S");
}
