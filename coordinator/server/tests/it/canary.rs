//! Payloads, secrets and tokens are in no log, no error and no page: marked ones go through everything, and everything is
//! searched for them.
//!
//! One thread runs the whole server and the participant, so that every line that is logged, at the finest level and by every
//! library, comes to this test's own subscriber and no other test's does.

use std::io;
use std::sync::{Arc, Mutex};

use amends_proto::v1;
use amends_proto::v1::audit_client::AuditClient;
use tonic::{Code, Request};
use tracing_subscriber::fmt::MakeWriter;

use crate::access::{Access, of};
use crate::harness::{CHECKOUT, Memory, Server, json};
use crate::http::client::{self, JSON};
use crate::shop::{Answer, Shop};

const IN: &str = "canary-input-4111111111111111";
const STATED: &str = "canary-stated-output";
const SAID: &str = "canary-participant-error";
const NODE_SECRET: &str = "canary-node-secret-canary-node-secret";
const MADE_UP: &str = "amends_canary-made-up-token";
const MADE_UP_JWT: &str = "canary.made-up.jwt";
/// What the shop answers.
const OUT: &str = "charge-receipt";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that is to hold no mark, with where it came from.
#[derive(Default)]
struct Seen(Vec<(String, String)>);

impl Seen {
    fn refused<T: std::fmt::Debug>(&mut self, what: &str, answer: Result<T, tonic::Status>) -> Code {
        let status = answer.expect_err(what);
        let details = String::from_utf8_lossy(status.details()).into_owned();
        self.0.push((what.to_owned(), format!("{status:?} {status} {details}")));
        status.code()
    }

    fn page(&mut self, what: &str, answer: &client::Answer) {
        self.0.push((what.to_owned(), format!("{answer:?}")));
    }
}

fn start(id: &str, input: &str) -> v1::StartSagaRequest {
    let wait = crate::harness::seconds(60);
    v1::StartSagaRequest {
        saga_id: id.to_owned(),
        definition: "checkout".to_owned(),
        input: json(input),
        wait,
        ..Default::default()
    }
}

