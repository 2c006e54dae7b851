//! Steps that are carried out by HTTP, beside gRPC steps in one saga.

use std::sync::{Arc, Mutex};

use amends_proto::v1;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tonic::Code;

use crate::harness::{Memory, Server, json, on_both_stores, operation, refusal, seconds};
use crate::shop::{Answer, Shop};

on_both_stores! { retried_then_undone completed_with_its_output refused_by_status registered_and_shown unsigned_is_unsent }

/// A 503 leaves open whether the work goes on behind it, so that undoing waits until the attempt's time is over: hence the 2 s.
///
/// A gRPC step, an HTTP step that reads its output, and a gRPC step that reads that of the HTTP step.
const ORDER: &str = r#"
saga: order
timeout: 5m
input: { type: object, required: [order_id] }
steps:
  - step: reserve
    participant: shop
    action: { call: shop.v1.Shop/Reserve, timeout: 60s, request: { order_id: "${input.order_id}" } }
    compensate: { call: shop.v1.Shop/Release, request: { order_id: "${input.order_id}" } }
  - step: notify
    participant: merchant
    action:
      http: "POST /orders/${input.order_id}/paid"
      timeout: 2s
      retry: { max_attempts: 5, initial: 1ms, max: 1ms }
      headers: { x-shop: "${saga.namespace}" }
      request: { receipt: "${steps.reserve.receipt}", amount: 9007199254740993 }
      codes: { 409: rejected }
    compensate: { http: "DELETE /orders/${input.order_id}/paid", retry: { initial: 1ms, max: 1ms } }
  - step: charge
    participant: shop
    action: { call: shop.v1.Shop/Charge, timeout: 60s, request: { order_id: "${steps.notify.ticket}", amount: "${steps.notify.amount}" } }
    compensate: { call: shop.v1.Shop/Refund, request: { order_id: "${input.order_id}" } }
"#;

#[derive(Debug, Clone)]
struct Seen {
    line: String,
    key: String,
    shop: Option<String>,
    signature: Option<String>,
    body: String,
}

