//! `kill -9` of every process at random moments, again and again, while sagas run.
//!
//! At the end every accepted saga has ended, every ledger balances, and nothing took effect twice.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};

use crate::fleet::{Fleet, Kept};
use crate::orders;
use crate::process::{Process, setting};

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
    orders::open_shop(&fleet).await;
    let channel = fleet.coordinators[0].channel();

    // Spread over the time that the kills take, so that each kill hits sagas under way.
    let pause = Duration::from_millis(kills * 4 * 700) / u32::try_from(sagas).expect("a small number");
    let starter = tokio::spawn(orders::place_all(channel.clone(), sagas, pause));
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    fleet = tokio::task::spawn_blocking(move || {
        kill_all(&mut fleet, kills, &mut random);
        fleet
    })
    .await
    .expect("the killer");
    starter.await.expect("all accepted");
    orders::settle(&format!("kill test on {kept:?}"), &fleet, &channel, sagas).await;
}

fn kill_all(fleet: &mut Fleet, kills: u64, random: &mut rand::rngs::StdRng) {
    for _ in 0..kills {
        let mut order = [0, 1, 2, 3];
        rand::seq::SliceRandom::shuffle(order.as_mut_slice(), random);
        for which in order {
            std::thread::sleep(Duration::from_millis(random.random_range(50..700)));
            let process: &mut Process = match which {
                3 => &mut fleet.coordinators[0],
                participant => &mut fleet.participants[participant],
            };
            process.kill();
            std::thread::sleep(Duration::from_millis(random.random_range(0..200)));
            process.restart();
        }
    }
}
