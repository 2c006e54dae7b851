//! Webhooks of whole servers: real requests to a receiver on this machine, whose signature is checked here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::alerts_client::AlertsClient;
use amends_runtime::Pattern;
use amends_server::ServerConfig;
use amends_server::config::{WebhookConfig, WebhookUrl};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::hmac;
use tokio::sync::watch;
use tonic::Code;

use crate::cluster::{config, settled};
use crate::harness::{AMOUNT, CHECKOUT, Memory, Server, on_both_stores, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { told taken_up_after_a_restart }

const SECRET: &[u8] = b"a secret of more than 24 bytes";
/// A guard against hanging, never waited for.
const LONG: Duration = Duration::from_secs(60);

/// A message as it came.
#[derive(Debug, Clone)]
struct Received {
    id: String,
    body: serde_json::Value,
}

impl Received {
    fn what(&self) -> (String, String) {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (text(&self.body["type"]), text(&self.body["data"]["saga"]))
    }
}

/// Takes messages while it is open.
struct Receiver {
    address: SocketAddr,
    received: watch::Sender<Vec<Received>>,
    answers: watch::Sender<StatusCode>,
    folder: tempfile::TempDir,
}

impl Receiver {
    async fn open() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            received: watch::Sender::default(),
            answers: watch::Sender::new(StatusCode::NO_CONTENT),
            folder: tempfile::tempdir().unwrap(),
        });
        let secret = format!("whsec_{}\n", BASE64_STANDARD.encode(SECRET));
        std::fs::write(receiver.folder.path().join("secret"), secret).unwrap();
        let takes = receiver.clone();
        let router =
            Router::new().fallback(move |headers: HeaderMap, body: Bytes| async move { takes.take(&headers, &body) });
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn take(&self, headers: &HeaderMap, body: &Bytes) -> StatusCode {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
        let signature = BASE64_STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
        hmac::verify(&key, &[signed.as_bytes(), body].concat(), &signature).expect("signed by our secret");
        let answer = *self.answers.borrow();
        let received = Received { id: header("webhook-id"), body: serde_json::from_slice(body).unwrap() };
        assert_eq!(received.body["id"], received.id.as_str());
        self.received.send_modify(|all| all.push(received));
        answer
    }

    async fn until(&self, is_so: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut received = self.received.subscribe();
        let came = tokio::time::timeout(LONG, received.wait_for(|all| is_so(all))).await;
        came.unwrap_or_else(|_| panic!("only {:?}", self.received.borrow())).unwrap().clone()
    }

    fn webhook(&self, events: &[&str]) -> WebhookConfig {
        let all = || vec![Pattern::new("*")];
        WebhookConfig {
            name: "pager".to_owned(),
            url: WebhookUrl::new(format!("http://{}/hooks/T0", self.address)),
            secrets: vec![format!("file:{}", self.folder.path().join("secret").display())],
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            definitions: all(),
            namespaces: all(),
        }
    }
}

fn with(mut config: ServerConfig, webhook: WebhookConfig) -> ServerConfig {
    config.alerts.console_url = Some("https://amends.example".to_owned());
    config.alerts.webhooks.push(webhook);
    config
}

fn fails(shop: &Shop) {
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no"));
    shop.always("Release", Answer::Says(Code::Unavailable, "<img src=x onerror=alert(1)>"));
}

