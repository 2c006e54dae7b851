//! No acknowledged commit is lost when the process is killed in the middle of its work, nor when its disk loses power.
//!
//! The test starts itself again as a child that commits and prints each acknowledgement, kills it without warning after a
//! number of them, and looks for every one in the store. A kill alone doesn't test the sync: the system keeps what was written.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use amends_engine::payload::{Payload, PayloadKey};
use amends_redis_lab::Disk;
use amends_store::Store as _;
use amends_store::conformance::support::{Owner, entry, key};

use crate::support::sqlite;

const DIR: &str = "AMENDS_TEST_KILL_DIR";
const SAGAS: u64 = 20;

/// The child: commits for ever. Does nothing in an ordinary test run, where nobody has named a directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = sqlite(dir.as_ref());
    let owner = Owner::of(&store, "node-a").await;
    let work = (0..SAGAS).map(|saga| keep_committing(&owner, saga));
    futures::future::join_all(work).await;
}

async fn keep_committing(owner: &Owner<'_>, saga: u64) {
    let key = key(&format!("order-{saga}"));
    let mut revision = owner.revision(&key).await;
    loop {
        let mut commit = owner.draft(&key, revision);
        commit.history = vec![entry(revision)];
        if revision == 0 {
            commit.payloads = vec![(PayloadKey::Input, Payload::json("{}"))];
        }
        owner.write(commit).await;
        revision += 1;
        // Nobody reads any more once the parent has enough.
        if writeln!(std::io::stdout(), "acknowledged {saga} {revision}").is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn no_acknowledged_commit_is_lost_by_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for enough in [1, 50, 333, 700, 7] {
        let (child, lines) = work(dir.path(), enough, &mut acknowledged);
        kill(child, lines, &mut acknowledged);
        check(dir.path(), &mut acknowledged).await;
    }
    assert!(acknowledged.values().sum::<u64>() > 1_000);
}

#[tokio::test]
async fn no_acknowledged_commit_is_lost_by_a_power_cut() {
    let mut disk = Disk::new();
    let dir = disk.folder().join("data");
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for enough in [1, 50, 333] {
        let (child, lines) = work(&dir, enough, &mut acknowledged);
        disk.cut_power_of(|| kill(child, lines, &mut acknowledged));
        check(&dir, &mut acknowledged).await;
    }
    assert!(acknowledged.values().sum::<u64>() > 384);
}

/// Lets a child commit until it has acknowledged so many.
fn work(dir: &Path, enough: u64, acknowledged: &mut BTreeMap<u64, u64>) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..enough {
        assert!(note_next(&mut lines, acknowledged), "the child goes on until it is killed");
    }
    (child, lines)
}

fn kill(mut child: Child, mut lines: BufReader<ChildStdout>, acknowledged: &mut BTreeMap<u64, u64>) {
    child.kill().unwrap();
    // What it had said before it died counts too.
    while note_next(&mut lines, acknowledged) {}
    child.wait().unwrap();
}

/// Takes the next acknowledgement down; `false` when there is none any more. A torn line is none.
fn note_next(lines: &mut impl BufRead, acknowledged: &mut BTreeMap<u64, u64>) -> bool {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some((_, words)) =
            line.trim_end_matches('\n').split_once("acknowledged ").filter(|_| line.ends_with('\n'))
        {
            let (saga, revision) = words.split_once(' ').expect("two numbers");
            let highest = acknowledged.entry(saga.parse().unwrap()).or_default();
            *highest = revision.parse::<u64>().unwrap().max(*highest);
            return true;
        }
        line.clear();
    }
    false
}

async fn check(dir: &Path, acknowledged: &mut BTreeMap<u64, u64>) {
    let store = sqlite(dir);
    let log = std::fs::metadata(dir.join("amends.db-wal")).unwrap().len();
    for (saga, revision) in acknowledged {
        let key = key(&format!("order-{saga}"));
        let stored = store.get(&key).await.unwrap().unwrap_or_else(|| panic!("{key} was acknowledged"));
        // A commit in the works when the kill came may be there as well, and only whole.
        assert!((*revision..=*revision + 1).contains(&stored.revision), "{key}: {} for {revision}", stored.revision);
        assert_eq!(stored.payloads.len(), 1, "{key}");
        let history = store.history(&key, 0, usize::MAX).await.unwrap();
        assert_eq!(history.len() as u64, stored.revision, "{key}");
        amends_store::record::decode_state(&stored.state).unwrap();
        // Whoever has read it relies on it from now on.
        *revision = stored.revision;
    }
    assert_eq!(log, 0, "what is shown after a crash is in the database, and synced");
    assert_eq!(store.check().await.unwrap(), []);
}
