//! `kill -9` at random moments with participants in Python and Go, whose barriers are written in those languages.
//!
//! At the end every saga has ended, and the participants' own databases show each effect at most once and undone where the
//! saga was.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use amends_proto::v1 as api;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

use crate::fleet::{ended, start};
use crate::languages::Gifts;
use crate::process::setting;

/// How long the last saga may take once nobody is killed any more.
const SETTLE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_participants_in_python_and_go_keep_each_effect_to_one() {
    let (sagas, kills) = (setting("AMENDS_LANGUAGES_SAGAS", 90), setting("AMENDS_LANGUAGES_KILLS", 4));
    let seed = setting("AMENDS_SEED", rand::random());
    eprintln!("kill test in Python and Go: {sagas} sagas, {kills} kills of each process, AMENDS_SEED={seed}");
    let mut gifts = Gifts::open().await;
    let address = format!("http://{}", gifts.coordinator.address);
    let channel = Endpoint::from_shared(address).expect("an address").connect_lazy();

    let starter = tokio::spawn(start_all(channel.clone(), sagas, kills));
    gifts = tokio::task::spawn_blocking(move || {
        kill_all(&mut gifts, kills, &mut rand::rngs::StdRng::seed_from_u64(seed));
        gifts
    })
    .await
    .expect("the killer");
    starter.await.expect("all accepted");

    let mut completed = BTreeMap::new();
    for number in 0..sagas {
        let saga = ended(&channel, &id(number), SETTLE).await;
        let is_completed = match saga.status() {
            api::SagaStatus::Completed => true,
            api::SagaStatus::Compensated => false,
            other => panic!("{} ended as {other:?}", id(number)),
        };
        assert_eq!(is_completed, variant(number) == (7, "stars"), "{}", id(number));
        completed.insert(id(number), is_completed);
    }
    let done = completed.values().filter(|is_completed| **is_completed).count();
    eprintln!("kill test in Python and Go: {done} completed, {} compensated", completed.len() - done);
    assert!(done > 0 && done < completed.len(), "a run without both outcomes proves little");
    check(gifts.data.path(), "loyalty.db", "points", 7, &completed);
    check(gifts.data.path(), "gift-wrap.db", "sheets", 1, &completed);
}

fn id(number: u64) -> String {
    format!("gift-{number:05}")
}

/// Points and paper: a third is refused by one or the other participant.
fn variant(number: u64) -> (i64, &'static str) {
    match number % 6 {
        2 => (7, "gold"),
        5 => (0, "stars"),
        _ => (7, "stars"),
    }
}

/// Spread over the time that the kills take, so that each kill hits sagas under way.
async fn start_all(channel: Channel, sagas: u64, kills: u64) {
    let pause = Duration::from_millis(kills * 3 * 900) / u32::try_from(sagas).expect("a small number");
    for number in 0..sagas {
        let (points, paper) = variant(number);
        let input = json!({ "order_id": id(number), "customer": "ada", "points": points, "paper": paper });
        start(&channel, "gift", &id(number), &input).await;
        tokio::time::sleep(pause).await;
    }
}

fn kill_all(gifts: &mut Gifts, kills: u64, random: &mut rand::rngs::StdRng) {
    for _ in 0..kills {
        let mut order = [0, 1, 2];
        rand::seq::SliceRandom::shuffle(order.as_mut_slice(), random);
        for which in order {
            std::thread::sleep(Duration::from_millis(random.random_range(50..700)));
            let process = match which {
                2 => &mut gifts.coordinator,
                participant => &mut gifts.participants[participant],
            };
            process.kill();
            std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
            process.restart();
        }
    }
}

/// Of a completed saga exactly the one effect; of any other nothing, or the effect and what undid it.
fn check(data: &Path, name: &str, column: &str, effect: i64, completed: &BTreeMap<String, bool>) {
    let database = Connection::open_with_flags(data.join(name), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    let mut entries: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut query = database.prepare(&format!("SELECT saga_id, {column} FROM entries ORDER BY id")).expect("a query");
    let mut rows = query.query([]).expect("entries");
    while let Some(row) = rows.next().expect("a row") {
        entries.entry(row.get(0).expect("a saga")).or_default().push(row.get(1).expect("a number"));
    }
    for (saga, is_completed) in completed {
        let found = entries.remove(saga).unwrap_or_default();
        let is_right = if *is_completed { found == [effect] } else { found.is_empty() || found == [effect, -effect] };
        assert!(is_right, "{name}: {saga}, completed {is_completed}, has the effects {found:?}");
    }
    assert!(entries.is_empty(), "{name}: effects of nobody: {entries:?}");
}