async fn told(memory: Memory) {
    let receiver = Receiver::open().await;
    let config = with(memory.config(), receiver.webhook(&["saga.stuck", "saga.unstuck", "saga.ended"]));
    let (mut server, shop) = Server::with_shop_and(&memory, config).await;
    let mut alerts = AlertsClient::new(server.channel.clone());
    let test = |name: &str| v1::TestWebhookRequest { webhook: name.to_owned() };
    let tested = alerts.test_webhook(test("pager")).await.unwrap().into_inner();
    assert!(tested.delivered && tested.error.is_empty(), "{tested:?}");
    let unknown = alerts.test_webhook(test("other")).await.unwrap_err();
    assert_eq!(refusal(&unknown).1, "WEBHOOK_NOT_FOUND");
    fails(&shop);
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Stuck);
    receiver.until(|all| all.len() == 2).await;
    shop.always("Release", Answer::Done);
    let retry =
        v1::RetrySagaRequest { saga_id: "order-1".to_owned(), reason: "mended".to_owned(), ..Default::default() };
    server.operations.retry(retry).await.unwrap();
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Compensated);
    let received = receiver.until(|all| all.len() == 4).await;
    let what: Vec<_> = received.iter().map(Received::what).collect();
    let expected =
        [("webhook.test", ""), ("saga.stuck", "order-1"), ("saga.unstuck", "order-1"), ("saga.ended", "order-1")];
    assert_eq!(what, expected.map(|(kind, saga)| (kind.to_owned(), saga.to_owned())));
    let data = &received[1].body["data"];
    assert_eq!(data["stuck"][0]["message"], "<img src=x onerror=alert(1)>");
    assert_eq!(data["link"], "https://amends.example/console/sagas/order-1");
    assert!(received.iter().all(|it| !it.body.to_string().contains(AMOUNT)), "no payload");
    let listed = alerts.list_webhooks(v1::ListWebhooksRequest {}).await.unwrap().into_inner().webhooks;
    assert_eq!((listed[0].name.as_str(), listed[0].failures), ("pager", 0));
    assert_eq!(listed[0].address, format!("http://{}", receiver.address), "without its path");
    server.stop().await.unwrap();
}

/// What couldn't be delivered outlives the server, and comes under the id that it had.
async fn taken_up_after_a_restart(memory: Memory) {
    let receiver = Receiver::open().await;
    receiver.answers.send_replace(StatusCode::SERVICE_UNAVAILABLE);
    let config = || with(memory.config(), receiver.webhook(&["saga.stuck"]));
    let (mut server, shop) = Server::with_shop_and(&memory, config()).await;
    fails(&shop);
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Stuck);
    let first = receiver.until(|all| !all.is_empty()).await[0].id.clone();
    server.stop().await.unwrap();
    memory.is_free().await;
    let before = receiver.received.borrow().len();
    receiver.answers.send_replace(StatusCode::OK);
    let server = Server::start_with(&memory, config()).await;
    let received = receiver.until(|all| all.len() > before).await;
    assert_eq!((received[before].id.as_str(), received[before].what().0.as_str()), (first.as_str(), "saga.stuck"));
    server.stop().await.unwrap();
}

/// Whoever takes over tells what the other couldn't.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_couldnt_tell_another_tells() {
    const NAMES: [&str; 3] = ["node-a", "node-b", "node-c"];
    let memory = Memory::in_memory_of(12);
    let receiver = Receiver::open().await;
    receiver.answers.send_replace(StatusCode::BAD_GATEWAY);
    let mut servers = Vec::new();
    for name in NAMES {
        let config = with(config(&memory, name), receiver.webhook(&["saga.stuck"]));
        servers.push(Server::start_shared(&memory, config).await);
    }
    for server in &servers {
        settled(server, &NAMES).await;
    }
    let shop = Shop::open().await;
    servers[0].put_shop(&shop.address).await;
    servers[0].register(CHECKOUT).await;
    fails(&shop);
    let ids: Vec<String> = (0..12).map(|number| format!("order-{number}")).collect();
    for id in &ids {
        assert_eq!(servers[0].run(id).await.status(), v1::SagaStatus::Stuck);
    }
    servers.remove(0).kill().await;
    settled(&servers[0], &NAMES[1..]).await;
    receiver.answers.send_replace(StatusCode::OK);
    let before = receiver.received.borrow().len();
    let distinct =
        |all: &[Received]| all[before..].iter().map(Received::what).collect::<std::collections::BTreeSet<_>>();
    let received = receiver.until(|all| distinct(all).len() == ids.len()).await;
    let under = |id: &String| {
        let of = received.iter().filter(|it| it.what().1 == *id);
        of.map(|it| it.id.clone()).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert!(ids.iter().all(|id| under(id) == 1), "each under one id, however often: {received:?}");
}
