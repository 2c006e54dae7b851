//! `kill -9` of every process at random moments, again and again, while sagas run.
//!
//! At the end every accepted saga has ended, every ledger balances, and nothing took effect twice.

use std::path::Path;
use std::time::Duration;

use amends_proto::v1 as api;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::fleet::{Fleet, Process, ended, start};

/// How long the last saga may take once nobody is killed any more.
const SETTLE: Duration = Duration::from_secs(120);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nothing_is_lost_and_nothing_happens_twice() {
    let (sagas, kills) = (setting("AMENDS_KILL_SAGAS", 320), setting("AMENDS_KILLS", 10));
    let seed = setting("AMENDS_SEED", rand::random());
    eprintln!("kill test: {sagas} sagas, {kills} kills of each process, AMENDS_SEED={seed}");
    let mut fleet = Fleet::start();
    let customers = [("ada", 100_000_000), ("ben", 100_000_000), ("paul", 20_000)];
    fleet.set_up(&customers, &[("teapot", 100_000), ("first-edition", 10)]).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", fleet.coordinator.address));
    let channel = endpoint.expect("an address").connect_lazy();

    let starter = tokio::spawn(start_all(channel.clone(), sagas, kills));
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    fleet = tokio::task::spawn_blocking(move || {
        kill_all(&mut fleet, kills, &mut random);
        fleet
    })
    .await
    .expect("the killer");
    starter.await.expect("all accepted");

    let mut completed = 0;
    let mut compensated = 0;
    for number in 0..sagas {
        match ended(&channel, &id(number), SETTLE).await.status() {
            api::SagaStatus::Completed => completed += 1,
            api::SagaStatus::Compensated => compensated += 1,
            other => panic!("{} ended as {other:?}", id(number)),
        }
    }
    eprintln!("kill test: {completed} completed, {compensated} compensated");
    assert!(completed > 0 && compensated > 0, "a run without both outcomes proves little");
    check_ledgers(fleet.data.path(), completed, 200_020_000, 100_010);
}

fn id(number: u64) -> String {
    format!("order-{number:05}")
}

/// Spread over the time that the kills take, so that each kill hits sagas under way.
async fn start_all(channel: tonic::transport::Channel, sagas: u64, kills: u64) {
    let pause = Duration::from_millis(kills * 4 * 700) / u32::try_from(sagas).expect("a small number");
    for number in 0..sagas {
        let (sku, customer) = match number % 10 {
            3 => ("first-edition", "ada"),
            6 => ("teapot", "paul"),
            _ => ("teapot", ["ada", "ben"][usize::try_from(number % 2).expect("0 or 1")]),
        };
        let input = json!({
            "order_id": id(number), "sku": sku, "quantity": 1, "account_id": customer, "amount_minor": 2_500
        });
        start(&channel, "checkout", &id(number), &input).await;
        tokio::time::sleep(pause).await;
    }
}

fn kill_all(fleet: &mut Fleet, kills: u64, random: &mut rand::rngs::StdRng) {
    for _ in 0..kills {
        let mut order = [0, 1, 2, 3];
        rand::seq::SliceRandom::shuffle(order.as_mut_slice(), random);
        for which in order {
            std::thread::sleep(Duration::from_millis(random.random_range(50..700)));
            let process: &mut Process = match which {
                3 => &mut fleet.coordinator,
                participant => &mut fleet.participants[participant],
            };
            process.kill();
            std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
            process.restart();
        }
    }
}

fn open(data: &Path, name: &str) -> Connection {
    Connection::open_with_flags(data.join(name), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database")
}

fn amount(database: &Connection, kind: &str) -> i64 {
    let query = "SELECT amount FROM conservation WHERE kind = ?1";
    database.query_row(query, [kind], |row| row.get(0)).expect("an amount")
}

fn check_ledgers(data: &Path, completed: i64, money: i64, stock: i64) {
    let (account, inventory, payment) =
        (open(data, "account.db"), open(data, "inventory.db"), open(data, "payment.db"));
    for database in [&account, &inventory, &payment] {
        let twice = "SELECT count(*) FROM effects WHERE count > 1";
        assert_eq!(database.query_row(twice, [], |row| row.get::<_, i64>(0)).expect("effects"), 0, "an effect twice");
    }
    assert_eq!(amount(&account, "held"), 0, "money is still held");
    assert_eq!(amount(&account, "balance"), money, "money was made or lost");
    assert_eq!(amount(&account, "entries_sum"), 0);
    assert_eq!(amount(&inventory, "available") + amount(&inventory, "sold"), stock, "stock was made or lost");
    assert_eq!(amount(&inventory, "sold"), completed, "sold is not what was completed");
    let charged = amount(&payment, "charged") - amount(&payment, "refunded");
    assert_eq!(charged, completed * 2_500, "charged is not what was completed");
    let settled = "SELECT balance_minor FROM accounts WHERE account_id = 'merchant-settlement'";
    let settled: i64 = account.query_row(settled, [], |row| row.get(0)).expect("the merchant");
    assert_eq!(settled, completed * 2_500, "settled is not what was completed");
}
