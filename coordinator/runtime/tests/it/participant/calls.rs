//! What a call comes to.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::{Namespace, Operation, ParticipantName, SagaId, SagaKey};
use amends_runtime::participant::{Call, Code, Endpoint, ErrorInfo, Reply, Status};
use amends_runtime::seam::spawn;
use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic_types::{ErrorDetails, StatusExt};

use super::servers::{self, Caller, LONG, Then, bare, charge, nobody, ok, raw};

const SHORT: Duration = Duration::from_millis(100);

fn ok_reply(bytes: &'static [u8], pending: bool) -> Reply {
    Reply::Ok { bytes: Bytes::from_static(bytes), pending }
}

#[tokio::test]
async fn the_request_arrives_with_its_metadata_and_the_reply_comes_back() {
    let seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
    let log = seen.clone();
    let server = raw(move |request| {
        let log = log.clone();
        async move {
            let headers = request.headers().clone();
            let message = servers::message(request).await;
            log.lock().unwrap().push((headers, message));
            ok(b"done", &[], &[])
        }
    })
    .await;
    let caller = Caller::new([server.endpoint()]);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    for (attempt, operation) in [(1, Operation::Action), (2, Operation::Action), (1, Operation::Compensate)] {
        let call = Call { attempt, operation, expects_succeeded: operation == Operation::Compensate, ..charge() };
        let answer = caller.call(Call { traceparent: traceparent.clone(), ..call }).await;
        assert_eq!((answer.reply, answer.endpoint), (ok_reply(b"done", false), server.endpoint().to_string()));
    }
    let seen = seen.lock().unwrap();
    let values = |name: &str| -> Vec<String> {
        let value = |(headers, _): &(HeaderMap, Bytes)| {
            headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        seen.iter().map(value).collect()
    };
    assert_eq!(values("amends-saga-id"), ["order-1"; 3]);
    assert_eq!(values("amends-step"), ["charge"; 3]);
    assert_eq!(values("amends-operation"), ["action", "action", "compensate"]);
    assert_eq!(values("amends-attempt"), ["1", "2", "1"]);
    assert_eq!(values("amends-epoch"), ["7"; 3]);
    assert_eq!(values("amends-expects"), ["", "", "succeeded"]);
    assert_eq!(values("traceparent"), [traceparent.as_str(); 3]);
    assert_eq!(values("grpc-timeout"), ["30000000u"; 3]);
    let keys = ["default/order-1/charge/action", "default/order-1/charge/action", "default/order-1/charge/compensate"];
    assert_eq!(values("idempotency-key"), keys);
    assert!(seen.iter().all(|(_, message)| message.as_ref() == b"\x08\x01"));
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let endpoint = nobody().await;
    let answer = Caller::new([endpoint.clone()]).call(charge()).await;
    assert!(matches!(&answer.reply, Reply::NotSent(why) if why.contains("nobody answers there")), "{answer:?}");
    assert_eq!(answer.endpoint, endpoint.to_string());
}

#[tokio::test]
async fn to_a_participant_that_isnt_registered_nothing_was_sent() {
    let caller = Caller::new([nobody().await]);
    let stranger = Call { participant: ParticipantName::parse("stranger").unwrap(), ..charge() };
    let mut elsewhere = charge();
    elsewhere.key.namespace = Namespace::parse("team-b").unwrap();
    for call in [stranger, elsewhere] {
        let answer = caller.call(call).await;
        assert!(matches!(&answer.reply, Reply::NotSent(why) if why.contains("isn't registered")), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_lost_in_mid_call_is_broken() {
    let endpoint = bare(|_| Then::Close).await;
    let answer = Caller::new([endpoint]).call(charge()).await;
    assert!(matches!(answer.reply, Reply::Broken(_)), "{answer:?}");
}

#[tokio::test]
async fn a_stream_that_is_reset_is_broken_unless_it_was_refused() {
    let reset = |reason| {
        bare(move |mut respond| {
            respond.send_reset(reason);
            Then::GoOn
        })
    };
    for reason in [h2::Reason::CANCEL, h2::Reason::INTERNAL_ERROR, h2::Reason::NO_ERROR, h2::Reason::ENHANCE_YOUR_CALM]
    {
        let answer = Caller::new([reset(reason).await]).call(charge()).await;
        assert!(matches!(answer.reply, Reply::Broken(_)), "{reason}: {answer:?}");
    }
    let answer = Caller::new([reset(h2::Reason::REFUSED_STREAM).await]).call(charge()).await;
    assert!(matches!(answer.reply, Reply::NotSent(_)), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_broken() {
    let endpoint = bare(|mut respond| {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut body = respond.send_response(head, false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\0\0\x04done"), true).unwrap();
        Then::GoOn
    })
    .await;
    let answer = Caller::new([endpoint]).call(charge()).await;
    assert!(matches!(answer.reply, Reply::Broken(_)), "a whole message, but nobody said OK: {answer:?}");
}

#[tokio::test]
async fn a_machine_gone_without_a_word_gives_no_answer_and_then_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (accepted, mut connections) = mpsc::unbounded_channel();
    spawn(async move {
        // Handed over open, and never a word on it.
        while let Ok((stream, _)) = listener.accept().await {
            accepted.send(stream).unwrap();
        }
    });
    let caller = Caller::new([endpoint]);
    let silence = async || caller.call(Call { timeout: SHORT, ..charge() }).await.reply;
    for _ in 0..3 {
        assert_eq!(silence().await, Reply::NoAnswer);
    }
    let _first = tokio::time::timeout(LONG, connections.recv()).await.unwrap();
    assert!(connections.try_recv().is_err(), "one connection for three calls");
    assert_eq!(silence().await, Reply::NoAnswer);
    let _second = tokio::time::timeout(LONG, connections.recv()).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_never_answers_gives_no_answer() {
    let server = raw(|_| pending::<Response<Body>>()).await;
    let answer = Caller::new([server.endpoint()]).call(Call { timeout: SHORT, ..charge() }).await;
    assert_eq!(answer.reply, Reply::NoAnswer);
}

#[tokio::test]
async fn a_reply_over_the_limit_is_too_large() {
    let server = raw(|request| async move {
        let size = usize::from(servers::message(request).await[0]);
        ok(&vec![7; size], &[], &[])
    })
    .await;
    let caller = Caller::new([server.endpoint()]);
    let reply = async |size| caller.call(Call { request: Bytes::copy_from_slice(&[size]), ..charge() }).await.reply;
    assert_eq!(reply(64).await, ok_reply(&[7; 64], false));
    assert_eq!(reply(65).await, Reply::TooLarge { limit: 64 });
    assert_eq!(reply(64).await, ok_reply(&[7; 64], false), "the connection is still good");
}

#[tokio::test]
async fn pending_is_seen_in_headers_and_in_trailers() {
    let server = raw(|request| {
        let pending = [("amends-outcome", "pending")];
        let response = match request.uri().path() {
            "/test.v1.Raw/Headers" => ok(b"", &pending, &[]),
            "/test.v1.Raw/Trailers" => ok(b"", &[], &pending),
            _ => ok(b"", &[], &[]),
        };
        async { response }
    })
    .await;
    let caller = Caller::new([server.endpoint()]);
    for (method, pending) in [("Headers", true), ("Trailers", true), ("Neither", false)] {
        let answer = caller.call(Call { path: format!("/test.v1.Raw/{method}"), ..charge() }).await;
        assert_eq!(answer.reply, ok_reply(b"", pending), "{method}");
    }
}

#[tokio::test]
async fn a_status_comes_with_its_details() {
    let server = raw(|_| async {
        let mut details = ErrorDetails::new();
        details.set_error_info("AMENDS_STALE_EPOCH", "amends", [("seen".to_owned(), "9".to_owned())]);
        details.set_retry_info(Some(Duration::from_secs(3)));
        tonic::Status::with_error_details(tonic::Code::Aborted, "seen: epoch 9", details).into_http()
    })
    .await;
    let answer = Caller::new([server.endpoint()]).call(charge()).await;
    let info = ErrorInfo { reason: "AMENDS_STALE_EPOCH".to_owned(), domain: "amends".to_owned() };
    let status = Status {
        code: Code::Aborted,
        message: "seen: epoch 9".to_owned(),
        info: Some(info),
        retry_after: Some(Duration::from_secs(3)),
    };
    assert_eq!(answer.reply, Reply::Status(status));
}

#[tokio::test]
async fn details_that_are_garbage_leave_the_status_whole() {
    let server = raw(|_| async {
        let mut response = tonic::Status::failed_precondition("out of stock").into_http();
        response.headers_mut().insert("grpc-status-details-bin", "this isn't base64".parse().unwrap());
        response
    })
    .await;
    let answer = Caller::new([server.endpoint()]).call(charge()).await;
    let expected =
        Status { code: Code::FailedPrecondition, message: "out of stock".to_owned(), info: None, retry_after: None };
    assert_eq!(answer.reply, Reply::Status(expected));
}

#[tokio::test]
async fn nothing_is_ever_sent_twice() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let server = raw(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { tonic::Status::unavailable("try again").into_http() }
    })
    .await;
    let caller = Caller::new([server.endpoint()]);
    for made in 1..=3 {
        let answer = caller.call(charge()).await;
        assert!(matches!(answer.reply, Reply::Status(Status { code: Code::Unavailable, .. })), "{answer:?}");
        assert_eq!(calls.load(Ordering::SeqCst), made);
    }
    let broken = Arc::new(AtomicUsize::new(0));
    let count = broken.clone();
    let endpoint = bare(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Then::Close
    })
    .await;
    Caller::new([endpoint]).call(charge()).await;
    assert_eq!(broken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_method_that_isnt_there_is_a_status_and_not_a_refusal() {
    let server = raw(|_| async { ok(b"", &[], &[]) }).await;
    let call = Call { path: "/other.v1.Service/Charge".to_owned(), ..charge() };
    let answer = Caller::new([server.endpoint()]).call(call).await;
    assert!(matches!(answer.reply, Reply::Status(Status { code: Code::Unimplemented, .. })), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_doesnt_speak_http2_is_never_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        pending::<()>().await;
    });
    let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
    let answer = Caller::new([endpoint]).call(charge()).await;
    assert!(matches!(answer.reply, Reply::Broken(_) | Reply::NotSent(_)), "{answer:?}");
}

#[tokio::test]
async fn an_address_that_failed_is_left_alone_for_a_while() {
    let endpoint = nobody().await;
    let caller = Caller::new([endpoint.clone()]);
    assert!(matches!(caller.call(charge()).await.reply, Reply::NotSent(_)));
    let address = endpoint.as_str().trim_start_matches("http://").to_owned();
    let _server = servers::raw_at(TcpListener::bind(address).await.unwrap(), |_| async { ok(b"", &[], &[]) });
    caller.clock.advance(Duration::from_millis(99));
    let answer = caller.call(charge()).await;
    assert!(
        matches!(&answer.reply, Reply::NotSent(why) if why.contains("nobody answers there")),
        "still ejected: {answer:?}"
    );
    caller.clock.advance(Duration::from_millis(1));
    assert_eq!(caller.call(charge()).await.reply, ok_reply(b"", false));
}

#[tokio::test]
async fn addresses_take_turns_and_dead_ones_are_passed_over() {
    let served = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let server = async |which: usize| {
        let served = served.clone();
        raw(move |_| {
            served[which].fetch_add(1, Ordering::SeqCst);
            async { ok(b"", &[], &[]) }
        })
        .await
    };
    let (first, second) = (server(0).await, server(1).await);
    let caller = Caller::new([first.endpoint(), nobody().await, second.endpoint()]);
    for _ in 0..6 {
        assert_eq!(caller.call(charge()).await.reply, ok_reply(b"", false));
    }
    let served: Vec<usize> = served.iter().map(|count| count.load(Ordering::SeqCst)).collect();
    assert_eq!(served, [3, 3], "the dead one's turn is shared by the others");
}

#[tokio::test]
async fn calls_that_come_while_somebody_connects_wait_for_that_connection() {
    let server = raw(|_| async { ok(b"", &[], &[]) }).await;
    let caller = Caller::new([server.endpoint()]);
    let answers = futures::future::join_all((0..20).map(|_| caller.call(charge()))).await;
    assert!(answers.iter().all(|answer| answer.reply == ok_reply(b"", false)), "{answers:?}");
}

/// One answers, one breaks every call off: a call and its retry never both go to the bad one.
#[tokio::test]
async fn a_retry_goes_elsewhere_than_the_attempt_that_failed() {
    let good = raw(|_| async { ok(b"", &[], &[]) }).await;
    let bad = bare(|_| Then::Close).await;
    let caller = Caller::new([bad.clone(), good.endpoint()]);
    let mut broken = 0;
    for saga in 0..20 {
        let id = SagaId::parse(&format!("order-{saga}")).unwrap();
        let first = Call { key: SagaKey { id, ..charge().key }, ..charge() };
        let answer = caller.call(first.clone()).await;
        if answer.endpoint == bad.as_str() {
            broken += 1;
            let retry = caller.call(Call { attempt: 2, ..first }).await;
            assert_eq!((retry.endpoint.as_str(), retry.reply), (good.endpoint().as_str(), ok_reply(b"", false)));
        }
    }
    assert_eq!(broken, 5, "then it is ejected");
}

#[tokio::test]
async fn a_participant_that_comes_back_is_called_again() {
    let server = raw(|_| async { ok(b"before", &[], &[]) }).await;
    let address = server.address;
    let caller = Caller::new([server.endpoint()]);
    assert_eq!(caller.call(charge()).await.reply, ok_reply(b"before", false));
    server.stop().await;
    // A call into the closing connection may count as broken; once it is closed nothing is sent.
    loop {
        match caller.call(charge()).await.reply {
            Reply::Broken(_) => {}
            Reply::NotSent(_) => break,
            other => panic!("{other:?}"),
        }
    }
    let _server = servers::raw_at(TcpListener::bind(address).await.unwrap(), |_| async { ok(b"after", &[], &[]) });
    caller.clock.advance(Duration::from_secs(10));
    assert_eq!(caller.call(charge()).await.reply, ok_reply(b"after", false));
}

#[tokio::test]
async fn a_new_registration_is_used_from_the_next_call_on() {
    let one = raw(|_| async { ok(b"one", &[], &[]) }).await;
    let two = raw(|_| async { ok(b"two", &[], &[]) }).await;
    let caller = Caller::new([one.endpoint()]);
    assert_eq!(caller.call(charge()).await.reply, ok_reply(b"one", false));
    caller.register([two.endpoint()]);
    assert_eq!(caller.call(charge()).await.reply, ok_reply(b"two", false));
}
