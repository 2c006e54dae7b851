//! Copies to and from real servers: the promises on one server and on a Cluster, an unfinished copy that nobody opens, and a
//! source whose epochs Redis can't count on.

use std::sync::Arc;

use amends_engine::time::Timestamp;
use amends_redis_lab::{Cluster, Server, Settings};
use amends_store::conformance::transfer::{CHECKS, random_source};
use amends_store::redis::{RedisOpenError, RedisOptions};
use amends_store::transfer::*;
use amends_store::*;

use super::conformance::{options, store};

async fn all_checks(address: &str) {
    for check in CHECKS {
        eprintln!("{check:?}");
        (check.run)(&store(address).await).await;
    }
}

#[tokio::test]
async fn a_standalone_server_keeps_the_promises_of_a_copy() {
    let server = Server::start(&Settings::strict());
    all_checks(&server.url()).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_promises_of_a_copy() {
    let cluster = Cluster::start(&Settings::strict());
    all_checks(&cluster.url()).await;
}

#[tokio::test]
async fn an_unfinished_copy_is_not_opened_until_it_is_finished() {
    let server = Server::start(&Settings::strict());
    let options = options(&server.url());
    let target = RedisStore::open(options.clone()).await.unwrap();
    let (source, _) = random_source(30).await;
    let epoch = source.tenures().await.unwrap().iter().map(|tenure| tenure.epoch).max().unwrap();
    target.begin(&Filling { source: source.info().id, epoch }).await.unwrap();
    drop(target);
    let refused = RedisStore::open(options.clone()).await.expect_err("unfinished");
    assert!(matches!(refused, RedisOpenError::Closed { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains(&server.url()) && text.contains("run that `amends store copy` again"), "{text}");
    let target = RedisStore::open(RedisOptions { for_transfer: true, ..options.clone() }).await.unwrap();
    copy(&*source, &target, &server.url(), &mut |_| {}).await.unwrap();
    RedisStore::open(options).await.expect("it is finished");
}

/// From such a number on, one more is the same number.
#[tokio::test]
async fn epochs_that_redis_cant_count_on_are_refused() {
    let server = Server::start(&Settings::strict());
    let target = store(&server.url()).await;
    let source = MemoryStore::new(1, Arc::new(|| Timestamp(1 << 53)));
    let acquired = source.acquire(ShardId(0), "node-a", Nonce(1), std::time::Duration::ZERO).await.unwrap();
    source.release(acquired.lease).await.unwrap();
    let refused = copy(&source, &target, "elsewhere", &mut |_| {}).await.expect_err("too high").to_string();
    assert!(refused.contains("its clock must have run far ahead"), "{refused}");
    assert_eq!(target.standing().await.unwrap(), Standing::InUse);
}

/// Every key of the copy, one by one, is as if the commits had been made here: nothing that a commit, a sweep or a list
/// would read is missing, and nothing is there besides.
#[tokio::test]
async fn a_copy_has_the_same_keys_as_the_original() {
    let server = Server::start(&Settings::strict());
    let (model, _) = random_source(31).await;
    let first = store(&server.url()).await;
    copy(&*model, &first, "elsewhere", &mut |_| {}).await.unwrap();
    // Written by commits this time.
    let real = options(&server.url());
    let real_name = real.name.clone();
    let real = RedisStore::open(real).await.unwrap();
    amends_store::conformance::random::differential(&real, 31, 300).await;
    for lease in real.tenures().await.unwrap() {
        let words = ["HDEL", &format!("{{amends:{real_name}:{}}}:lease", lease.shard.0), "nonce"].map(str::to_owned);
        server.ask::<u64>(&words.each_ref().map(String::as_str));
    }
    let copied = options(&server.url());
    let copied_name = copied.name.clone();
    let copied = RedisStore::open(copied).await.unwrap();
    copy(&real, &copied, "elsewhere", &mut |_| {}).await.unwrap();
    for shard in 0..real.info().shards {
        for what in ["due", "ended", "index"] {
            let members = |name: &str| -> Vec<String> {
                server.ask(&["ZRANGE", &format!("{{amends:{name}:{shard}}}:{what}"), "0", "-1", "WITHSCORES"])
            };
            assert_eq!(members(&real_name), members(&copied_name), "{what} of shard {shard}");
        }
        let counts = |name: &str| -> std::collections::BTreeMap<String, i64> {
            server.ask(&["HGETALL", &format!("{{amends:{name}:{shard}}}:counts")])
        };
        assert_eq!(counts(&real_name), counts(&copied_name), "counts of shard {shard}");
    }
    for prefix in ["saga:*", "of:*", "log:*"] {
        let keys = |name: &str| -> Vec<String> {
            let mut keys: Vec<String> = server.ask(&["KEYS", &format!("{{amends:{name}:*}}:{prefix}")]);
            keys.sort();
            keys
        };
        let [real, copied] = [keys(&real_name), keys(&copied_name)];
        assert!(!real.is_empty() && real.len() == copied.len(), "{prefix}: {real:?} {copied:?}");
        for (one, other) in real.iter().zip(&copied) {
            let hash = |key: &str| -> std::collections::BTreeMap<Vec<u8>, Vec<u8>> { server.ask(&["HGETALL", key]) };
            assert_eq!(hash(one), hash(other), "{one} {other}");
        }
    }
}
