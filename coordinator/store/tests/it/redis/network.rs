//! A network that loses answers: what may have been written is said to be unknown, and a repeat finds out.

use amends_redis_lab::{Fault, Proxy, Server, Settings};
use amends_store::conformance::support::{Owner, key};
use amends_store::{CommitError, Committed, RedisStore, Store};

use super::conformance::store;

async fn behind_a_proxy() -> (Server, Proxy, RedisStore) {
    let server = Server::start(&Settings::strict());
    let proxy = Proxy::start(server.address()).await;
    let store = store(&format!("redis://{}", proxy.address())).await;
    (server, proxy, store)
}

/// The server has done it, and nobody heard.
#[tokio::test]
async fn a_lost_answer_is_unknown_and_its_repeat_is_a_duplicate() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    let commit = owner.draft(&key("order-1"), 1);
    for (after, commit) in [(0, commit.clone()), (7, owner.draft(&key("order-1"), 2))] {
        proxy.set(Fault::CutReply { after });
        let answer = owner.commit(commit.clone()).await;
        assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
        let answer = owner.commit(commit).await;
        assert!(matches!(answer, Ok(Committed::Duplicate { .. })), "{answer:?}");
    }
    assert_eq!(proxy.cuts(), 2);
    assert_eq!(owner.revision(&key("order-1")).await, 3);
}

/// A script that was cut on its way isn't half done.
#[tokio::test]
async fn a_cut_request_writes_nothing() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    let commit = owner.draft(&key("order-1"), 1);
    proxy.set(Fault::CutRequest { after: 200 });
    let answer = owner.commit(commit.clone()).await;
    assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
    assert_eq!(owner.revision(&key("order-1")).await, 1);
    owner.write(commit).await;
}

/// A link that is open and dead: the time-out ends it, and the next call has a new one.
#[tokio::test]
async fn a_silent_link_is_given_up() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    let commit = owner.draft(&key("order-1"), 1);
    proxy.set(Fault::HoldReplies);
    let answer = owner.commit(commit.clone()).await;
    assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
    let connections = proxy.connections();
    proxy.heal();
    let answer = owner.commit(commit).await;
    assert!(matches!(answer, Ok(Committed::Duplicate { .. })), "{answer:?}");
    assert!(proxy.connections() > connections, "the old link isn't used again");
}

/// A repeat that meets no scripts at all finds out too.
#[tokio::test]
async fn reads_go_on_over_a_broken_link() {
    let (_server, proxy, store) = behind_a_proxy().await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    owner.get(&key("order-1")).await;
    proxy.disconnect();
    assert!(store.get(&key("order-1")).await.unwrap().is_some());
}
