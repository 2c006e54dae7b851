//! Servers that are unsafe: refused at the start, frozen while running, free again when they are mended.

use amends_redis_lab::{Server, Settings, wait_until};
use amends_store::conformance::support::{LONG, Owner, key};
use amends_store::redis::{Durability, RedisOptions};
use amends_store::{CommitError, Nonce, RedisStore, Severity, ShardId, Store, StoreError};

use super::conformance::{options, store};

#[tokio::test]
async fn an_unsafe_server_is_refused_with_the_line_to_change() {
    for (name, value, expected) in [
        ("appendonly", "no", "`appendonly yes`"),
        ("appendfsync", "everysec", "`appendfsync always`"),
        ("appendfsync", "no", "`appendfsync always`"),
        ("no-appendfsync-on-rewrite", "yes", "`no-appendfsync-on-rewrite no`"),
        ("maxmemory-policy", "allkeys-lru", "`maxmemory-policy noeviction`"),
        ("maxmemory-policy", "volatile-ttl", "`maxmemory-policy noeviction`"),
    ] {
        let server = Server::start(&Settings::strict().with(name, value));
        let error = RedisStore::open(options(&server.url())).await.expect_err(name).to_string();
        assert!(error.contains(expected), "{name} {value}: {error}");
        assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0, "nothing was written");
    }
}

#[tokio::test]
async fn relaxed_takes_everysec_and_says_so() {
    let server = Server::start(&Settings::strict().with("appendfsync", "everysec"));
    let relaxed = RedisOptions { durability: Durability::Relaxed, ..options(&server.url()) };
    let store = RedisStore::open(relaxed).await.unwrap();
    assert!(store.info().durability.starts_with("relaxed: "), "{}", store.info().durability);
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    let findings = store.check().await.unwrap();
    assert!(findings.iter().any(|finding| finding.message.contains("loses about the last second")), "{findings:?}");
}

/// Somebody changes a setting of the running server: from the next look on nothing is read or written, until it is mended.
#[tokio::test]
async fn a_server_that_becomes_unsafe_freezes_the_store_until_it_is_mended() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    for (name, bad, good) in [("appendonly", "no", "yes"), ("maxmemory-policy", "allkeys-lru", "noeviction")] {
        server.configure(name, bad);
        store.look().await;
        let answer = owner.commit(owner.draft(&key("order-2"), 0)).await;
        let Err(CommitError::Ambiguous(why)) = answer else { panic!("{name}: {answer:?}") };
        assert!(why.to_string().contains(&format!("`{name} {good}`")), "{why}");
        let answer = store.acquire(ShardId(0), "node-a", Nonce(1), LONG).await;
        assert!(matches!(answer, Err(StoreError::Frozen(_))), "{answer:?}");
        assert!(store.get(&key("order-1")).await.is_err(), "what can't be trusted isn't read");
        let refusals = store.check().await.unwrap();
        assert!(refusals.iter().any(|finding| finding.severity == Severity::Error), "check works all the same");
        server.configure(name, good);
        wait_until("the rewrite", || (server.info("aof_rewrite_in_progress")? == "0").then_some(()));
        store.look().await;
        assert_eq!(owner.revision(&key("order-2")).await, 0);
    }
    owner.write(owner.draft(&key("order-2"), 0)).await;
}

/// A restart with another configuration file is noticed before the first command.
#[tokio::test]
async fn a_server_that_comes_back_unsafe_is_not_written_to() {
    let mut server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    server.kill();
    let file = server.folder().join("server.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("appendfsync always", "appendfsync everysec")).unwrap();
    server.restart();
    // The first one meets the broken connection, the next one the server.
    let answer = owner.commit(owner.draft(&key("order-1"), 1)).await;
    assert!(matches!(answer, Err(CommitError::Ambiguous(_))), "{answer:?}");
    let answer = owner.commit(owner.draft(&key("order-1"), 1)).await;
    let Err(CommitError::Ambiguous(why)) = answer else { panic!("{answer:?}") };
    assert!(why.to_string().contains("appendfsync"), "{why}");
    server.configure("appendfsync", "always");
    store.look().await;
    assert_eq!(owner.revision(&key("order-1")).await, 1, "nothing was written meanwhile");
    owner.write(owner.draft(&key("order-1"), 1)).await;
}

#[tokio::test]
async fn settings_that_are_denied_must_be_attested() {
    let server = Server::start(&Settings::strict());
    let rights = ["ACL", "SETUSER", "amends", "on", ">pw", "~*", "+@all", "-config"];
    server.ask::<()>(&rights);
    let address = format!("redis://amends:pw@{}", server.address());
    let error = RedisStore::open(options(&address)).await.expect_err("denied").to_string();
    assert!(error.contains("attested_durability: aof-always"), "{error}");
    let attested = RedisOptions { attested_durability: Some("aof-always".to_owned()), ..options(&address) };
    let store = RedisStore::open(attested).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
}

#[tokio::test]
async fn an_examination_tells_good_and_bad_and_makes_nothing() {
    let server = Server::start(&Settings::strict());
    let options = options(&server.url());
    let verdicts = async || {
        let findings = RedisStore::examine(options.clone()).await.unwrap();
        println!("{findings:#?}");
        findings.into_iter().map(|finding| (finding.severity, finding.message)).collect::<Vec<_>>()
    };
    let before = verdicts().await;
    assert!(before.iter().any(|(_, message)| message.contains("made at the first start")), "{before:?}");
    assert!(before.iter().any(|(_, message)| message.contains("survives a kill and a power cut")), "{before:?}");
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0);
    let store = RedisStore::open(options.clone()).await.unwrap();
    let after = verdicts().await;
    assert!(after.iter().any(|(_, message)| message.contains(&store.info().id)), "{after:?}");
    server.configure("appendfsync", "everysec");
    let bad = verdicts().await;
    assert!(bad.iter().any(|(severity, _)| *severity == Severity::Error), "{bad:?}");
    assert!(bad.iter().any(|(_, message)| message.contains("appendonly is on")), "the good is told too: {bad:?}");
}

/// It has answered: whoever asks is told to give it more memory, not that nobody was there.
#[tokio::test]
async fn a_full_memory_is_said_as_that() {
    let server = Server::start(&Settings::strict());
    let store = store(&server.url()).await;
    server.configure("maxmemory", "1mb");
    let error = store.acquire(ShardId(0), "node-a", Nonce(1), LONG).await.expect_err("full");
    let why = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(matches!(error, StoreError::Refused(_)) && why.contains("maxmemory, give it more"), "{error}: {why}");
}
