//! Where a gRPC call may go: what a name resolves to is checked, and what was checked is connected to.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use amends_engine::ids::ParticipantName;
use amends_runtime::participant::{Egress, Endpoint, Outgoing, Reply, Resolve, TlsSettings, fetch_descriptors};
use async_trait::async_trait;
use http::{Response, StatusCode};
use tonic::body::Body;

use super::servers::{Caller, Server, charge, ok, outgoing, raw};

/// Gives one answer after the other; the last one for ever.
#[derive(Debug)]
struct Fickle(Mutex<Vec<SocketAddr>>, AtomicUsize);

#[async_trait]
impl Resolve for Fickle {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.0.lock().unwrap();
        Ok(vec![if answers.len() > 1 { answers.remove(0) } else { answers[0] }])
    }
}

fn allowing(allow: &[&str], answers: Vec<SocketAddr>) -> (Outgoing, Arc<Fickle>) {
    let resolver = Arc::new(Fickle(Mutex::new(answers), AtomicUsize::new(0)));
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    (Outgoing { egress: Arc::new(Egress::new(allow, vec![])), resolver: resolver.clone(), ..outgoing() }, resolver)
}

/// A server that counts its calls.
async fn counting() -> (Server, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let server = raw(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { ok(b"done", &[], &[]) }
    });
    (server.await, calls)
}

#[tokio::test]
async fn a_name_that_moves_between_check_and_connect_gains_nothing() {
    let ((good, good_calls), (evil, evil_calls)) = (counting().await, counting().await);
    let (outgoing, resolver) = allowing(&[&good.address.to_string()], vec![good.address, evil.address]);
    let caller = Caller::with(outgoing);
    caller.register([Endpoint::parse("http://payment.example:7501").unwrap()]);
    assert!(matches!(caller.call(charge()).await.reply, Reply::Ok { .. }));
    assert_eq!(resolver.1.load(Ordering::SeqCst), 1, "resolved once: what was checked is connected to");
    // The connection is lost; now the name resolves to another address, which is checked anew.
    good.stop().await;
    let reply = caller.call(charge()).await.reply;
    assert!(matches!(&reply, Reply::NotSent(why) if why.contains("egress.allow")), "{reply:?}");
    let counts = [&good_calls, &evil_calls].map(|calls| calls.load(Ordering::SeqCst));
    assert_eq!((counts, resolver.1.load(Ordering::SeqCst)), ([1, 0], 2));
}

#[tokio::test]
async fn no_registration_leads_to_where_credentials_are() {
    let everything = ["public", "loopback", "0.0.0.0/0", "::/0", "metadata.example"];
    let (server, calls) = counting().await;
    // The first would be answered, if it were called.
    let mapped = format!("[::ffff:127.0.0.1]:{}", server.address.port());
    for address in [
        mapped.as_str(),
        "169.254.169.254:80",
        "[fd00:ec2::254]:80",
        "[::ffff:169.254.169.254]:80",
        "[2002:a9fe:a9fe::1]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[64:ff9b:1::a9fe:a9fe]:80",
        "[::a9fe:a9fe]:80",
        "[fe80::1]:80",
    ] {
        let (outgoing, _) = allowing(&everything, vec![address.parse().unwrap()]);
        let caller = Caller::with(outgoing.clone());
        for host in ["metadata.example:80", address] {
            let endpoint = Endpoint::parse(&format!("http://{host}")).unwrap();
            caller.register([endpoint.clone()]);
            let reply = caller.call(charge()).await.reply;
            assert!(matches!(&reply, Reply::NotSent(why) if why.contains("egress.allow")), "{host}: {reply:?}");
            let name = ParticipantName::parse("payment").unwrap();
            let services = ["payment.v1.Payment".to_owned()];
            let fetched = fetch_descriptors(&outgoing, &TlsSettings::default(), &name, &endpoint, &services).await;
            assert!(format!("{:?}", fetched.unwrap_err()).contains("egress.allow"), "reflection, {host}");
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (target, calls) = counting().await;
    let location = format!("http://{}/test.v1.Raw/Charge", target.address);
    let server = raw(move |_| {
        let location = location.clone();
        async move {
            let redirect = Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header("location", location);
            redirect.body(Body::empty()).unwrap()
        }
    })
    .await;
    let reply = Caller::new([server.endpoint()]).call(charge()).await.reply;
    assert!(matches!(&reply, Reply::Status(status) if status.message.contains("307")), "{reply:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}
