//! The coordinators and participants of a test, each with its own folder and port, and how to speak to them.
//!
//! Everything goes over the public API. Invariant: what is started here is up before a test goes on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use amends_account::proto as account;
use amends_inventory::proto as inventory;
use amends_participant::database::Place;
use amends_participant::testing::PostgresServer;
use amends_proto::v1 as api;
use amends_redis_lab::free_address;
use tonic::transport::{Channel, Endpoint};

use crate::process::{Process, program, root};

/// The coordinators and the three participants.
pub(crate) struct Fleet {
    pub(crate) coordinators: Vec<Process>,
    pub(crate) participants: Vec<Process>,
    /// Where each participant keeps its data, in the same order.
    pub(crate) places: Vec<Place>,
    // Removed last.
    _data: tempfile::TempDir,
}

/// What the participants keep their data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Sqlite,
    Postgres,
}

impl Kept {
    async fn place(self, data: &Path, name: &str) -> Place {
        match self {
            Self::Sqlite => Place::File(data.join(format!("{name}.db"))),
            Self::Postgres => Place::Url(PostgresServer::shared().fresh().await),
        }
    }
}

impl Fleet {
    /// Starts one coordinator on the embedded store and its participants, and waits until they listen.
    pub(crate) async fn start(kept: Kept) -> Self {
        Self::start_with(kept, |data| vec![coordinator(data)]).await
    }

    /// Starts a coordinator for each of these addresses of one Redis, and their participants, and waits until they listen.
    /// `settings` is what their configuration file says besides.
    pub(crate) async fn start_on(redis: &[String], settings: &str) -> Self {
        let nodes = |data: &Path| {
            let file = data.join("amends.yaml");
            std::fs::write(&file, settings).expect("a file");
            redis.iter().enumerate().map(|(number, redis)| coordinator_on(redis, data, number, &file)).collect()
        };
        Self::start_with(Kept::Sqlite, nodes).await
    }

    async fn start_with(kept: Kept, coordinators: impl FnOnce(&Path) -> Vec<Process>) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let (mut participants, mut places) = (Vec::new(), Vec::new());
        for name in ["account", "inventory", "payment"] {
            let place = kept.place(data.path(), name).await;
            let (flag, database) = match &place {
                Place::File(file) => ("--database", file.display().to_string()),
                Place::Url(url) => ("--database-url", url.clone()),
            };
            let address = free_address();
            let arguments =
                ["--addr", &address.to_string(), "--allow-faults", flag, &database].map(str::to_owned).to_vec();
            let mut process = Process::start(name, program(&format!("amends-{name}")), address, arguments);
            process.wait_until_listening();
            participants.push(process);
            places.push(place);
        }
        let mut coordinators = coordinators(data.path());
        coordinators.iter_mut().for_each(Process::wait_until_listening);
        Self { coordinators, participants, places, _data: data }
    }

    /// A fleet of processes that somebody else has started, whose databases are these.
    pub(crate) fn of(
        coordinators: Vec<Process>,
        participants: Vec<Process>,
        places: Vec<Place>,
        data: tempfile::TempDir,
    ) -> Self {
        Self { coordinators, participants, places, _data: data }
    }

    /// Registers participants and the checkout definition, opens accounts, fills shelves.
    pub(crate) async fn set_up(&self, customers: &[(&str, i64)], stock: &[(&str, i64)]) {
        let channel = dial(self.coordinators[0].address).await;
        for participant in &self.participants {
            register(channel.clone(), participant.name, participant.address, true).await;
        }
        let source = std::fs::read_to_string(root().join("examples/checkout/checkout.saga.yaml")).expect("the example");
        define(channel, source).await;
        let mut accounts = account::account_client::AccountClient::new(dial(self.participants[0].address).await);
        for (customer, amount_minor) in customers {
            let account_id = (*customer).to_owned();
            accounts.open(account::OpenRequest { account_id: account_id.clone(), floor_minor: 0 }).await.expect("open");
            let deposit_id = format!("opening-{customer}");
            let deposit = account::DepositRequest { deposit_id, account_id, amount_minor: *amount_minor };
            accounts.deposit(deposit).await.expect("deposit");
        }
        let mut shelves = inventory::inventory_client::InventoryClient::new(dial(self.participants[1].address).await);
        for (sku, quantity) in stock {
            let set = inventory::SetStockRequest { sku: (*sku).to_owned(), quantity: *quantity };
            shelves.set_stock(set).await.expect("stock");
        }
    }
}

