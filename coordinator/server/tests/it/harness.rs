//! Starts servers on ports of their own, and the requests that all tests make.

use std::sync::Arc;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::definitions_client::DefinitionsClient;
use amends_proto::v1::operations_client::OperationsClient;
use amends_proto::v1::participants_client::ParticipantsClient;
use amends_proto::v1::sagas_client::SagasClient;
use amends_server::{App, Backend, Error, Listeners, ServerConfig};
use amends_store::{MemoryStore, OpenError, Store};
use amends_tls::{ClientTls, Target};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::shop::Shop;

/// One saga with two steps; a refused charge releases the reservation, and one failure to release is one too many.
pub(crate) const CHECKOUT: &str = r#"
saga: checkout
timeout: 5m
labels: { order: "${input.order_id}" }
input:
  type: object
  required: [order_id, amount]
  additionalProperties: false
  properties: { order_id: { type: string }, amount: { type: integer } }
steps:
  - step: reserve
    participant: shop
    action: { call: shop.v1.Shop/Reserve, timeout: 60s, request: { order_id: "${input.order_id}" } }
    compensate: { call: shop.v1.Shop/Release, retry: { max_attempts: 1 }, request: { order_id: "${input.order_id}" } }
  - step: charge
    participant: shop
    action:
      call: shop.v1.Shop/Charge
      timeout: 60s
      retry: { max_attempts: 2, initial: 1ms, max: 1ms }
      request: { order_id: "${input.order_id}", amount: "${input.amount}" }
    compensate: { call: shop.v1.Shop/Refund, request: { order_id: "${input.order_id}" } }
"#;

/// Where a server remembers: outlives the server, so that a test can start another one on it.
#[derive(Clone)]
pub(crate) enum Memory {
    Sqlite(Arc<tempfile::TempDir>),
    InMemory(Arc<dyn Store>),
}

impl Memory {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(Arc::new(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn in_memory() -> Self {
        Self::in_memory_of(4)
    }

    pub(crate) fn in_memory_of(shards: u16) -> Self {
        let clock = amends_runtime::seam::Seams::system();
        Self::InMemory(Arc::new(MemoryStore::new(shards, Arc::new(move || clock.now()))))
    }

    /// Waits until a server in this process, which ended with calls under way, has let go of the store.
    pub(crate) async fn is_free(&self) {
        let Self::Sqlite(_) = self else { return };
        let config = self.config();
        while let Err(error) = Backend::open(&config.store, config.sagas.lease).await {
            assert!(matches!(error, Error::Open(OpenError::InUse { .. })), "{error:?}");
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn config(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.grpc.listen.set_port(0);
        config.http.listen.set_port(0);
        config.store.shards = Some(4);
        config.shutdown.grace = Duration::from_secs(2);
        if let Self::Sqlite(folder) = self {
            config.store.data = folder.path().join("data");
        }
        config
    }
}

/// Runs a test on both stores.
macro_rules! on_both_stores {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name($crate::harness::Memory::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_memory() {
                super::$name($crate::harness::Memory::in_memory()).await;
            }
        }
    )*};
}
pub(crate) use on_both_stores;

/// Where a server has TLS, its clients connect as other nodes do.
fn client_tls(config: &ServerConfig) -> Option<Arc<ClientTls>> {
    config.tls.files().map(|_| Arc::new(ClientTls::open(config.outgoing_tls.nodes()).unwrap()))
}

/// A running server with clients.
pub(crate) struct Server {
    pub(crate) sagas: SagasClient<Channel>,
    pub(crate) operations: OperationsClient<Channel>,
    pub(crate) definitions: DefinitionsClient<Channel>,
    pub(crate) participants: ParticipantsClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) grpc: std::net::SocketAddr,
    pub(crate) http: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), Error>>,
    /// Where it remembers must not be removed while it runs.
    _memory: Memory,
}

impl Server {
    pub(crate) async fn start(memory: &Memory) -> Self {
        Self::start_with(memory, memory.config()).await
    }

    pub(crate) async fn start_with(memory: &Memory, config: ServerConfig) -> Self {
        let tls = client_tls(&config);
        let app = match memory {
            Memory::Sqlite(_) => App::build(config).await.unwrap(),
            Memory::InMemory(store) => Self::build_on(Backend::of(store.clone()), config).await,
        };
        Self::run_app(app, tls, memory).await
    }

    /// One of several nodes on a store in memory.
    pub(crate) async fn start_shared(memory: &Memory, config: ServerConfig) -> Self {
        let Memory::InMemory(store) = memory else { panic!("only a store in memory is shared here") };
        let tls = client_tls(&config);
        Self::run_app(Self::build_on(Backend::shared(store.clone()), config).await, tls, memory).await
    }

    async fn build_on(backend: Backend, config: ServerConfig) -> App {
        let listeners = Listeners::bind(&config).await.unwrap();
        App::build_on(config, listeners, backend).await.unwrap()
    }

