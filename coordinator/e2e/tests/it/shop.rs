//! The world of `examples/qr-payment` for a test: coordinator, three participants, a merchant's server, customers.
//!
//! Invariant: what was sold is read from the databases and the merchant's own file, never from answers.

use std::path::PathBuf;
use std::time::Duration;

use amends_account::proto as account;
use amends_inventory::proto as inventory;
use amends_payment::proto as payment;
use amends_proto::v1 as api;
use amends_redis_lab::free_address;
use payment::payment_client::PaymentClient;
use rusqlite::Connection;
use serde_json::{Value, json};
use tonic::Status;
use tonic::transport::Channel;

use crate::fleet::{coordinator, define, dial, ended, register, start};
use crate::process::{Process, program, root};

/// How long a saga may take.
const SETTLE: Duration = Duration::from_secs(120);
/// What everything costs.
pub(crate) const PRICE: i64 = 1_999;

pub(crate) struct Shop {
    pub(crate) data: tempfile::TempDir,
    pub(crate) channel: Channel,
    merchant: Process,
    _services: Vec<Process>,
    coordinator: Process,
}

impl Shop {
    /// `payment_flags`: faults of the payment service. The merchant is registered and not running yet.
    pub(crate) async fn new(payment_flags: &[&str], merchant_fails: u32) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut coordinator = coordinator(data.path());
        coordinator.wait_until_listening();
        let channel = dial(coordinator.address).await;
        let mut services = Vec::new();
        for name in ["account", "inventory", "payment"] {
            let address = free_address();
            let mut arguments = vec!["--addr".to_owned(), address.to_string()];
            arguments.extend(["--data".to_owned(), data.path().display().to_string()]);
            if name == "payment" {
                arguments.extend(["--coordinator".to_owned(), format!("http://{}", coordinator.address)]);
                arguments.extend(payment_flags.iter().map(|flag| (*flag).to_owned()));
            }
            let mut process = Process::start(name, program(&format!("amends-{name}")), address, arguments);
            process.wait_until_listening();
            register(channel.clone(), name, address, true).await;
            services.push(process);
        }
        let secret = data.path().join("secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=").expect("a file");
        let merchant = merchant(&data, &secret, merchant_fails);
        register_merchant(channel.clone(), &merchant, &secret).await;
        let shop = Self { data, channel, merchant, _services: services, coordinator };
        shop.open_accounts().await;
        shop
    }

    /// `kill -9` of the coordinator.
    pub(crate) fn stop_serving(&mut self) {
        self.coordinator.kill();
    }

    /// The folder of the embedded store.
    pub(crate) fn folder(&self) -> String {
        self.coordinator.argument("--data").to_owned()
    }

    /// The addresses that the coordinator serves on, as flags.
    pub(crate) fn addresses(&self) -> [String; 4] {
        ["--grpc", self.coordinator.argument("--grpc"), "--http", self.coordinator.argument("--http")]
            .map(str::to_owned)
    }

    /// Starts the coordinator again on the same addresses, with these flags.
    pub(crate) async fn serve(&mut self, flags: &[&str]) {
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(self.addresses());
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let address = self.coordinator.address;
        self.coordinator = Process::start("coordinator", program("amends"), address, arguments);
        self.coordinator.wait_until_listening();
        self.channel = dial(address).await;
    }

    /// From now on the merchant answers.
    pub(crate) fn merchant_opens(&mut self) {
        self.merchant.restart();
    }

    /// The example's definition with some words replaced.
    pub(crate) async fn define(&self, changes: &[(&str, &str)]) {
        let path = root().join("examples/qr-payment/qr-payment.saga.yaml");
        let mut source = std::fs::read_to_string(path).expect("the example");
        for (from, to) in changes {
            assert!(source.contains(from), "{from} is not in the definition");
            source = source.replace(from, to);
        }
        define(self.channel.clone(), source).await;
    }

    async fn open_accounts(&self) {
        self.open_account("ada").await;
        self.open_account("frida").await;
        let mut accounts = account::account_client::AccountClient::new(dial(self._services[0].address).await);
        let freeze = account::SetFrozenRequest { account_id: "frida".to_owned(), frozen: true };
        accounts.set_frozen(freeze).await.expect("frozen");
        let mut shelves = inventory::inventory_client::InventoryClient::new(dial(self._services[1].address).await);
        let stock = inventory::SetStockRequest { sku: "teapot".to_owned(), quantity: 100 };
        shelves.set_stock(stock).await.expect("stock");
    }

    pub(crate) async fn open_account(&self, id: &str) {
        let mut accounts = account::account_client::AccountClient::new(dial(self._services[0].address).await);
        accounts.open(account::OpenRequest { account_id: id.to_owned(), floor_minor: 0 }).await.expect("open");
    }

    pub(crate) async fn start(&self, definition: &str, id: &str, payer: &str, seconds: u32) {
        let input = json!({
            "order_id": id, "sku": "teapot", "payer_id": payer, "merchant_id": "shop-1", "amount_minor": PRICE,
            "expires_in_seconds": seconds,
        });
        start(&self.channel, definition, id, &input).await;
    }

    pub(crate) async fn payments(&self) -> PaymentClient<Channel> {
        PaymentClient::new(dial(self._services[2].address).await)
    }

    /// Waits until the code is there, as somebody who shows it would.
    pub(crate) async fn code(&self, id: &str) -> payment::QrPayment {
        let mut payments = self.payments().await;
        for _ in 0..3_000 {
            let request = payment::GetQrPaymentRequest { payment_id: id.to_owned() };
            match payments.get_qr_payment(request).await {
                Ok(code) => return code.into_inner(),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("{id} has no code");
    }

    pub(crate) async fn pay(&self, id: &str) -> Result<payment::QrPayment, Status> {
        let request = payment::ConfirmQrPaymentRequest {
            payment_id: id.to_owned(),
            wallet_id: "ada".to_owned(),
            confirmation_id: format!("c-{id}"),
            amount_minor: PRICE,
        };
        self.payments().await.confirm_qr_payment(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn get(&self, id: &str) -> api::Saga {
        let request = api::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() };
        let saga = api::sagas_client::SagasClient::new(self.channel.clone()).get(request).await;
        saga.expect("the saga").into_inner()
    }

    pub(crate) async fn history(&self, id: &str) -> Vec<api::HistoryEntry> {
        let request = api::ListHistoryRequest { saga_id: id.to_owned(), ..Default::default() };
        let history = api::sagas_client::SagasClient::new(self.channel.clone()).list_history(request).await;
        history.expect("the history").into_inner().entries
    }

    pub(crate) async fn ended(&self, id: &str) -> api::Saga {
        ended(&self.channel, id, SETTLE).await
    }

    /// The orders that the merchant has, sorted; one that it took twice would be there twice.
    pub(crate) fn merchant_has(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.data.path().join("orders.jsonl")).unwrap_or_default();
        let order =
            |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["order_id"].as_str().map(str::to_owned);
        let mut orders: Vec<String> = text.lines().filter_map(order).collect();
        orders.sort();
        orders
    }

    /// All books after `sold` sales and as many failures as you like.
    pub(crate) fn check_books(&self, sold: i64) {
        let open = |name: &str| {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            Connection::open_with_flags(self.data.path().join(name), flags).expect("a database")
        };
        let (account, inventory, payment) = (open("account.db"), open("inventory.db"), open("payment.db"));
        let number = |database: &Connection, query: &str| {
            database.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap_or_else(|error| panic!("{query}: {error}"))
        };
        let amount = |database: &Connection, kind: &str| {
            number(database, &format!("SELECT amount FROM conservation WHERE kind = '{kind}'"))
        };
        for database in [&account, &inventory, &payment] {
            assert_eq!(number(database, "SELECT count(*) FROM effects WHERE count > 1"), 0, "an effect twice");
        }
        let kinds = ["qr_captured", "receivable", "qr_held", "entries_sum"].map(|kind| amount(&payment, kind));
        assert_eq!(kinds, [sold * PRICE, sold * PRICE, 0, 0], "captured, receivable, held, sum");
        assert_eq!(amount(&payment, "qr_paid") - amount(&payment, "qr_refunded"), sold * PRICE);
        assert_eq!(amount(&inventory, "sold"), sold);
        assert_eq!(amount(&account, "points"), sold * (PRICE / 100));
        assert_eq!(number(&account, "SELECT count(*) FROM screenings WHERE state = 'approved'"), sold);
        assert_eq!(number(&payment, "SELECT count(*) FROM callbacks WHERE state = 'waiting'"), 0, "still owed");
    }
}

/// Started and stopped again, so that its address is known and nobody answers there.
fn merchant(data: &tempfile::TempDir, secret: &std::path::Path, fails: u32) -> Process {
    let address = free_address();
    let arguments = vec![
        root().join("examples/qr-payment/merchant.py").display().to_string(),
        "--port".to_owned(),
        address.port().to_string(),
        "--secret-file".to_owned(),
        secret.display().to_string(),
        "--orders".to_owned(),
        data.path().join("orders.jsonl").display().to_string(),
        "--fail-first".to_owned(),
        fails.to_string(),
    ];
    let mut process = Process::start("merchant", PathBuf::from("python3"), address, arguments);
    process.kill();
    process
}

async fn register_merchant(channel: Channel, merchant: &Process, secret: &std::path::Path) {
    let participant = api::Participant {
        name: "merchant".to_owned(),
        endpoints: vec![format!("http://{}", merchant.address)],
        protocol: api::ParticipantProtocol::Http.into(),
        signing_secrets: vec![format!("file:{}", secret.display())],
        ..api::Participant::default()
    };
    let put = api::PutParticipantRequest { participant: Some(participant), ..Default::default() };
    api::participants_client::ParticipantsClient::new(channel).put(put).await.expect("registered");
}
