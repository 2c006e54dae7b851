//! A store is restored from a backup that is older than what it had acknowledged, as `coordinator/docs/backup.md` says: both stores.
//!
//! What was acknowledged since is reported: on Redis the shards freeze while a node lives that knows better, and with either store the
//! participants know which sagas they have heard of. Started again with their ids and inputs, all orders end, no effect happens twice,
//! and every book balances.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use amends_participant::testing::connect;
use amends_redis_lab::{Server, Settings};
use serde_json::Value;
use tonic::transport::Channel;

use crate::fleet::{Fleet, Kept};
use crate::orders::{self, Stream};
use crate::process::{Process, program};

/// Of two sagas the older one may be committed later, by no more than this.
const OVERTAKEN_MAX_MS: i64 = 60_000;

/// What `amends` prints with `-o json`.
fn amends(arguments: &[&str]) -> Value {
    let run = Command::new(program("amends")).args(arguments).args(["-o", "json"]).output().expect("the binary");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "amends {arguments:?}: {said}");
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restoring_an_old_backup_of_the_embedded_store() {
    let mut fleet = Fleet::start(Kept::Sqlite).await;
    orders::open_shop(&fleet).await;
    let channel = fleet.coordinators[0].channel();
    let folder = fleet.coordinators[0].argument("--data").to_owned();
    let backup = format!("{folder}.backup");
    let mut stream = Stream::start(std::slice::from_ref(&channel), 8);
    stream.flow(60).await;
    let made = amends(&["store", "backup", "--data", &folder, &backup]);
    stream.flow(60).await;
    let accepted = stream.stop(&channel).await;

    tokio::task::block_in_place(|| {
        fleet.coordinators[0].kill();
        // The machine is gone, and another one takes its place.
        std::fs::rename(&folder, format!("{folder}.lost")).expect("own folder");
        assert_eq!(amends(&["store", "restore", "--data", &folder, &backup]), made);
        fleet.coordinators[0].restart();
    });
    let newest = made["newest_start_ms"].as_i64().expect("it has sagas");
    mend("an old backup of the embedded store", &fleet, &channel, accepted, newest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restoring_an_old_backup_of_redis() {
    let mut server = Server::start(&Settings::strict());
    let backup = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start_on(&vec![server.url(); 2], "").await;
    orders::open_shop(&fleet).await;
    let channels: Vec<Channel> = fleet.coordinators.iter().map(Process::channel).collect();
    let mut stream = Stream::start(&channels, 8);
    stream.flow(60).await;
    let begun = back_up(&server, backup.path());
    stream.flow(60).await;
    let accepted = stream.stop(&channels[0]).await;

    tokio::task::block_in_place(|| {
        server.kill();
        server.restart_in(backup.path());
    });
    told_of_the_loss(&fleet, accepted).await;
    // The operator decides to go on with what the store has.
    tokio::task::block_in_place(|| {
        fleet.coordinators.iter_mut().for_each(Process::kill);
        fleet.coordinators.iter_mut().for_each(Process::restart);
    });
    mend("an old backup of Redis", &fleet, &channels[0], accepted, begun).await;
}

/// Copies the append-only file of a server that is written to; says from when on what is in the copy may be incomplete.
fn back_up(server: &Server, to: &Path) -> i64 {
    // A rewrite would take files away while they are copied.
    server.configure("auto-aof-rewrite-percentage", "0");
    assert_eq!(server.info("aof_rewrite_in_progress").as_deref(), Some("0"));
    let (seconds, _): (i64, i64) = server.ask(&["TIME"]);
    for name in ["server.conf", "appendonlydir"] {
        let copy = Command::new("cp").arg("-r").arg(server.folder().join(name)).arg(to).status().expect("cp");
        assert!(copy.success());
    }
    server.configure("auto-aof-rewrite-percentage", "100");
    seconds * 1000
}

/// Waits until the shards say what they have lost. Nobody goes on by itself.
async fn told_of_the_loss(fleet: &Fleet, accepted: u64) {
    let address = format!("http://{}", fleet.coordinators[0].address);
    let frozen = || {
        let said = amends(&["--address", &address, "cluster", "shards"]);
        let shards = said["shards"].as_array().expect("shards").clone();
        shards.into_iter().filter(|shard| shard["state"] == "SHARD_STATE_FROZEN").collect::<Vec<_>>()
    };
    let begun = std::time::Instant::now();
    let mut last = Vec::new();
    // As many as there are in two answers in a row: the shards are taken again one after the other.
    loop {
        let now = tokio::task::block_in_place(frozen);
        if !now.is_empty() && now.len() == last.len() {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "no loss is reported: {last:#?}");
        last = now;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    eprintln!("{} shards are frozen behind {accepted} orders; the first: {}", last.len(), last[0]["message"]);
    assert!(
        last.iter()
            .all(|shard| shard["message"].as_str().is_some_and(|text| text.contains("confirmed changes are lost")))
    );
}

/// Finds what the store has lost, and starts it again. `since`: Unix milliseconds, from when on the store may have gaps.
async fn mend(what: &str, fleet: &Fleet, channel: &Channel, accepted: u64, since: i64) {
    let missing = orders::missing(channel, accepted).await;
    assert!(!missing.is_empty(), "nothing was lost: the backup proves nothing");
    let reported = heard_of(fleet, since).await;
    let unreported = |number: &&u64| !reported.contains(&orders::id(**number));
    let unreported: Vec<&u64> = missing.iter().filter(unreported).collect();
    eprintln!("{what}: {} of {accepted} orders lost, {} heard of since", missing.len(), reported.len());
    assert_eq!(unreported, Vec::<&u64>::new(), "lost, and no participant says so");
    orders::place_again(channel, &missing).await;
    let compensated = orders::settle(what, fleet, channel, accepted).await;
    assert_eq!(compensated, orders::must_fail(accepted), "what had come about came out otherwise");
}

/// The sagas that some participant has heard of since then: the query of the page.
async fn heard_of(fleet: &Fleet, since: i64) -> BTreeSet<String> {
    let mut heard = BTreeSet::new();
    for place in &fleet.places {
        let mut database = connect(place).await;
        let sagas: Vec<(String,)> =
            sqlx::query_as("SELECT saga_id FROM amends_saga WHERE begun IS NULL OR begun >= $1")
                .bind(since - OVERTAKEN_MAX_MS)
                .fetch_all(&mut database)
                .await
                .expect("the barrier's table");
        heard.extend(sagas.into_iter().map(|(saga,)| saga));
    }
    heard
}
