//! One call at a time: what is sent, and what every kind of answer amounts to.

use amends_engine::ids::Operation;
use amends_runtime::participant::{Call, HttpReply, Reply};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::server::{Act, Caller, LONG, SHORT, Server, answer, notify, response};

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// The reply to one call of a server that does this.
async fn reply_to(act: Act) -> Reply {
    let server = Server::start(&[act]).await;
    Caller::of(&url(&server)).call(Call { timeout: LONG, ..notify() }).await.reply
}

fn http(reply: Reply) -> HttpReply {
    match reply {
        Reply::Http(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_has_the_definitions_parts_and_ours_and_nothing_else() {
    let server = Server::start(&[answer("200 OK", &["content-type: application/json"], "{\"id\":1}")]).await;
    let caller = Caller::of(&url(&server));
    let answered = caller.call(Call { expects_succeeded: true, operation: Operation::Compensate, ..notify() }).await;
    assert_eq!(answered.endpoint, url(&server));
    let reply = http(answered.reply);
    assert_eq!((reply.status, reply.body.as_deref(), reply.pending), (200, Some(&b"{\"id\":1}"[..]), false));
    let seen = server.seen().remove(0);
    let host = format!("host: {}", server.address);
    let expected = [
        "POST /orders/7/paid?a=b HTTP/1.1",
        host.as_str(),
        concat!("user-agent: amends/", env!("CARGO_PKG_VERSION")),
        "accept: application/json",
        "x-shop: 42",
        "content-type: application/json",
        "amends-saga-id: order-7",
        "amends-step: notify",
        "amends-operation: compensate",
        "amends-attempt: 3",
        "amends-epoch: 9",
        "idempotency-key: default/order-7/notify/compensate",
        "amends-saga-begun: 1800000000000",
        "amends-floor: 1700000000000;store=abc",
        "amends-expects: succeeded",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "content-length: 13",
    ];
    assert_eq!(seen.head, expected);
    assert_eq!(seen.body, "{\"paid\":true}");
}

#[tokio::test]
async fn statuses_come_as_they_are_with_what_matters_of_their_headers() {
    let reply = http(reply_to(answer("202 Accepted", &["amends-outcome: pending"], "")).await);
    assert_eq!((reply.status, reply.pending, reply.body), (202, true, None));
    let problem = "{\"title\":\"sold out\"}";
    let headers = ["content-type: application/problem+json", "retry-after: 7", "amends-reason: AMENDS_KEY_REUSED"];
    let reply = http(reply_to(answer("409 Conflict", &headers, problem)).await);
    assert_eq!((reply.status, reply.message.as_str()), (409, "Conflict: sold out"));
    assert_eq!(reply.reason.as_deref(), Some("AMENDS_KEY_REUSED"));
    assert_eq!(reply.retry_after, Some(std::time::Duration::from_secs(7)));
    let plain = http(reply_to(answer("200 OK", &["content-type: text/plain"], "ok")).await);
    assert_eq!((plain.status, plain.body), (200, None));
    let nothing = http(reply_to(Act::Answer("HTTP/1.1 204 No Content\r\n\r\n".to_owned())).await);
    assert_eq!((nothing.status, nothing.body), (204, None));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Server::start(&[answer("200 OK", &[], "")]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("location: http://{}/elsewhere", target.address);
        let reply = http(reply_to(answer(status, &[&location], "")).await);
        assert_eq!(reply.status.to_string(), status[..3]);
    }
    assert!(target.seen().is_empty() && target.connections() == 0);
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let reply = http(reply_to(Act::Answer(format!("{interim}{}", response("200 OK", &[], "")))).await);
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn what_breaks_after_the_request_left_may_have_happened() {
    assert!(matches!(reply_to(Act::Close).await, Reply::Broken(_)));
    for half in [
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "\0\0\0",
    ] {
        let reply = reply_to(Act::AnswerAndClose(half.to_owned())).await;
        assert!(matches!(reply, Reply::Broken(_)), "{half:?}: {reply:?}");
    }
}

#[tokio::test]
async fn silence_may_have_happened() {
    let server = Server::start(&[Act::Silence]).await;
    let answered = Caller::of(&url(&server)).call(Call { timeout: SHORT, ..notify() }).await;
    assert_eq!(answered.reply, Reply::NoAnswer);
    let server = Server::start(&[Act::Answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned())]).await;
    let answered = Caller::of(&url(&server)).call(Call { timeout: SHORT, ..notify() }).await;
    assert_eq!(answered.reply, Reply::NoAnswer, "half a body, then nothing");
}

#[tokio::test]
async fn a_long_reply_is_not_read_to_its_end() {
    let long = "x".repeat(65);
    assert_eq!(reply_to(answer("200 OK", &[], &long)).await, Reply::TooLarge { limit: 64 });
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", "4\r\nabcd\r\n".repeat(20));
    assert_eq!(reply_to(Act::Answer(endless)).await, Reply::TooLarge { limit: 64 });
    assert_eq!(http(reply_to(answer("200 OK", &[], &"x".repeat(64))).await).status, 200);
    // Of a failure the status is what counts.
    let page = http(reply_to(answer("422 Unprocessable Content", &[], &"x".repeat(100_000))).await);
    assert_eq!(page.status, 422);
    let head = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(200_000));
    let reply = reply_to(Act::AnswerAndClose(head)).await;
    assert!(matches!(reply, Reply::Broken(_)), "{reply:?}");
}

#[tokio::test]
async fn a_compressed_reply_cant_be_read() {
    let reply = reply_to(answer("200 OK", &["content-encoding: gzip", "content-type: application/json"], "???")).await;
    assert!(matches!(reply, Reply::Unreadable(_)), "{reply:?}");
}

#[tokio::test]
async fn what_cant_be_connected_was_not_sent_and_is_left_alone_for_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let caller = Caller::of(&format!("http://{address}"));
    let closed = caller.call(notify()).await.reply;
    let Reply::NotSent(why) = &closed else { panic!("{closed:?}") };
    assert!(why.starts_with("can't connect: nobody answers there, or egress.allow"), "{why}");
    // Somebody listens now; the address is tried again when its time is over.
    let listener = TcpListener::bind(address).await.unwrap();
    assert_eq!(caller.call(notify()).await.reply, closed);
    *caller.clock.0.lock().unwrap() += 1_000;
    let (reply, ()) = futures::join!(caller.call(notify()), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(response("200 OK", &[], "").as_bytes()).await.unwrap();
    });
    assert_eq!(http(reply.reply).status, 200);
    let stranger = Call { participant: "stranger".parse_name(), ..notify() };
    assert!(matches!(caller.call(stranger).await.reply, Reply::NotSent(why) if why.contains("isn't registered")));
}

