//! One trace for a saga, whatever happens to it: received by a collector that speaks OTLP.

use std::collections::BTreeMap;
use std::sync::Arc;

use amends_proto::v1;
use amends_server::ServerConfig;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};

use crate::cluster;
use crate::harness::{CHECKOUT, Memory, Server, checkout};
use crate::shop::{Answer, Shop};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A span with the node that sent it.
#[derive(Debug, Clone)]
struct Received {
    node: String,
    span: Span,
}

impl Received {
    fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    fn text(&self, key: &str) -> String {
        let value = self.span.attributes.iter().find(|it| it.key == key).and_then(|it| it.value.clone());
        match value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            _ => String::new(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A collector that keeps what it gets.
#[derive(Debug, Clone)]
struct Collector {
    spans: Arc<watch::Sender<Vec<Received>>>,
    address: String,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let node = attributes.iter().find(|it| it.key == "service.instance.id").unwrap();
            let Some(Value::StringValue(node)) = node.value.clone().unwrap().value else { panic!("a name") };
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let received: Vec<_> = spans.map(|span| Received { node: node.clone(), span }).collect();
            self.spans.send_modify(|all| all.extend(received));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { spans: Arc::new(watch::Sender::new(Vec::new())), address };
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(server.serve_with_incoming(incoming));
        collector
    }

    fn config(&self, memory: &Memory, name: &str) -> ServerConfig {
        let mut config = cluster::config(memory, name);
        config.telemetry.otlp.endpoint = Some(self.address.clone());
        config
    }

    /// All spans of a saga, once its own has come.
    async fn of(&self, id: &str) -> Vec<Received> {
        let is_of = |it: &&Received| it.text("amends.saga.id") == id;
        let mut all = self.spans.subscribe();
        let all =
            all.wait_for(|all| all.iter().filter(is_of).any(|it| it.span.name.starts_with("saga "))).await.unwrap();
        all.iter().filter(is_of).cloned().collect()
    }
}

fn names(spans: &[Received]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for received in spans {
        *names.entry(received.span.name.clone()).or_default() += 1;
    }
    names
}

/// Start at one node, forwarded to the other, called, taken over, tried again, refused, compensated: one trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_has_one_trace_over_forward_take_over_retry_and_compensation() {
    let (collector, memory, shop) = (Collector::open().await, Memory::in_memory_of(8), Shop::open().await);
    let mut servers = Vec::new();
    for name in ["node-a", "node-b"] {
        servers.push(Server::start_shared(&memory, collector.config(&memory, name)).await);
    }
    cluster::settled(&servers[0], &["node-a", "node-b"]).await;
    servers[0].put_shop(&shop.address).await;
    // An attempt that was never answered is waited out before its step is compensated.
    servers[0].register(&CHECKOUT.replace("timeout: 60s", "timeout: 2s")).await;
    // The second attempt of the charge is refused, which turns the saga back.
    shop.always("Charge", Answer::Held);
    let mut ids = Vec::new();
    for number in 0..8 {
        let id = format!("order-{number}");
        servers[1].sagas.start(checkout(&id)).await.unwrap();
        ids.push(id);
    }
    shop.has_calls(16).await;
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "card 471147114711 is empty"));
    servers.remove(0).kill().await;
    // What node-b held is still held there.
    shop.let_go();
    let mut taken_over = 0;
    for id in &ids {
        let saga = servers[0].end_of_surely(id).await;
        let spans = collector.of(id).await;
        let traces: Vec<String> = spans.iter().map(Received::trace).collect();
        assert!(traces.iter().all(|trace| *trace == saga.trace_id), "{id}: one trace, the one that the saga names");
        let names = names(&spans);
        if !names.contains_key("take over") {
            continue;
        }
        taken_over += 1;
        assert_eq!(names.get("forward start"), Some(&1), "{id}: asked at node-b, owned by node-a: {names:?}");
        // What node-a said last may have been lost with it, but not that it had started the saga: the forward waited for it.
        assert_eq!(saga.status(), v1::SagaStatus::Compensated, "{id}");
        for name in ["action charge", "compensate reserve", "turn back", "saga checkout"] {
            assert!(names.contains_key(name), "{id}: no {name:?} in {names:?}");
        }
        let whole = spans.iter().find(|it| it.span.name == "saga checkout").unwrap();
        let forward = spans.iter().find(|it| it.span.name == "forward start").unwrap();
        assert_eq!(
            whole.span.parent_span_id, forward.span.span_id,
            "{id}: the saga belongs to the request that began it"
        );
        assert!(forward.span.parent_span_id.is_empty(), "{id}: and the trace begins with that");
        let others = spans.iter().filter(|it| !["saga checkout", "forward start"].contains(&it.span.name.as_str()));
        assert!(others.into_iter().all(|it| it.span.parent_span_id == whole.span.span_id), "{id}");
        let again = spans.iter().find(|it| it.span.name == "action charge" && it.node == "node-b").unwrap();
        assert_eq!((again.text("amends.attempt").as_str(), again.text("amends.outcome").as_str()), ("2", "rejected"));
        let history = servers[0].history(id).await;
        let named = history.iter().filter(|entry| !entry.trace_id.is_empty());
        assert!(named.clone().count() >= 3 && named.into_iter().all(|entry| entry.trace_id == saga.trace_id), "{id}");
        let told = format!("{spans:?}");
        assert!(!told.contains("471147114711"), "no payload and no message");
    }
    assert!(taken_over > 0, "node-a had none of the sagas");
}

