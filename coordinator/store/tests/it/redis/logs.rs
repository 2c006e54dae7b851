//! Logs and documents on Redis: what a kill leaves, what damage is found, and a store of the format before there were any.

use std::collections::BTreeMap;

use amends_engine::time::Timestamp;
use amends_redis_lab::{Server, Settings};
use amends_store::conformance::support::{Owner, fresh_op, key};
use amends_store::{
    Append, Commit, CommitError, Committed, Filter, Log, RedisStore, Severity, ShardId, Span, Store, StoreError,
};

use super::conformance::{options, store};

const SHARD: ShardId = ShardId(0);

fn audit(number: u64) -> Append {
    Append { log: Log::Audit, number, body: format!("entry {number}").into() }
}

async fn fill(store: &dyn Store, owner: &Owner<'_>, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        store.append(owner.leases[0], fresh_op(), vec![audit(number)]).await.expect("accepted");
    }
}

#[tokio::test]
async fn numbers_are_never_given_again_after_a_trim_and_a_kill() {
    let mut server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    fill(&store, &owner, 1..=4).await;
    store.trim_log(owner.leases[0], Log::Audit, u64::MAX).await.unwrap();
    let gone = store.put_document("hold", "shop", "why".into(), Some(0)).await.unwrap();
    assert!(store.delete_document("hold", "shop", Some(gone)).await.unwrap());
    server.kill();
    server.restart();
    assert_eq!(store.log_span(SHARD, Log::Audit).await.unwrap(), Span { first: 5, next: 5 });
    // The first call after a restart may meet the broken connection.
    let _ = store.append(owner.leases[0], fresh_op(), vec![audit(1)]).await;
    let answer = store.append(owner.leases[0], fresh_op(), vec![audit(1)]).await;
    assert!(matches!(answer, Err(CommitError::StaleLog { next: 5, .. })), "{answer:?}");
    fill(&store, &owner, 5..=6).await;
    let entries = store.read_log(SHARD, Log::Audit, 0, 10).await.unwrap();
    assert_eq!(entries, [(5, "entry 5".into()), (6, "entry 6".into())]);
    let mut again = store.put_document("hold", "shop", "again".into(), Some(0)).await;
    if again.is_err() {
        again = store.put_document("hold", "shop", "again".into(), Some(0)).await;
    }
    assert!(again.unwrap() > gone);
}

/// More than a script removes or a command reads at a time.
#[tokio::test]
async fn a_long_log_is_read_and_trimmed_in_steps() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    for first in [1, 1_251] {
        let some = (first..first + 1_250).map(audit).collect();
        store.append(owner.leases[0], fresh_op(), some).await.unwrap();
    }
    let numbers = |entries: Vec<(u64, bytes::Bytes)>| entries.into_iter().map(|(number, _)| number).collect::<Vec<_>>();
    let all = store.read_log(SHARD, Log::Audit, 0, usize::MAX).await.unwrap();
    assert_eq!(numbers(all), (1..=2_500).collect::<Vec<_>>());
    store.trim_log(owner.leases[0], Log::Audit, 2_400).await.unwrap();
    let left = store.read_log(SHARD, Log::Audit, 0, usize::MAX).await.unwrap();
    assert_eq!(numbers(left), (2_400..=2_500).collect::<Vec<_>>());
    assert_eq!(server.ask::<i64>(&["HLEN", &log_key(&server)]), 103, "the two that say which numbers it has, and 101");
}

/// The key of the first shard's audit log: the only one with that name.
fn log_key(server: &Server) -> String {
    let keys: Vec<String> = server.ask(&["KEYS", "*:0}:log:audit"]);
    let [key] = &keys[..] else { panic!("{keys:?}") };
    key.clone()
}

#[tokio::test]
async fn a_gap_in_a_log_is_damage_and_a_lost_log_is_no_new_one() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    fill(&store, &owner, 1..=5).await;
    let errors = async || {
        let findings = store.check().await.unwrap();
        findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect::<Vec<_>>()
    };
    assert_eq!(errors().await, []);
    server.ask::<()>(&["HDEL", &log_key(&server), "3"]);
    let found = errors().await;
    assert!(found.len() == 1 && found[0].message.contains("of shard 0 has 4 entries"), "{found:?}");
    server.ask::<()>(&["DEL", &log_key(&server)]);
    let found = errors().await;
    assert!(found.len() == 1 && found[0].message.contains("the audit log of shard 0 is gone"), "{found:?}");
    let span = store.log_span(SHARD, Log::Audit).await;
    assert!(matches!(span, Err(StoreError::Corrupt { .. })), "{span:?}");
    for number in [1, 6] {
        let answer = store.append(owner.leases[0], fresh_op(), vec![audit(number)]).await;
        assert!(matches!(answer, Err(CommitError::StaleLog { next: 0, .. })), "{answer:?}");
    }
}

