//! `kill -9` of every process at random moments, again and again, while sagas run.
//!
//! At the end every accepted saga has ended, every ledger balances, and nothing took effect twice.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_participant::database::Place;
use amends_participant::testing::connect;
use amends_proto::v1 as api;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use sqlx::AnyConnection;

use crate::fleet::{Fleet, Kept, Process, ended, setting, start};

/// How long the last saga may take once nobody is killed any more.
const SETTLE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nothing_is_lost_and_nothing_happens_twice() {
    kill_everything(Kept::Sqlite, setting("AMENDS_KILL_SAGAS", 320), setting("AMENDS_KILLS", 10)).await;
}

/// Postgres itself stays up here; the SDK's own tests kill it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_on_postgres_nothing_is_lost_and_nothing_happens_twice() {
    let (sagas, kills) = (setting("AMENDS_KILL_POSTGRES_SAGAS", 160), setting("AMENDS_KILLS_POSTGRES", 5));
    kill_everything(Kept::Postgres, sagas, kills).await;
}

async fn kill_everything(kept: Kept, sagas: u64, kills: u64) {
    let seed = setting("AMENDS_SEED", rand::random());
    eprintln!("kill test on {kept:?}: {sagas} sagas, {kills} kills of each process, AMENDS_SEED={seed}");
    let mut fleet = Fleet::start(kept).await;
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
    eprintln!("kill test on {kept:?}: {completed} completed, {compensated} compensated");
    assert!(completed > 0 && compensated > 0, "a run without both outcomes proves little");
    check_ledgers(&fleet.places, completed, 200_020_000, 100_010).await;
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

async fn number(database: &mut AnyConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(database).await.expect("a number")
}

/// What a participant says of its own books.
async fn sums(database: &mut AnyConnection) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT kind, amount FROM conservation").fetch_all(database).await.expect("sums");
    rows.into_iter().collect()
}

async fn check_ledgers(places: &[Place], completed: i64, money: i64, stock: i64) {
    let mut books = Vec::new();
    for place in places {
        let mut database = connect(place).await;
        let twice = number(&mut database, "SELECT count(*) FROM effects WHERE count > 1").await;
        assert_eq!(twice, 0, "an effect twice, at {place}");
        books.push(sums(&mut database).await);
    }
    let [account, inventory, payment] = books.as_slice() else { panic!("three participants") };
    assert_eq!(account["held"], 0, "money is still held");
    assert_eq!(account["balance"], money, "money was made or lost");
    assert_eq!(account["entries_sum"], 0);
    assert_eq!(inventory["available"] + inventory["sold"], stock, "stock was made or lost");
    assert_eq!(inventory["sold"], completed, "sold is not what was completed");
    assert_eq!(payment["charged"] - payment["refunded"], completed * 2_500, "charged is not what was completed");
    let settled = "SELECT balance_minor FROM accounts WHERE account_id = 'merchant-settlement'";
    let settled = number(&mut connect(&places[0]).await, settled).await;
    assert_eq!(settled, completed * 2_500, "settled is not what was completed");
}
