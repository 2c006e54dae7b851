//! A server that was wiped, or is another one: never mistaken for a new store.

use amends_redis_lab::{Proxy, Server, Settings};
use amends_store::conformance::support::{LONG, Owner, key};
use amends_store::redis::RedisOptions;
use amends_store::{CommitError, Nonce, RedisStore, ShardId, Store, StoreError};

use super::conformance::{options, store};

#[tokio::test]
async fn a_wiped_server_freezes_the_store_and_is_said() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    server.ask::<()>(&["FLUSHALL"]);
    // Before anybody has looked: the fence holds by itself.
    let answer = owner.commit(owner.draft(&key("order-1"), 1)).await;
    assert!(matches!(answer, Err(CommitError::Fenced)), "{answer:?}");
    let answer = store.acquire(ShardId(0), "node-a", Nonce(1), LONG).await;
    let Err(StoreError::Frozen(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("Redis was wiped"), "{why}");
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0, "nothing is made in its place");
    // It looks by itself now that it is suspicious, and not only in a few seconds.
    let error = loop {
        match store.get(&key("order-1")).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("it is empty") && error.contains("Redis was wiped"), "{error}");
}

/// Known by a file beside the coordinator, or by its configuration.
#[tokio::test]
async fn a_coordinator_that_belongs_to_a_store_makes_no_other() {
    let (first, second) = (Server::start(&Settings::strict()), Server::start(&Settings::strict()));
    let folder = tempfile::tempdir().unwrap();
    let remembering = |url: &str| RedisOptions {
        remembered_in: Some(folder.path().join("id")),
        name: "same".to_owned(),
        ..options(url)
    };
    let id = RedisStore::open(remembering(&first.url())).await.unwrap().info().id;
    let error = RedisStore::open(remembering(&second.url())).await.expect_err("another server").to_string();
    assert!(error.contains("it is empty") && error.contains(&id), "{error}");
    assert_eq!(second.ask::<i64>(&["DBSIZE"]), 0, "nothing was written");
    let other = RedisStore::open(RedisOptions { name: "same".to_owned(), ..options(&second.url()) }).await.unwrap();
    let error = RedisStore::open(remembering(&second.url())).await.expect_err("another store").to_string();
    assert!(error.contains(&other.info().id) && error.contains(&id), "{error}");
    let named = RedisOptions { store_id: Some(id.clone()), remembered_in: None, ..remembering(&second.url()) };
    assert!(RedisStore::open(named.clone()).await.is_err());
    let named = RedisOptions { address: remembering(&first.url()).address, ..named };
    assert_eq!(RedisStore::open(named).await.unwrap().info().id, id);
}

/// The address leads to another server from one moment to the next, which happens to have a store of the same name.
#[tokio::test]
async fn a_server_that_was_swapped_is_not_written_to() {
    let (first, second) = (Server::start(&Settings::strict()), Server::start(&Settings::strict()));
    let proxy = Proxy::start(first.address()).await;
    let options = options(&format!("redis://{}", proxy.address()));
    let store = RedisStore::open(options.clone()).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    let other = RedisOptions { address: super::conformance::options(&second.url()).address, ..options };
    drop(RedisStore::open(other).await.unwrap());
    proxy.lead_to(second.address());
    proxy.disconnect();
    // The first one meets the broken connection, the next one the other server.
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(owner.commit(owner.draft(&key("order-1"), 1)).await);
    }
    assert!(answers.iter().all(|answer| matches!(answer, Err(CommitError::Ambiguous(_)))), "{answers:?}");
    assert!(format!("{:?}", answers[2]).contains("give the right address"), "{answers:?}");
    proxy.lead_to(first.address());
    proxy.disconnect();
    store.look().await;
    owner.write(owner.draft(&key("order-1"), 1)).await;
}