/// A coordinator on the embedded store in this folder.
pub(crate) fn coordinator(data: &Path) -> Process {
    let (grpc, http) = (free_address(), free_address());
    let folder = data.join("coordinator").display().to_string();
    let arguments = ["serve", "--grpc", &grpc.to_string(), "--http", &http.to_string(), "--data", &folder];
    Process::start("coordinator", program("amends"), grpc, arguments.map(str::to_owned).to_vec())
}

/// The coordinator of this number, on a Redis that others may share.
fn coordinator_on(redis: &str, data: &Path, number: usize, settings: &Path) -> Process {
    let (grpc, http, node) = (free_address(), free_address(), format!("node-{number}"));
    let folder = data.join(&node).display().to_string();
    let (grpc_text, http, settings) = (grpc.to_string(), http.to_string(), settings.display().to_string());
    let place = ["serve", "--grpc", &grpc_text, "--http", &http, "--data", &folder, "--config", &settings];
    let arguments = place.into_iter().chain(["--store", redis, "--node", &node]).map(str::to_owned);
    let filter = "error,amends_runtime::committer=warn";
    Process::start_logging(filter, "coordinator", program("amends"), grpc, arguments.collect())
}

pub(crate) async fn dial(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.unwrap_or_else(|error| panic!("{address}: {error}"))
}

pub(crate) async fn register(channel: Channel, name: &str, address: SocketAddr, refusals_final: bool) {
    let participant = api::Participant {
        name: name.to_owned(),
        endpoints: vec![format!("http://{address}")],
        refusals_final,
        ..api::Participant::default()
    };
    let put = api::PutParticipantRequest { participant: Some(participant), ..Default::default() };
    api::participants_client::ParticipantsClient::new(channel).put(put).await.expect("registered");
}

pub(crate) async fn define(channel: Channel, source: String) {
    let register = api::RegisterDefinitionRequest { source, ..Default::default() };
    api::definitions_client::DefinitionsClient::new(channel).register(register).await.expect("registered");
}

pub(crate) fn payload(value: &serde_json::Value) -> api::Payload {
    api::Payload {
        encoding: api::payload::Encoding::Json.into(),
        data: serde_json::to_vec(value).expect("JSON").into(),
    }
}

/// Starts a saga; repeated until there is an answer, as any client should.
pub(crate) async fn start(channel: &Channel, definition: &str, id: &str, input: &serde_json::Value) {
    let begun = Instant::now();
    while let Err(status) = try_start(channel, definition, id, input).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{id}: {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Starts a saga, or says why not; then it may have been started all the same.
pub(crate) async fn try_start(
    channel: &Channel,
    definition: &str,
    id: &str,
    input: &serde_json::Value,
) -> Result<(), tonic::Status> {
    let mut call = tonic::Request::new(api::StartSagaRequest {
        saga_id: id.to_owned(),
        definition: definition.to_owned(),
        input: Some(payload(input)),
        ..Default::default()
    });
    call.set_timeout(Duration::from_secs(5));
    api::sagas_client::SagasClient::new(channel.clone()).start(call).await.map(drop)
}

/// The saga once it has ended; fails the test when it doesn't in time.
pub(crate) async fn ended(channel: &Channel, id: &str, within: Duration) -> api::Saga {
    let begun = Instant::now();
    loop {
        let mut call = tonic::Request::new(api::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() });
        call.set_timeout(Duration::from_secs(5));
        let answer = api::sagas_client::SagasClient::new(channel.clone()).get(call).await;
        match answer.map(tonic::Response::into_inner) {
            Ok(saga) if saga.end_time.is_some() => return saga,
            answer => assert!(begun.elapsed() < within, "{id} hasn't ended: {answer:#?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