/// As the version before left it: without logs and without open sagas in the index, and with the number 1.
#[tokio::test]
async fn a_store_of_format_1_is_brought_up_to_date_with_all_that_it_has() {
    let server = Server::start(&Settings::strict());
    let options = options(&server.url());
    let before = RedisStore::open(options.clone()).await.unwrap();
    let owner = Owner::of(&before, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    owner.write(owner.finish(&key("order-2"), 0, u64::MAX / 2)).await;
    let id = before.info().id;
    let meta: Vec<String> = server.ask(&["KEYS", "*:meta}"]);
    for key in server.ask::<Vec<String>>(&["KEYS", "*:log:*"]) {
        server.ask::<()>(&["DEL", &key]);
    }
    for key in server.ask::<Vec<String>>(&["KEYS", "*:index"]) {
        server.ask::<i64>(&["ZREMRANGEBYLEX", &key, "[o,", "(o-"]);
    }
    server.ask::<()>(&["HSET", &meta[0], "format", "1"]);

    // Whoever only looks changes nothing.
    let keys = server.ask::<i64>(&["DBSIZE"]);
    let findings = RedisStore::examine(options.clone()).await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity < Severity::Error), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.message.contains("up to format 3")), "{findings:?}");
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), keys);

    let after = RedisStore::open(options.clone()).await.unwrap();
    assert_eq!((after.info().id, server.ask::<String>(&["HGET", &meta[0], "format"])), (id, "3".to_owned()));
    let waiting = Filter { waiting_since: Some(Timestamp(u64::MAX - 1)), ..Filter::default() };
    let listed = after.list(&waiting, None, 10).await.unwrap().items;
    assert_eq!(listed.iter().map(|saga| &saga.key).collect::<Vec<_>>(), [&key("order-1")]);
    // The node that was there all the while goes on, and the new one has logs.
    owner.write(owner.draft(&key("order-1"), 1)).await;
    let owner = Owner::of(&after, "node-a").await;
    let commit = Commit { logs: vec![audit(1)], ..owner.draft(&key("order-1"), 2) };
    assert!(matches!(owner.commit(commit).await, Ok(Committed::Now { .. })));
    let errors: Vec<_> = after.check().await.unwrap().into_iter().filter(|it| it.severity == Severity::Error).collect();
    assert_eq!(errors, []);

    // A shard of which the lease is gone was wiped: it gets no logs, and the store isn't opened.
    server.ask::<()>(&["HSET", &meta[0], "format", "1"]);
    let leases: Vec<String> = server.ask(&["KEYS", "*:3}:lease"]);
    server.ask::<()>(&["DEL", &leases[0]]);
    let error = RedisStore::open(options).await.expect_err("a shard is gone").to_string();
    assert!(error.contains("shard 3 belongs to nobody: was Redis wiped?"), "{error}");
    assert_eq!(server.ask::<String>(&["HGET", &meta[0], "format"]), "1");
}

/// How often each command was carried out, inside of scripts too.
fn commands(server: &Server) -> BTreeMap<String, u64> {
    let text: String = server.ask(&["INFO", "commandstats"]);
    let count = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split_once(',')?.0.parse().ok()?))
    };
    text.lines().filter_map(count).collect()
}

/// What many commits cost in commands, but for those of who looks at the server all the while.
async fn cost(server: &Server, owner: &Owner<'_>, commits: Vec<Commit>) -> BTreeMap<String, u64> {
    let before = commands(server);
    for commit in commits {
        owner.write(commit).await;
    }
    let differs = |(name, calls): (String, u64)| {
        let by = calls - before.get(&name).copied().unwrap_or(0);
        let counts = ["evalsha", "hget", "hmget", "hset", "hincrby", "zadd", "zrem", "sismember", "hdel"];
        (by > 0 && counts.contains(&name.as_str())).then_some((name, by))
    };
    commands(server).into_iter().filter_map(differs).collect()
}

/// A clean run has no entries, and pays nothing for those who have: neither a round trip nor a command.
#[tokio::test]
async fn a_commit_without_entries_costs_what_it_did_before_there_were_any() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    let key = key("order-1");
    owner.write(owner.draft(&key, 0)).await;
    let transactions = store.stats().transactions;
    let clean = cost(&server, &owner, (1..51).map(|revision| owner.draft(&key, revision)).collect()).await;
    // One script: the lease and the saga read, both written. As it was before there were logs.
    let expected = [("evalsha", 50), ("hincrby", 50), ("hmget", 100), ("hset", 50)];
    assert_eq!(clean, expected.map(|(name, calls)| (name.to_owned(), calls)).into());
    let logged = (1..51).map(|number| Commit { logs: vec![audit(number)], ..owner.draft(&key, 50 + number) });
    let logged = cost(&server, &owner, logged.collect()).await;
    // The same script: its log's next number read, the entry written with the one after it.
    let expected = [("evalsha", 50), ("hget", 50), ("hincrby", 50), ("hmget", 100), ("hset", 100)];
    assert_eq!(logged, expected.map(|(name, calls)| (name.to_owned(), calls)).into());
    assert_eq!(store.stats().transactions - transactions, 100, "a round trip each, with entries or without");
}
