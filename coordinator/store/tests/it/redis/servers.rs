//! What a server does that is restarted, full, asked to forget its scripts, or reached with a password.

use amends_engine::payload::{Payload, PayloadKey};
use amends_redis_lab::{Server, Settings};
use amends_store::conformance::support::{LONG, Owner, entry, key};
use amends_store::redis::{Address, RedisOptions};
use amends_store::{Commit, CommitError, Committed, Epoch, Nonce, RedisStore, ShardId, Store};

use super::conformance::{options, store};

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill_and_the_store_goes_on_by_itself() {
    let mut server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    let (one, two) = (key("order-1"), key("order-2"));
    owner.write(Commit { history: vec![entry(0)], ..owner.draft(&one, 0) }).await;
    server.kill();
    let answer = owner.commit(owner.draft(&two, 0)).await;
    assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
    server.restart();
    // The scripts are gone with the process, the leases aren't.
    owner.write(owner.draft(&one, 1)).await;
    assert_eq!(owner.revision(&one).await, 2);
    assert_eq!(owner.revision(&two).await, 0);
    owner.write(owner.draft(&two, 0)).await;
}

#[tokio::test]
async fn scripts_that_a_server_has_forgotten_are_given_again() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    owner.write(owner.draft(&key("order-1"), 1)).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    store.renew(owner.lease(&key("order-1")), LONG).await.unwrap();
}

/// Nothing of the refused commit is there, and what is over can still be given room.
#[tokio::test]
async fn a_full_memory_refuses_and_says_so() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    let (one, two) = (key("order-1"), key("order-2"));
    owner.write(owner.draft(&one, 0)).await;
    server.configure("maxmemory", "1000000");
    let answers = store.commit(vec![owner.draft(&one, 1), owner.draft(&two, 0)]).await;
    assert!(matches!(answers[..], [Err(CommitError::Full), Err(CommitError::Full)]), "{answers:?}");
    assert_eq!((owner.revision(&one).await, owner.revision(&two).await), (1, 0));
    server.configure("maxmemory", "268435456");
    owner.write(owner.draft(&one, 1)).await;
}

/// A tenth is kept for what runs already.
#[tokio::test]
async fn a_memory_that_is_nearly_full_takes_no_new_sagas() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    let (one, two) = (key("order-1"), key("order-2"));
    let first = owner.draft(&one, 0);
    owner.write(first.clone()).await;
    let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
    server.configure("maxmemory", &(used * 100 / 93).to_string());
    store.look().await;
    let answer = owner.commit(owner.draft(&two, 0)).await;
    assert!(matches!(answer, Err(CommitError::Full)), "{answer:?}");
    assert!(matches!(owner.commit(first).await, Ok(Committed::Duplicate { .. })), "what was taken stays taken");
    owner.write(owner.draft(&one, 1)).await;
    server.configure("maxmemory", "268435456");
    store.look().await;
    owner.write(owner.draft(&two, 0)).await;
}

/// Every key that there is, after all kinds of traffic: none would ever go by itself.
#[tokio::test]
async fn nothing_expires() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    amends_store::conformance::random::differential(&store, 7, 300).await;
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert_eq!(server.ask::<i64>(&["TTL", &key]), -1, "{key}");
    }
}