trait ParseName {
    fn parse_name(&self) -> amends_engine::ids::ParticipantName;
}

impl ParseName for str {
    fn parse_name(&self) -> amends_engine::ids::ParticipantName {
        amends_engine::ids::ParticipantName::parse(self).unwrap()
    }
}

#[tokio::test]
async fn a_request_that_isnt_one_is_not_sent() {
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    let caller = Caller::of(&url(&server));
    for request in [&b"\x0a\x07order-1"[..], b"\xff"] {
        let reply = caller.call(Call { request: bytes::Bytes::from_static(request), ..notify() }).await.reply;
        assert!(matches!(reply, Reply::NotSent(_)), "{reply:?}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_connection_is_used_again_unless_its_answer_was_not_read_to_the_end() {
    let fine = answer("200 OK", &[], "{}");
    let server = Server::start(std::slice::from_ref(&fine)).await;
    let caller = Caller::of(&url(&server));
    for _ in 0..5 {
        assert_eq!(http(caller.call(notify()).await.reply).status, 200);
        // It is given back in a task of its own.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((server.connections(), server.seen().len()), (1, 5));
    *caller.clock.0.lock().unwrap() += 10_000;
    caller.call(notify()).await;
    assert_eq!(server.connections(), 2, "it was kept for too long");

    let server = Server::start(&[answer("200 OK", &[], &"x".repeat(100)), fine]).await;
    let caller = Caller::of(&url(&server));
    assert_eq!(caller.call(notify()).await.reply, Reply::TooLarge { limit: 64 });
    assert_eq!(
        http(caller.call(notify()).await.reply).body.as_deref(),
        Some(&b"{}"[..]),
        "its own answer, not the rest"
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_and_one_that_closes_now_leaves_it_open() {
    let fine = response("200 OK", &[], "{}");
    let server = Server::start(&[Act::AnswerAndClose(fine.clone()), Act::Answer(fine)]).await;
    let caller = Caller::of(&url(&server));
    assert_eq!(http(caller.call(notify()).await.reply).status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(http(caller.call(notify()).await.reply).status, 200);
    assert_eq!((server.connections(), server.seen().len()), (2, 2));

    // Closed only once the second request is there: it may have been worked on, so it isn't sent again by us.
    let server = Server::start(&[answer("200 OK", &[], "{}"), Act::Close]).await;
    let caller = Caller::of(&url(&server));
    assert_eq!(http(caller.call(notify()).await.reply).status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(matches!(caller.call(notify()).await.reply, Reply::Broken(_)));
    assert_eq!((server.connections(), server.seen().len()), (1, 2), "one request for each attempt");
}

#[tokio::test]
async fn another_address_is_tried_when_one_cant_be_reached() {
    let server = Server::start(&[answer("200 OK", &[], "{}")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let caller = Caller::with(&[&closed, &url(&server)], &[], super::server::Setting::default());
    for _ in 0..3 {
        assert_eq!(http(caller.call(notify()).await.reply).status, 200);
    }
    assert_eq!(server.seen().len(), 3);
}