/// Marks wherever a request that is accounted for could carry them, done and refused; none is in the audit log.
async fn audited(server: &mut Server, admin: &str, viewer: &str, seen: &mut Seen) {
    let resolve = |saga: &str| {
        let happened = v1::Happened { output: json(&format!(r#"{{"receipt":"{STATED}"}}"#)) };
        v1::ResolveOperationRequest {
            saga_id: saga.to_owned(),
            step: "reserve".to_owned(),
            operation: v1::Operation::Compensate.into(),
            finding: Some(v1::resolve_operation_request::Finding::Happened(happened)),
            reason: "ticket 7".to_owned(),
            ..Default::default()
        }
    };
    // Whether it fits or not: it is accounted for.
    let _ = server.operations.resolve(of(admin, resolve("stuck"))).await;
    seen.refused("a statement about what is over", server.operations.resolve(of(admin, resolve("done"))).await);
    seen.refused("a statement of a viewer", server.operations.resolve(of(viewer, resolve("stuck"))).await);
    let secret = |place: &str| v1::Participant {
        name: "bank".to_owned(),
        endpoints: vec![format!("http://ops:{NODE_SECRET}@127.0.0.1:1/{place}")],
        signing_secrets: vec![NODE_SECRET.to_owned()],
        descriptor_set: NODE_SECRET.as_bytes().into(),
        ..Default::default()
    };
    let put = v1::PutParticipantRequest { participant: Some(secret("x")), expected_revision: 0 };
    // What it answers repeats what was sent, to whoever sent it; the log doesn't.
    server.participants.put(of(admin, put)).await.unwrap_err();
    let source = format!("saga: other\nsteps: [ {IN}");
    server
        .definitions
        .register(of(admin, v1::RegisterDefinitionRequest { source, ..Default::default() }))
        .await
        .unwrap_err();
    let mut audit = AuditClient::new(server.channel.clone());
    let entries = audit.list(of(admin, v1::ListAuditRequest::default())).await.unwrap().into_inner().entries;
    let of_bank = entries.iter().filter(|it| it.target == "participants/bank").count();
    assert!(entries.len() >= 7 && of_bank == 1, "the log is there: {entries:?}");
    for entry in entries {
        let text = format!("{entry:?} {}", String::from_utf8_lossy(&entry.record));
        seen.0.push((format!("the audit log, {}", entry.method), text));
    }
}

#[tokio::test]
async fn nothing_marked_is_anywhere_but_where_it_belongs() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    let (memory, mut access) = (Memory::in_memory(), Access::new());
    let admin = access.add("root", "{ roles: [admin], namespaces: ['*'] }");
    let viewer = access.add("viewer", "{ roles: [viewer], namespaces: ['*'] }");
    let mut config = access.config(&memory);
    let secret = access.file.with_file_name("secret");
    std::fs::write(&secret, NODE_SECRET).unwrap();
    config.auth.node_secret_file = Some(secret);
    let mut server = Server::start_with(&memory, config).await;
    let shop = Shop::open().await;
    let participant =
        v1::Participant { name: "shop".to_owned(), endpoints: vec![shop.address.clone()], ..Default::default() };
    let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    server.participants.put(of(&admin, put)).await.unwrap();
    // No label: those are made to be shown.
    let source = CHECKOUT.replace("labels: { order: \"${input.order_id}\" }\n", "");
    server
        .definitions
        .register(of(&admin, v1::RegisterDefinitionRequest { source, ..Default::default() }))
        .await
        .unwrap();
    let mut seen = Seen::default();

    let input = format!(r#"{{"order_id":"{IN}","amount":1200}}"#);
    let done = server.sagas.start(of(&admin, start("done", &input))).await.unwrap().into_inner();
    assert_eq!(done.status(), v1::SagaStatus::Completed);
    let shown = format!("{done:?}");
    assert!(shown.contains(IN) && shown.contains(OUT), "the marks go through: {shown}");

    shop.once("Charge", Answer::Says(Code::FailedPrecondition, SAID));
    shop.always("Release", Answer::Says(Code::Unavailable, SAID));
    let stuck = server.sagas.start(of(&admin, start("stuck", &input))).await.unwrap().into_inner();
    assert_eq!(stuck.status(), v1::SagaStatus::Stuck);
    assert!(format!("{stuck:?}").contains(SAID), "whoever looks at the saga sees why");

    shop.once("Charge", Answer::Pending);
    let mut pending = start("pending", &input);
    pending.wait = None;
    server.sagas.start(of(&admin, pending)).await.unwrap();
    shop.has_calls(6).await;
    let complete = |output: &str| v1::CompleteStepRequest {
        saga_id: "pending".to_owned(),
        step: "charge".to_owned(),
        outcome: Some(v1::complete_step_request::Outcome::Succeeded(v1::StepSucceeded { output: json(output) })),
        ..Default::default()
    };
    let output = format!(r#"{{"receipt":"{STATED}"}}"#);
    seen.refused("an output that is no JSON", server.sagas.complete_step(of(&admin, complete(&output[1..]))).await);
    server.sagas.complete_step(of(&admin, complete(&output))).await.unwrap();

    for (what, input) in [
        ("no JSON", format!("{{\"order_id\":\"{IN}\"")),
        ("not of the schema", format!(r#"{{"order_id":["{IN}"],"amount":"{IN}"}}"#)),
        ("another input", format!(r#"{{"order_id":"{IN}","amount":1}}"#)),
    ] {
        let id = if what == "another input" { "done" } else { "new" };
        seen.refused(what, server.sagas.start(of(&admin, start(id, &input))).await);
    }
    let list = v1::ListSagasRequest::default;
    for token in [MADE_UP, MADE_UP_JWT] {
        seen.refused("a made-up token", server.sagas.list(of(token, list())).await);
    }
    let mut odd = Request::new(list());
    odd.metadata_mut().insert("authorization", format!("Basic {MADE_UP}").parse().unwrap());
    seen.refused("another scheme", server.sagas.list(odd).await);
    seen.refused("denied", server.sagas.start(of(&viewer, start("new", &input))).await);

    let bearer = format!("Bearer {admin}");
    let known = ("authorization", bearer.as_str());
    for page in
        ["/", "/version", "/openapi.json", "/healthz", "/readyz", "/elsewhere", "/v1/cluster/nodes", "/v1/participants"]
    {
        seen.page(page, &client::ask(&server, "GET", page, &[known], "").await);
        seen.page(page, &client::get(&server, page).await);
    }
    for body in [
        format!(r#"{{"sagaId":"new","definition":"checkout","input":{{"order_id":"{IN}"}}"#),
        format!(r#"{{"sagaId":"new","definition":"checkout","input":{{"order_id":1,"amount":"{IN}"}}}}"#),
        format!(r#"{{"sagaId":"{IN} ","definition":7}}"#),
    ] {
        seen.page("a start over HTTP", &client::ask(&server, "POST", "/v1/sagas", &[JSON, known], body).await);
    }
    audited(&mut server, &admin, &viewer, &mut seen).await;
    let viewers = of(&viewer, v1::GetSagaRequest { saga_id: "done".to_owned(), ..Default::default() });
    seen.0.push(("a viewer's look".to_owned(), format!("{:?}", server.sagas.get(viewers).await.unwrap())));
    server.stop().await.unwrap();
    drop(guard);

    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("definition registered") && log.contains("TRACE"), "the log is there: {} bytes", log.len());
    for (number, line) in log.lines().enumerate() {
        seen.0.push((format!("line {number} of the log"), line.to_owned()));
    }
    let marks = [IN, OUT, STATED, SAID, NODE_SECRET, MADE_UP, MADE_UP_JWT, &admin, &viewer];
    for (place, text) in &seen.0 {
        let found = marks.iter().find(|mark| text.contains(**mark));
        assert!(found.is_none(), "{found:?} is in {place}: {text}");
    }
}