/// A backup that is restored has old epochs; the time keeps the new ones above all that were given since (semantics A7).
#[tokio::test]
async fn epochs_do_not_come_back_with_a_backup() {
    let mut server = Server::start(&Settings::strict());
    let folder = server.folder().to_owned();
    let options = options(&server.url());
    let store = RedisStore::open(options.clone()).await.unwrap();
    // The first call after a restart may meet the broken connection.
    let take = async |store: &RedisStore, nonce| {
        let mut answer = store.acquire(ShardId(0), "node-a", Nonce(nonce), LONG).await;
        if answer.is_err() {
            answer = store.acquire(ShardId(0), "node-a", Nonce(nonce), LONG).await;
        }
        answer.unwrap().lease.epoch
    };
    take(&store, 1).await;
    server.terminate();
    let backup = tempfile::tempdir().unwrap();
    copy(&folder, backup.path());
    server.restart();
    let mut last = Epoch(0);
    for nonce in 2..20 {
        last = take(&store, nonce).await;
    }
    server.terminate();
    server.restart_in(backup.path());
    let next = take(&store, 99).await;
    assert!(next > last, "{next:?} after {last:?}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}

/// With the rights that the refusal advises, and no more.
#[tokio::test]
async fn a_user_of_its_own_with_few_rights_is_enough() {
    let server = Server::start(&Settings::strict());
    let rights = "on >s3cret ~{amends:* +@all -@dangerous -@admin +info +role +config|get +acl|whoami +acl|dryrun";
    let words: Vec<&str> = ["ACL", "SETUSER", "amends"].into_iter().chain(rights.split(' ')).collect();
    server.ask::<()>(&words);
    server.ask::<()>(&["ACL", "SETUSER", "default", "resetpass", ">other"]);
    let host = server.address();
    let wrong = RedisStore::open(options(&format!("redis://amends:wrong@{host}"))).await.expect_err("a wrong password");
    assert!(!format!("{wrong} {wrong:?}").contains("amends:wrong"), "{wrong}");
    let options = options(&format!("redis://amends:s3cret@{host}"));
    let findings = RedisStore::examine(options.clone()).await.unwrap();
    assert!(findings.iter().any(|finding| finding.message.contains("neither wipe nor reconfigure")), "{findings:?}");
    let store = RedisStore::open(options.clone()).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    assert!(!format!("{store:?} {options:?}").contains("s3cret"));
}

/// Many callers at once share calls, and none gets another's answer.
#[tokio::test]
async fn one_call_carries_many_sagas_and_shards() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    let before = store.stats();
    let keys: Vec<_> = (0..300).map(|number| key(&format!("order-{number}"))).collect();
    let answers = store.commit(keys.iter().map(|key| owner.draft(key, 0)).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Committed::Now { .. }))), "{answers:?}");
    let after = store.stats();
    assert_eq!((after.commits - before.commits, after.transactions - before.transactions), (300, 1));
    // All of one revision and then all of the next: what comes behind a saga's second commit waits for it.
    let mut again = Vec::new();
    for revision in [1, 2] {
        again.extend(keys.iter().map(|key| owner.draft(key, revision)));
    }
    assert!(store.commit(again).await.iter().all(|answer| matches!(answer, Ok(Committed::Now { .. }))));
    assert_eq!(store.stats().transactions - after.transactions, 2, "a saga is once in a call");
}

/// A group of large sagas goes in several calls.
#[tokio::test]
async fn large_commits_are_cut_into_calls() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    let large = |number: u64| {
        let payload = Payload::json(vec![b'x'; 1_500_000]);
        let draft = owner.draft(&key(&format!("order-{number}")), 0);
        Commit { payloads: vec![(PayloadKey::Input, payload)], ..draft }
    };
    let answers = store.commit((0..5).map(large).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Committed::Now { .. }))), "{answers:?}");
    assert_eq!(store.stats().transactions, 3, "two, two and one");
}

#[tokio::test]
async fn the_number_of_shards_and_the_format_cannot_change() {
    let server = Server::start(&Settings::strict());
    let options = options(&server.url());
    drop(RedisStore::open(options.clone()).await.unwrap());
    let other = RedisStore::open(RedisOptions { shards: Some(9), ..options.clone() }).await.expect_err("other shards");
    assert!(other.to_string().contains("has 4 shards, not 9"), "{other}");
    server.ask::<()>(&["HSET", &format!("{{amends:{}:meta}}", options.name), "format", "4"]);
    let newer = RedisStore::open(options).await.expect_err("newer");
    assert!(newer.to_string().contains("format 4"), "{newer}");
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let options = RedisOptions::new(Address::parse("redis://:s3cret@127.0.0.1:1").unwrap());
    let error = RedisStore::open(options).await.expect_err("nobody listens").to_string();
    assert!(error.starts_with("Redis at redis://127.0.0.1:1 can't be used: ") && !error.contains("s3cret"), "{error}");
}
