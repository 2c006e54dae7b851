//! Messages to webhooks on the wire: signed, to the address that was written, by the rules that hold for participants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_runtime::alerts::{Post as _, Posted, Target};
use amends_runtime::participant::{Egress, HttpPost, Keyring, Outgoing, SecretReference};
use amends_runtime::seam::Seams;
use bytes::Bytes;

use super::server::{Act, Server, Setting, TestClock, answer};
use super::signing::{NEW, OLD, is_signed_by, secret};

const NOW: u64 = 1_700_000_000_000;
const BODY: &str = r#"{"type":"saga.stuck","data":{"why":"<b>&"}}"#;

/// Sends one message, with these secrets and rules.
async fn post(url: &str, secrets: &[SecretReference], keyring: Arc<Keyring>, egress: Egress) -> Posted {
    let clock = TestClock(Arc::new(Mutex::new(NOW)));
    let Setting { resolver, trust, .. } = Setting::default();
    let outgoing = Outgoing { egress: Arc::new(egress), resolver, keyring, trust };
    let seams = Seams::new(Arc::new(clock.clone()), Arc::new(clock));
    let target = Target::parse(url, secrets.to_vec()).unwrap();
    HttpPost::new(outgoing, seams).post(&target, "msg_1", &Bytes::from_static(BODY.as_bytes())).await
}

/// Sends one message to a server, signed by both secrets.
async fn to(server: &Server) -> Posted {
    let folder = tempfile::tempdir().unwrap();
    let references = [secret(folder.path(), "new", NEW), secret(folder.path(), "old", OLD)];
    let keyring = Arc::new(Keyring::new());
    references.iter().for_each(|reference| keyring.load(reference).unwrap());
    let url = format!("http://{}/hooks/T0?x=1", server.address);
    post(&url, &references, keyring, Egress::default()).await
}

#[tokio::test]
async fn a_message_is_signed_by_every_secret_over_what_is_sent() {
    let server = Server::start(&[answer("204 No Content", &[], "")]).await;
    assert_eq!(to(&server).await, Posted::Delivered);
    let seen = &server.seen()[0];
    assert_eq!(seen.head[0], "POST /hooks/T0?x=1 HTTP/1.1");
    assert_eq!((seen.body.as_str(), seen.header("webhook-id")), (BODY, Some("msg_1")));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(is_signed_by(seen, NEW, NOW) && is_signed_by(seen, OLD, NOW) && !is_signed_by(seen, b"another", NOW));
}

#[tokio::test]
async fn without_a_secret_nothing_is_sent() {
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    let unread = SecretReference::parse("env:AMENDS_TEST_NO_SUCH_VARIABLE").unwrap();
    for secrets in [vec![], vec![unread]] {
        let url = format!("http://{}/", server.address);
        let posted = post(&url, &secrets, Arc::default(), Egress::default()).await;
        assert!(matches!(&posted, Posted::Failed { why, .. } if why.contains("can't be signed")), "{posted:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn what_is_answered_says_whether_to_try_again() {
    let failed = |why: &str, seconds: Option<u64>| Posted::Failed {
        why: format!("it answered {why}"),
        retry_after: seconds.map(Duration::from_secs),
    };
    for (status, headers, expected) in [
        ("202 Accepted", vec![], Posted::Delivered),
        ("503 Service Unavailable", vec!["retry-after: 7"], failed("503 Service Unavailable", Some(7))),
        ("401 Unauthorized", vec![], failed("401 Unauthorized", None)),
        (
            "422 Unprocessable Entity",
            vec![],
            Posted::Refused { why: "it answered 422 Unprocessable Entity".to_owned() },
        ),
    ] {
        let server = Server::start(&[answer(status, &headers, "<html>whatever</html>")]).await;
        assert_eq!(to(&server).await, expected);
    }
    let server = Server::start(&[Act::Close]).await;
    assert!(matches!(to(&server).await, Posted::Failed { .. }));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(&[answer("200 OK", &[], "")]).await;
    let location = format!("location: http://{}/", elsewhere.address);
    let server = Server::start(&[answer("307 Temporary Redirect", &[&location], "")]).await;
    let posted = to(&server).await;
    assert!(matches!(&posted, Posted::Failed { why, .. } if why.contains("redirects aren't followed")), "{posted:?}");
    assert_eq!((server.seen().len(), elsewhere.connections()), (1, 0));
}

#[tokio::test]
async fn an_address_that_isnt_allowed_is_not_connected_to() {
    let server = Server::start(&[answer("200 OK", &[], "")]).await;
    let folder = tempfile::tempdir().unwrap();
    let reference = secret(folder.path(), "new", NEW);
    let keyring = Arc::new(Keyring::new());
    keyring.load(&reference).unwrap();
    let url = format!("http://{}/", server.address);
    let egress = Egress::new(vec!["public".parse().unwrap()], Vec::new());
    let posted = post(&url, &[reference], keyring, egress).await;
    assert!(matches!(posted, Posted::Failed { .. }), "{posted:?}");
    assert_eq!(server.connections(), 0);
}
