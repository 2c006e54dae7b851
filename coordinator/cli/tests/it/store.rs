//! `amends store …` on a real folder and a real Redis: what it prints, what it refuses, and what `serve` says afterwards.

use std::path::Path;

use amends_engine::time::Timestamp;
use amends_redis_lab::{Server, Settings};
use amends_store::conformance::support::{LONG, Owner, entry, key};
use amends_store::{Commit, Nonce, OpId, OpenOptions, ShardId, SqliteStore, Store as _};

use crate::harness::{Run, amends, compare};

/// A store with three sagas, of which one was finished and swept, that no process has.
async fn fill(folder: &Path) {
    let store =
        SqliteStore::open(OpenOptions { reserve_bytes: 4096, ..OpenOptions::new(folder) }).expect("a free folder");
    let owner = Owner::of(&store, "node-a").await;
    for (op, id) in ["order-1", "order-2"].into_iter().enumerate() {
        let mut first = owner.draft(&key(id), 0);
        first.index.labels = vec![("order".into(), id.into())];
        owner.write(Commit { op: OpId(op as u128), history: vec![entry(0)], ..first }).await;
    }
    owner.write(owner.finish(&key("order-0"), 0, 1)).await;
    store.sweep(Timestamp(2), 10).await.expect("writable");
    for lease in owner.leases.clone() {
        store.release(lease).await.expect("writable");
    }
}

/// Each id as the number of its first appearance.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let mut ids: Vec<String> = Vec::new();
    let mut shown = text.to_owned();
    for word in text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-').filter(|word| is_id(word)) {
        if !ids.iter().any(|id| id == word) {
            ids.push(word.to_owned());
            shown = shown.replace(word, &format!("<id {}>", ids.len()));
        }
    }
    shown
}

fn shown(folder: &Path, server: &Server, arguments: &[&str]) -> String {
    let Run { code, stdout, stderr } = amends(arguments);
    let mut text = format!("$ amends {}\nexit {code}\n", arguments.join(" "));
    for (name, part) in [("stdout", stdout), ("stderr", stderr)] {
        if !part.is_empty() {
            text += &format!("--- {name}\n{part}");
        }
    }
    let text = text.replace(&server.url(), "redis://redis").replace(&folder.display().to_string(), "<folder>");
    without_ids(&text) + "\n"
}

#[tokio::test]
async fn a_copy_is_shown_compared_and_the_source_refused_until_it_is_reopened() {
    let (server, folder) = (Server::start(&Settings::strict()), tempfile::tempdir().expect("a folder"));
    fill(folder.path()).await;
    let (from, to) = (folder.path().display().to_string(), server.url());
    let copy = ["store", "copy", "--from", &from, "--to", &to];
    let screen = |arguments: &[&str]| shown(folder.path(), &server, arguments);
    let mut text = screen(&copy);
    text += &screen(&copy);
    text += &screen(&["serve", "--data", &from, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    text += &screen(&["store", "reopen", "--data", &from]);
    text += &screen(&["store", "reopen", "--data", &from, "--yes"]);
    text += &screen(&["store", "reopen", "--data", &from]);
    // Given up, and served from there once more: what is on Redis is an older copy now, and another name is free.
    text += &screen(&copy);
    let config = folder.path().join("other.yaml");
    std::fs::write(&config, "store: { redis: { name: other } }").expect("writable");
    let config = config.display().to_string();
    text += &screen(&[&copy[..], &["--config", &config, "--output", "yaml"]].concat());
    compare("store-copy", &text);
}

#[tokio::test]
async fn what_a_coordinator_has_is_left_alone() {
    let (server, folder) = (Server::start(&Settings::strict()), tempfile::tempdir().expect("a folder"));
    fill(folder.path()).await;
    let (from, to) = (folder.path().display().to_string(), server.url());
    let copy = ["store", "copy", "--from", &from, "--to", &to];
    let source = SqliteStore::open(OpenOptions::new(folder.path())).expect("a free folder");
    let mut text = shown(folder.path(), &server, &copy);
    drop(source);
    text = text.replace(&std::process::id().to_string(), "<pid>");
    let address = amends_store::redis::Address::parse(&to).expect("an address");
    let target = amends_store::RedisStore::open(amends_store::RedisOptions::new(address)).await.expect("a good server");
    let acquired = target.acquire(ShardId(3), "node-b", Nonce(1), LONG).await.expect("free");
    text += &shown(folder.path(), &server, &copy);
    target.release(acquired.lease).await.expect("writable");
    let owner = Owner::of(&target, "node-b").await;
    owner.write(owner.draft(&key("order-9"), 0)).await;
    for lease in owner.leases.clone() {
        target.release(lease).await.expect("writable");
    }
    text += &shown(folder.path(), &server, &copy);
    compare("store-copy-refused", &text);
}

#[test]
fn wrong_places_are_named_with_the_mend() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let nowhere = nowhere.path().join("none").display().to_string();
    for (arguments, code, expected) in [
        (vec!["store", "copy", "--to", "redis://127.0.0.1"], 2, "--from <DIR>"),
        (vec!["store", "copy", "--from", &nowhere, "--to", "127.0.0.1:6379"], 2, "write --to redis://host:6379"),
        (vec!["store", "copy", "--from", &nowhere, "--to", "redis://a,b"], 2, "redis+cluster://"),
        (vec!["store", "copy", "--from", &nowhere], 2, "store.redis.url"),
        (vec!["store", "copy", "--from", &nowhere, "--to", "redis://127.0.0.1"], 1, "there is no store in "),
        (vec!["store", "reopen", "--data", &nowhere], 1, "there is no store in "),
        (vec!["store", "reopen"], 2, "--data <DIR>"),
    ] {
        let run = amends(&arguments);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{expected:?} is not in {:?}", run.stderr);
        assert!(!Path::new(&nowhere).exists(), "nothing is made");
    }
}

#[tokio::test]
async fn a_backup_is_made_restored_and_never_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, other) = (folder.path().join("store"), folder.path().join("other"));
    fill(&store).await;
    let place = |path: &Path| path.display().to_string();
    let (file, store, other) = (place(&folder.path().join("backup.db")), place(&store), place(&other));
    let screen = |arguments: &[&str]| {
        let Run { code, stdout, stderr } = amends(arguments);
        let text = format!("$ amends {}\nexit {code}\n{stdout}{stderr}\n", arguments.join(" "));
        without_ids(&text.replace(&place(folder.path()), "<folder>"))
    };
    let mut text = screen(&["store", "backup", "--data", &store, &file]);
    text += &screen(&["store", "backup", "--data", &store, &file]);
    text += &screen(&["store", "backup", "--data", &other, &file]);
    text += &screen(&["store", "restore", "--data", &store, &file]);
    text += &screen(&["store", "restore", "--data", &other, &file]);
    text += &screen(&["doctor", "--data", &other]);
    text += &screen(&["store", "restore", "--data", &other, &file, "-o", "yaml"]);
    // The file's size is SQLite's business.
    let bytes = std::fs::metadata(&file).expect("it is there").len();
    compare("store-backup", &text.replace(&format!("{bytes} bytes"), "<some> bytes"));
}