/// The caller's span is the saga's parent, and participants are told the attempt that calls them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_trace_is_gone_on_with() {
    let (collector, memory, shop) = (Collector::open().await, Memory::in_memory(), Shop::open().await);
    let mut server = Server::start_with(&memory, collector.config(&memory, "node-a")).await;
    server.put_shop(&shop.address).await;
    server.register(CHECKOUT).await;
    let mut start = Request::new(checkout("order-1"));
    start.metadata_mut().insert("traceparent", CALLER.parse().unwrap());
    server.sagas.start(start).await.unwrap();
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Completed);
    let spans = collector.of("order-1").await;
    assert!(spans.iter().all(|it| it.trace() == "4bf92f3577b34da6a3ce929d0e0e4736"));
    let whole = spans.iter().find(|it| it.span.name == "saga checkout").unwrap();
    assert_eq!(hex(&whole.span.parent_span_id), "00f067aa0ba902b7");
    let attempts: Vec<String> = ["action reserve", "action charge"]
        .map(|name| spans.iter().find(|it| it.span.name == name).unwrap())
        .map(|it| format!("00-{}-{}-01", it.trace(), hex(&it.span.span_id)))
        .into();
    assert_eq!(shop.traces(), attempts);
    server.stop().await.unwrap();
}

/// A caller that doesn't record its trace has nothing recorded of it, and participants are told just that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_isnt_recorded_is_handed_through() {
    let (collector, memory, shop) = (Collector::open().await, Memory::in_memory(), Shop::open().await);
    let mut server = Server::start_with(&memory, collector.config(&memory, "node-a")).await;
    server.put_shop(&shop.address).await;
    server.register(CHECKOUT).await;
    let unrecorded = CALLER.replace("-01", "-00");
    let mut start = Request::new(checkout("order-1"));
    start.metadata_mut().insert("traceparent", unrecorded.parse().unwrap());
    server.sagas.start(start).await.unwrap();
    server.end_of("order-1").await;
    server.run("order-2").await;
    collector.of("order-2").await;
    assert_eq!(shop.traces()[..2], [unrecorded.clone(), unrecorded]);
    assert!(collector.spans.borrow().iter().all(|it| it.text("amends.saga.id") == "order-2"));
}

/// A collector that isn't there costs spans and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_collector_the_server_works() {
    let (memory, shop) = (Memory::in_memory(), Shop::open().await);
    let mut config = memory.config();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.telemetry.otlp.endpoint = Some(format!("http://{nobody}"));
    let mut server = Server::start_with(&memory, config).await;
    server.put_shop(&shop.address).await;
    server.register(CHECKOUT).await;
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    server.stop().await.unwrap();
}
