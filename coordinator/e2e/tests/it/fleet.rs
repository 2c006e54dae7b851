//! Starts, kills and restarts the real binaries for a test, each with its own folder and port.
//!
//! Only processes that were started here are ever ended. Invariant: whatever a test does, nothing of it is left running.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use amends_account::proto as account;
use amends_inventory::proto as inventory;
use amends_participant::database::Place;
use amends_participant::testing::PostgresServer;
use amends_proto::v1 as api;
use tonic::transport::{Channel, Endpoint};

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// Where `cargo build --workspace --bins` puts the binaries: beside the folder of this test's own.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    let folder = own.parent().and_then(Path::parent).expect("target/debug");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins` first", path.display());
    path
}

/// A number from the environment, so that a longer run is possible.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// One process that can be killed and started again on the same port and folder.
pub(crate) struct Process {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn start(name: &'static str, program: PathBuf, address: SocketAddr, arguments: Vec<String>) -> Self {
        let mut process = Self { name, address, program, arguments, child: None };
        process.launch();
        process
    }

    fn launch(&mut self) {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env("AMENDS__LOG__FILTER", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let (name, stderr) = (self.name, child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("{name}: {line}");
            }
        });
        self.child = Some(child);
    }

    /// What it was given for a flag.
    pub(crate) fn argument(&self, flag: &str) -> &str {
        let given = self.arguments.iter().skip_while(|argument| *argument != flag).nth(1);
        given.unwrap_or_else(|| panic!("{} has no {flag}", self.name))
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("own child");
            child.wait().expect("own child");
        }
    }

    /// Starts it again, and waits until it listens.
    pub(crate) fn restart(&mut self) {
        self.launch();
        self.wait_until_listening();
    }

    pub(crate) fn wait_until_listening(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("own child")) {
                panic!("{} ended before it listened: {status}", self.name);
            }
            assert!(begun.elapsed() < START_MAX, "{} doesn't listen on {}", self.name, self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// The coordinator and the three participants.
pub(crate) struct Fleet {
    pub(crate) coordinator: Process,
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
    /// Starts all four and waits until they listen.
    pub(crate) async fn start(kept: Kept) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let (mut participants, mut places) = (Vec::new(), Vec::new());
        for name in ["account", "inventory", "payment"] {
            let place = kept.place(data.path(), name).await;
            let (flag, database) = match &place {
                Place::File(file) => ("--database", file.display().to_string()),
                Place::Url(url) => ("--database-url", url.clone()),
            };
            let address = free_address();
            let arguments = ["--addr", &address.to_string(), flag, &database].map(str::to_owned).to_vec();
            let mut process = Process::start(name, program(&format!("amends-{name}")), address, arguments);
            process.wait_until_listening();
            participants.push(process);
            places.push(place);
        }
        let mut coordinator = coordinator(data.path());
        coordinator.wait_until_listening();
        Self { coordinator, participants, places, _data: data }
    }

    /// Registers participants and the checkout definition, opens accounts, fills shelves.
    pub(crate) async fn set_up(&self, customers: &[(&str, i64)], stock: &[(&str, i64)]) {
        let channel = dial(self.coordinator.address).await;
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
    let request = api::StartSagaRequest {
        saga_id: id.to_owned(),
        definition: definition.to_owned(),
        input: Some(payload(input)),
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let mut call = tonic::Request::new(request.clone());
        call.set_timeout(Duration::from_secs(5));
        match api::sagas_client::SagasClient::new(channel.clone()).start(call).await {
            Ok(_) => return,
            Err(status) => {
                assert!(begun.elapsed() < Duration::from_secs(60), "{id}: {status}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
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
