//! The SRE's hour: a participant was away, orders have piled up on three nodes, and six sagas are stuck for four reasons. Three
//! commands repair it, as `deploy/runbooks` has them.
//!
//! `make hour` plays it with ten thousand orders. Invariants: what a plan names and has moved since is left alone; afterwards every
//! saga has ended and every book balances; what was done stands in an audit log that nobody can have changed.

use std::process::Command;
use std::time::{Duration, Instant};

use amends_participant::faults::proto::faults_client::FaultsClient;
use amends_participant::faults::proto::{ClearRequest, Kind, Rule, SetRequest};
use amends_proto::v1 as api;
use api::participants_client::ParticipantsClient;
use api::sagas_client::SagasClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::browser;
use crate::fleet::{define, dial, ended, start};
use crate::orders;
use crate::process::{program, root, setting};
use crate::redis_takeover::World;

const ACCOUNT: usize = 0;
const INVENTORY: usize = 1;
const PAYMENT: usize = 2;
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(900);
/// How many orders are placed at once.
const HANDS: u64 = 16;

/// What is changed in the example: it waits for the payment as long as it must, and gives up soon where something is undone.
const PATIENT: [(&str, &str); 4] = [
    ("saga: checkout", "saga: hour"),
    ("timeout: 5m", "timeout: 2h"),
    ("within: 2m", "within: 2h"),
    ("retry: { max_attempts: 8, initial: 200ms, max: 2s }", "retry: { max_attempts: 2, initial: 20ms, max: 20ms }"),
];
/// What else is changed, for sagas that are going to be stuck: what UNAVAILABLE means there, and how long the pivot is tried.
const UNDO_REFUSED: [(&str, &str); 2] = [
    ("saga: hour", "saga: undo-refused"),
    ("Inventory/Release\n", "Inventory/Release\n      codes: { UNAVAILABLE: rejected }\n"),
];
const CONFIRM_REFUSED: [(&str, &str); 2] = [
    ("saga: hour", "saga: confirm-refused"),
    (
        "Account/ConfirmHold\n",
        "Account/ConfirmHold\n      retry: { max_attempts: 2, initial: 20ms, max: 20ms }\n      codes: { UNAVAILABLE: rejected }\n",
    ),
];
const PIVOT_UNKNOWN: [(&str, &str); 2] = [
    ("saga: hour", "saga: pivot-unknown"),
    (
        "timeout: 3s\n      retry: { max_attempts: 6, initial: 200ms, max: 10s }",
        "timeout: 300ms\n      retry: { max_attempts: 2, initial: 20ms, max: 20ms }",
    ),
];
/// The six, with their definitions and who pays: Paul can't.
const STUCK: [(&str, &str, &str); 6] = [
    ("stuck-undo-1", "hour", "paul"),
    ("stuck-undo-2", "hour", "paul"),
    ("stuck-refused-1", "undo-refused", "paul"),
    ("stuck-refused-2", "undo-refused", "paul"),
    ("stuck-confirm-1", "confirm-refused", "ada"),
    ("stuck-pivot-1", "pivot-unknown", "ada"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hour_three_commands_repair_what_an_outage_left() {
    let orders = setting("AMENDS_HOUR_SAGAS", 200);
    let hour = Hour::begins(orders).await;
    // One command shows what is stuck, and why.
    let listed = hour.json(&["saga", "list", "--status", "stuck"], 0);
    let why = |saga: &Value| saga["why"].as_str().unwrap_or_default().to_owned();
    let whys: Vec<String> = listed["sagas"].as_array().expect("sagas").iter().map(why).collect();
    assert!(whys.len() == STUCK.len() && whys.iter().all(|why| why.contains("tuck")), "{whys:#?}");
    // The second says exactly what would be done.
    let plan =
        ["batch", "plan", "--status", "stuck", "--do", "retry", "--reason", "inventory, account and payment are back"];
    let plan = hour.json(&plan, 0);
    assert_eq!(plan["planned"], STUCK.len().to_string(), "{plan:#}");
    // Somebody repairs one by hand in between.
    hour.amends(&["saga", "retry", "stuck-undo-1", "--reason", "by hand"], 0);
    assert_eq!(ended(&hour.world.channels[1], "stuck-undo-1", PATIENCE).await.status(), api::SagaStatus::Compensated);
    // The third does it, and names the one that it left alone.
    let id = plan["id"].as_str().expect("an id");
    let applied = ["batch", "apply", id, "--rps", "50", "--reason", "as planned", "--yes", "--watch"];
    let (_, table) = hour.amends(&applied, 1);
    assert!(table.contains("stuck-undo-1") && !table.contains("stuck-undo-2"), "{table}");

    hour.ends_well(orders).await;
    hour.the_audit_verifies(Some(id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hour_again_through_the_console() {
    let orders = setting("AMENDS_HOUR_SAGAS", 200);
    let hour = Hour::begins(orders).await;
    let address = format!("http://{}", hour.world.fleet.coordinators[2].http());
    let told = json!({ "address": address, "stuck": STUCK.map(|(id, ..)| id) });
    tokio::task::block_in_place(|| browser::drive("hour.test.mjs", &told, &[]));
    hour.ends_well(orders).await;
    hour.the_audit_verifies(None);
}

struct Hour {
    world: World,
}

impl Hour {
    /// Six are stuck, so many orders have waited, and what was wrong has just been mended.
    async fn begins(orders: u64) -> Self {
        let hour = Self { world: World::new().await };
        hour.six_get_stuck().await;
        hour.payment_goes_away_and_orders_pile_up(orders).await;
        hour.everything_is_mended_outside().await;
        hour
    }

    /// Everything ends, every book balances, and what had moved was left alone.
    async fn ends_well(&self, orders: u64) {
        let completed = self.all_end(orders).await;
        orders::check_books(&self.world.fleet.places, completed).await;
        self.nothing_was_done_to_the_one_that_had_moved().await;
    }

    /// Sets the rules by which a participant fails.
    async fn faults(&self, participant: usize, rules: Vec<Rule>) {
        let mut faults = FaultsClient::new(dial(self.world.fleet.participants[participant].address).await);
        faults.set(SetRequest { rules }).await.expect("rules");
    }

    async fn six_get_stuck(&self) {
        for changes in [[].as_slice(), &UNDO_REFUSED, &CONFIRM_REFUSED, &PIVOT_UNKNOWN] {
            define(self.world.channels[0].clone(), definition(changes)).await;
        }
        let down = |method: &str| rule(method, Kind::Down, "stuck-");
        self.faults(INVENTORY, vec![down("Release")]).await;
        self.faults(ACCOUNT, vec![down("ConfirmHold")]).await;
        self.faults(PAYMENT, vec![rule("Charge", Kind::TimeoutAfterCommit, "stuck-pivot"), down("GetCharge")]).await;
        for (id, definition, customer) in STUCK {
            let amount = if customer == "paul" { 1_000_000 } else { orders::PRICE };
            let input = json!({ "order_id": id, "sku": "teapot", "quantity": 1, "account_id": customer, "amount_minor": amount });
            start(&self.world.channels[0], definition, id, &input).await;
        }
        let begun = Instant::now();
        let stuck = loop {
            let list = api::ListSagasRequest { statuses: vec![api::SagaStatus::Stuck.into()], ..Default::default() };
            let found =
                SagasClient::new(self.world.channels[0].clone()).list(list).await.expect("sagas").into_inner().sagas;
            if found.len() == STUCK.len() {
                break found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "stuck are only {found:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let reasons: std::collections::BTreeSet<i32> =
            stuck.iter().flat_map(|saga| &saga.stuck).map(|it| it.reason).collect();
        assert_eq!(reasons.len(), 4, "{reasons:?}");
    }

    async fn payment_goes_away_and_orders_pile_up(&self, orders: u64) {
        self.faults(PAYMENT, vec![rule("Charge", Kind::Down, ""), rule("GetCharge", Kind::Down, "")]).await;
        let mut hands = JoinSet::new();
        for hand in 0..HANDS {
            let channel =
                self.world.channels[usize::try_from(hand).expect("small") % self.world.channels.len()].clone();
            hands.spawn(async move {
                for number in (hand..orders).step_by(usize::try_from(HANDS).expect("small")) {
                    start(&channel, "hour", &orders::id(number), &orders::input(number)).await;
                }
            });
        }
        hands.join_all().await;
        // Eight in ten get as far as the payment.
        let begun = Instant::now();
        while self.waiting().await < orders * 7 / 10 {
            assert!(begun.elapsed() < PATIENCE, "only {} wait", self.waiting().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many operations wait for payment on all nodes.
    async fn waiting(&self) -> u64 {
        let mut waiting = 0;
        for channel in &self.world.channels {
            let get = api::GetParticipantRequest { name: "payment".to_owned(), ..Default::default() };
            let payment = ParticipantsClient::new(channel.clone()).get(get).await.expect("payment").into_inner();
            waiting += payment.protection.expect("always there").waiting.iter().map(|it| it.count).sum::<u64>();
        }
        waiting
    }

    async fn everything_is_mended_outside(&self) {
        for participant in &self.world.fleet.participants {
            FaultsClient::new(dial(participant.address).await).clear(ClearRequest {}).await.expect("no rules");
        }
    }

    /// Waits until everything has ended, and says how many have completed.
    async fn all_end(&self, orders: u64) -> i64 {
        let ids = (0..orders).map(orders::id).chain(STUCK.map(|(id, ..)| id.to_owned()));
        let mut completed = 0;
        for id in ids {
            let status = ended(&self.world.channels[2], &id, PATIENCE).await.status();
            assert!(matches!(status, api::SagaStatus::Completed | api::SagaStatus::Compensated), "{id}: {status:?}");
            completed += i64::from(status == api::SagaStatus::Completed);
        }
        eprintln!("hour: {completed} of {} completed", orders + 6);
        completed
    }

    async fn nothing_was_done_to_the_one_that_had_moved(&self) {
        let list =
            api::ListHistoryRequest { saga_id: "stuck-undo-1".to_owned(), page_size: 1000, ..Default::default() };
        let history = SagasClient::new(self.world.channels[0].clone()).list_history(list).await.expect("a history");
        let retried =
            history.into_inner().entries.into_iter().filter(|entry| entry.kind() == api::HistoryKind::Retried);
        let reasons: Vec<String> = retried.map(|entry| entry.reason).collect();
        assert_eq!(reasons, ["by hand"]);
    }

    fn the_audit_verifies(&self, batch: Option<&str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audit.jsonl").display().to_string();
        self.amends(&["audit", "export", &file], 0);
        self.amends(&["audit", "verify", &file], 0);
        let text = std::fs::read_to_string(&file).expect("an export");
        assert!(text.contains("by hand") && batch.is_none_or(|batch| text.contains(batch)), "{text}");
        // And it notices what was changed.
        std::fs::write(&file, text.replacen("by hand", "by mind", 1)).expect("a file");
        self.amends(&["audit", "verify", &file], 1);
    }

    /// Runs `amends` against one of the nodes: what it printed, and what it said beside, if it ended with this code.
    fn amends(&self, arguments: &[&str], code: i32) -> (String, String) {
        let address = format!("http://{}", self.world.fleet.coordinators[1].address);
        let run =
            Command::new(program("amends")).args(arguments).args(["--address", &address]).output().expect("it runs");
        let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        eprintln!("$ amends {}\n{said}{complained}", arguments.join(" "));
        assert_eq!(run.status.code(), Some(code), "amends {}", arguments.join(" "));
        (said.into_owned(), complained.into_owned())
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.amends(&arguments, code).0).expect("JSON")
    }
}

fn rule(method: &str, kind: Kind, prefix: &str) -> Rule {
    Rule { method: method.to_owned(), kind: kind.into(), saga_id_prefix: prefix.to_owned(), ..Rule::default() }
}

fn definition(changes: &[(&str, &str)]) -> String {
    let source = std::fs::read_to_string(root().join("examples/checkout/checkout.saga.yaml")).expect("the example");
    PATIENT.iter().chain(changes).fold(source, |source, (old, new)| {
        assert!(source.contains(old), "the example has no {old:?}");
        source.replacen(old, new, 1)
    })
}