    async fn run_app(app: App, tls: Option<Arc<ClientTls>>, memory: &Memory) -> Self {
        let (grpc, http) = (app.grpc_address(), app.http_address());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{grpc}").parse().unwrap();
        let channel = Target::new(&uri, tls, None).unwrap().connect().await.unwrap();
        Self {
            sagas: SagasClient::new(channel.clone()),
            operations: OperationsClient::new(channel.clone()),
            definitions: DefinitionsClient::new(channel.clone()),
            participants: ParticipantsClient::new(channel.clone()),
            channel,
            grpc,
            http,
            stop: Some(stop),
            running,
            _memory: memory.clone(),
        }
    }

    /// Starts a server as soon as a predecessor in this process has let go of the store.
    pub(crate) async fn start_when_free(memory: &Memory) -> Self {
        memory.is_free().await;
        Self::start(memory).await
    }

    /// A server with a shop and the checkout definition.
    pub(crate) async fn with_shop(memory: &Memory) -> (Self, Shop) {
        Self::with_shop_and(memory, memory.config()).await
    }

    /// The same, with settings.
    pub(crate) async fn with_shop_and(memory: &Memory, config: ServerConfig) -> (Self, Shop) {
        let (mut server, shop) = (Self::start_with(memory, config).await, Shop::open().await);
        server.put_shop(&shop.address).await;
        server.register(CHECKOUT).await;
        (server, shop)
    }

    /// Asks the server to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.begin_to_stop();
        self.running.await.unwrap()
    }

    /// Ends the server's work at once, as a kill would, though its port stays open.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    pub(crate) fn begin_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) async fn put_shop(&mut self, address: &str) -> v1::Participant {
        let participant = v1::Participant {
            name: "shop".to_owned(),
            endpoints: vec![address.to_owned()],
            ..v1::Participant::default()
        };
        let message = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        self.participants.put(message).await.unwrap().into_inner()
    }

    pub(crate) async fn register(&mut self, source: &str) -> v1::RegisterDefinitionResponse {
        let message = v1::RegisterDefinitionRequest { source: source.to_owned(), ..Default::default() };
        self.definitions.register(message).await.unwrap().into_inner()
    }

    /// Starts a checkout and waits until it has ended or is stuck.
    pub(crate) async fn run(&mut self, id: &str) -> v1::Saga {
        let message = v1::StartSagaRequest { wait: seconds(60), ..checkout(id) };
        self.sagas.start(message).await.unwrap().into_inner()
    }

    pub(crate) async fn get(&mut self, id: &str) -> v1::Saga {
        let message = v1::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() };
        self.sagas.get(message).await.unwrap().into_inner()
    }

    /// Follows a saga until its end, and gives it as it ended.
    pub(crate) async fn end_of(&mut self, id: &str) -> v1::Saga {
        let message = v1::WatchSagaRequest { saga_id: id.to_owned(), ..Default::default() };
        let mut stream = self.sagas.watch(message).await.unwrap().into_inner();
        let mut last = None;
        while let Some(seen) = stream.message().await.unwrap() {
            last = seen.saga;
        }
        last.unwrap()
    }

    /// The same, though the saga's owner may go away meanwhile.
    pub(crate) async fn end_of_surely(&mut self, id: &str) -> v1::Saga {
        loop {
            let message = v1::WatchSagaRequest { saga_id: id.to_owned(), ..Default::default() };
            let mut last = None;
            let watching = async {
                let mut stream = self.sagas.watch(message).await?.into_inner();
                while let Some(seen) = stream.message().await? {
                    last = seen.saga;
                }
                Ok::<_, Status>(())
            };
            match watching.await {
                Ok(()) => return last.unwrap(),
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
        }
    }

    pub(crate) async fn history(&mut self, id: &str) -> Vec<v1::HistoryEntry> {
        let message = v1::ListHistoryRequest { saga_id: id.to_owned(), page_size: 1000, ..Default::default() };
        self.sagas.list_history(message).await.unwrap().into_inner().entries
    }
}

/// What a checkout is about: more digits than any id or time shows by chance, so that a text which has them has a payload.
pub(crate) const AMOUNT: &str = "120012001200";

/// A request to start a checkout.
pub(crate) fn checkout(id: &str) -> v1::StartSagaRequest {
    v1::StartSagaRequest {
        saga_id: id.to_owned(),
        definition: "checkout".to_owned(),
        input: json(&format!(r#"{{"order_id":"{id}","amount":{AMOUNT}}}"#)),
        ..Default::default()
    }
}

pub(crate) fn json(text: &str) -> Option<v1::Payload> {
    Some(v1::Payload { encoding: v1::payload::Encoding::Json.into(), data: text.to_owned().into() })
}

pub(crate) fn seconds(seconds: i64) -> Option<pbjson_types::Duration> {
    Some(pbjson_types::Duration { seconds, nanos: 0 })
}

/// Code, our reason, and the names of the fields that were refused.
pub(crate) fn refusal(status: &Status) -> (Code, String, Vec<String>) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    (status.code(), reason, violations.into_iter().map(|violation| violation.field).collect())
}

/// The state of one operation of a step.
pub(crate) fn operation(saga: &v1::Saga, step: &str, of: v1::Operation) -> v1::OperationState {
    let step = saga.steps.iter().find(|it| it.name == step).unwrap();
    step.operations.iter().find(|it| it.operation() == of).unwrap().clone()
}