/// A merchant that answers as it is told, and 200 with a ticket after that.
#[derive(Debug, Clone, Default)]
struct Merchant {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Merchant {
    async fn open(answers: &[(u16, &'static str)]) -> (Self, String) {
        let merchant = Self { answers: Arc::new(Mutex::new(answers.to_vec())), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(merchant.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        (merchant, address)
    }

    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
    }
}

async fn answer(State(merchant): State<Merchant>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    merchant.seen.lock().unwrap().push(Seen {
        line: format!("{} {}", head.method, head.uri),
        key: header("idempotency-key").unwrap(),
        shop: header("x-shop"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mut answers = merchant.answers.lock().unwrap();
    let (status, text) =
        if answers.is_empty() { (200, r#"{"ticket":"t-1","amount":9007199254740993}"#) } else { answers.remove(0) };
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/json")], text).into_response()
}

fn put(address: &str, signing_secrets: &[String]) -> v1::PutParticipantRequest {
    let participant = v1::Participant {
        name: "merchant".to_owned(),
        endpoints: vec![address.to_owned()],
        protocol: v1::ParticipantProtocol::Http.into(),
        signing_secrets: signing_secrets.to_vec(),
        ..Default::default()
    };
    v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 }
}

async fn open(memory: &Memory, answers: &[(u16, &'static str)]) -> (Server, Shop, Merchant) {
    let (mut server, shop) = (Server::start(memory).await, Shop::open().await);
    let (merchant, address) = Merchant::open(answers).await;
    server.put_shop(&shop.address).await;
    server.participants.put(put(&address, &[])).await.unwrap();
    server.register(ORDER).await;
    (server, shop, merchant)
}

async fn run(server: &mut Server) -> v1::Saga {
    let message = v1::StartSagaRequest {
        saga_id: "order-1".to_owned(),
        definition: "order".to_owned(),
        input: json(r#"{"order_id":"7/8"}"#),
        wait: seconds(60),
        ..Default::default()
    };
    server.sagas.start(message).await.unwrap().into_inner()
}

async fn retried_then_undone(memory: Memory) {
    let (mut server, shop, merchant) = open(&memory, &[(503, "{}"), (503, "{}")]).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "insufficient funds"));
    let saga = run(&mut server).await;
    assert_eq!(saga.status(), v1::SagaStatus::Compensated);
    let (paid, undone) = ("POST /orders/7%2F8/paid", "DELETE /orders/7%2F8/paid");
    assert_eq!(merchant.lines(), [paid, paid, paid, undone]);
    let seen = merchant.seen.lock().unwrap().clone();
    assert!(seen[..3].iter().all(|it| it.key == "default/order-1/notify/action" && it.body == seen[0].body));
    assert_eq!(seen[0].body, r#"{"receipt":"reserve-receipt","amount":9007199254740993}"#);
    assert_eq!((seen[0].shop.as_deref(), seen[0].signature.as_deref()), (Some("default"), None));
    assert_eq!((seen[3].key.as_str(), seen[3].body.as_str()), ("default/order-1/notify/compensate", ""));
    assert_eq!(shop.calls(), ["Reserve", "Charge", "Release"]);
    let history = server.history("order-1").await;
    let codes: Vec<_> = history.iter().filter(|it| it.step == "notify").map(|it| it.code.as_str()).collect();
    assert_eq!(codes[..2], ["503", "503"]);
    server.stop().await.unwrap();
}

async fn completed_with_its_output(memory: Memory) {
    let (mut server, shop, merchant) = open(&memory, &[]).await;
    let saga = run(&mut server).await;
    assert_eq!(saga.status(), v1::SagaStatus::Completed);
    let notify = operation(&saga, "notify", v1::Operation::Action);
    assert_eq!(notify.output, json(r#"{"ticket":"t-1","amount":9007199254740993}"#));
    assert_eq!((shop.calls().len(), merchant.lines().len()), (2, 1));
    server.stop().await.unwrap();
}

async fn refused_by_status(memory: Memory) {
    let (mut server, shop, merchant) = open(&memory, &[(409, "{}")]).await;
    let saga = run(&mut server).await;
    assert_eq!(saga.status(), v1::SagaStatus::Compensated);
    let decision = saga.decision.clone().unwrap();
    assert_eq!((decision.step.as_str(), decision.code.as_str()), ("notify", "409"));
    // Refused at once, so that there is nothing to undo.
    assert_eq!(merchant.lines().len(), 1);
    assert_eq!(shop.calls(), ["Reserve", "Release"]);
    server.stop().await.unwrap();
}

async fn registered_and_shown(memory: Memory) {
    let mut server = Server::start(&memory).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("merchant");
    let reference = format!("file:{}", secret.display());
    let with = |references: &[&str]| {
        put("https://merchant.example", &references.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    };
    for (message, field) in [
        (with(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]), "participant.signing_secrets[0]"),
        (with(&["env:AMENDS_TEST_NO_SUCH_VARIABLE"]), "participant.signing_secrets[0]"),
        (with(&[&reference]), "participant.signing_secrets[0]"),
        (with(&["env:A", "env:B", "env:C", "env:D"]), "participant.signing_secrets"),
        (put("https://merchant.example/hooks", &[]), "participant.endpoints[0]"),
        (put("http://169.254.169.254", &[]), "participant.endpoints[0]"),
        (put("https://10.1.2.3", &[]), "participant.endpoints[0]"),
        (put(&format!("http://{}", server.grpc), &[]), "participant.endpoints[0]"),
    ] {
        let status = server.participants.put(message).await.unwrap_err();
        assert_eq!(refusal(&status).2, [field], "{status:?}");
        assert!(!status.message().contains("MfKQ"), "{status:?}");
    }
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let shown = server.participants.put(with(&[&reference])).await.unwrap().into_inner();
    assert_eq!((shown.protocol(), shown.problem.as_str()), (v1::ParticipantProtocol::Http, ""));
    assert_eq!(shown.endpoints, ["https://merchant.example:443"]);
    assert_eq!(shown.signing_secrets, [reference.as_str()]);
    assert!(!format!("{shown:?}").contains("MfKQ"));
    // Called by gRPC, or unknown: found when the definition is registered.
    let calls = |step: &str| v1::RegisterDefinitionRequest {
        source: format!("saga: t\nsteps: [{{ step: a, compensate: {{ none: a test }}, {step} }}]"),
        ..Default::default()
    };
    for (step, rule) in [
        ("participant: merchant, action: { call: shop.v1.Shop/Reserve }", "AM-L064"),
        ("participant: nobody, action: { http: POST /a }", "AM-L050"),
    ] {
        let status = server.definitions.register(calls(step)).await.unwrap_err();
        assert!(
            status.message().contains(rule)
                || format!("{:?}", tonic_types::StatusExt::get_error_details(&status)).contains(rule),
            "{status:?}"
        );
    }
    server.definitions.register(calls("participant: merchant, action: { http: POST /a }")).await.unwrap();
    server.stop().await.unwrap();

    // The secret is gone when the server starts again: visible, and never sent unsigned.
    std::fs::remove_file(&secret).unwrap();
    let mut server = Server::start_when_free(&memory).await;
    let get = v1::GetParticipantRequest { name: "merchant".to_owned(), ..Default::default() };
    let shown = server.participants.get(get).await.unwrap().into_inner();
    assert!(shown.problem.starts_with(&reference) && shown.problem.contains("can't read it"), "{}", shown.problem);
    server.stop().await.unwrap();
}

async fn unsigned_is_unsent(memory: Memory) {
    let (mut server, _shop, merchant) = open(&memory, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("merchant");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let (signed, address) = Merchant::open(&[]).await;
    server.participants.put(put(&address, &[format!("file:{}", secret.display())])).await.unwrap();
    assert_eq!(run(&mut server).await.status(), v1::SagaStatus::Completed);
    let seen = signed.seen.lock().unwrap().clone();
    assert!(seen.len() == 1 && seen[0].signature.as_deref().is_some_and(|it| it.starts_with("v1,")), "{seen:?}");
    assert!(merchant.lines().is_empty(), "the registration in force counts");
    server.stop().await.unwrap();
}
