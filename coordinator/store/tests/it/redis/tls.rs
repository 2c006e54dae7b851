//! Redis over TLS: whom the store trusts, what it shows, and certificates that are renewed under it.

use std::path::{Path, PathBuf};

use amends_redis_lab::{Server, Settings, free_address};
use amends_store::conformance::CHECKS;
use amends_store::conformance::support::{Owner, key};
use amends_store::redis::{RedisOptions, TlsFiles};
use amends_store::{RedisOpenError, RedisStore, Store as _};
use amends_tls::testing::Authority;

use super::conformance::options;

/// A server that asks for certificates, and where it speaks TLS.
fn start(authority: &Authority) -> (Server, String) {
    let port = free_address().port();
    let (certificate, private) = authority.write("redis", "localhost", 90);
    let text = |path: &Path| path.display().to_string();
    let settings = Settings::strict()
        .with("tls-port", &port.to_string())
        .with("tls-cert-file", &text(&certificate))
        .with("tls-key-file", &text(&private))
        .with("tls-ca-cert-file", &text(&authority.ca()))
        .with("tls-auth-clients", "yes")
        .with("tls-protocols", "\"TLSv1.2 TLSv1.3\"");
    (Server::start(&settings), format!("rediss://localhost:{port}"))
}

async fn open(address: &str, ca: PathBuf, identity: Option<(PathBuf, PathBuf)>) -> Result<RedisStore, RedisOpenError> {
    RedisStore::open(RedisOptions { tls: TlsFiles { ca: Some(ca), identity }, ..options(address) }).await
}

#[tokio::test]
async fn it_keeps_every_promise_over_tls() {
    let authority = Authority::new();
    let (_server, address) = start(&authority);
    let identity = Some(authority.write("coordinator", "coordinator.example", 90));
    for check in CHECKS {
        (check.run)(&open(&address, authority.ca(), identity.clone()).await.unwrap()).await;
    }
}

#[tokio::test]
async fn only_with_the_right_authority_and_a_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (_server, address) = start(&authority);
    let identity = Some(authority.write("coordinator", "coordinator.example", 90));
    let store = open(&address, authority.ca(), identity.clone()).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    assert!(open(&address, other.ca(), identity.clone()).await.is_err(), "wrong authority");
    assert!(open(&address, authority.ca(), None).await.is_err(), "no certificate");
    assert!(open(&address.replace("localhost", "127.0.0.1"), authority.ca(), identity).await.is_err(), "wrong name");
    let error = open(&address, authority.path("gone.pem"), None).await.unwrap_err();
    assert!(format!("{error:?}").contains("gone.pem"), "{error:?}");
}

#[tokio::test]
async fn renewed_certificates_count_from_the_next_connection_on_and_broken_ones_never() {
    let authority = Authority::new();
    let (server, address) = start(&authority);
    let identity = authority.write("coordinator", "coordinator.example", 90);
    let store = open(&address, authority.ca(), Some(identity.clone())).await.unwrap();
    let owner = Owner::of(&store, "node-a").await;
    owner.write(owner.draft(&key("order-1"), 0)).await;
    authority.write("coordinator", "coordinator.example", 80);
    for broken in [false, true] {
        if broken {
            amends_tls::testing::write(&identity.1, "broken");
        }
        let connections = || server.info("total_connections_received").unwrap().parse::<u64>().unwrap();
        let before = connections();
        server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        // The first command may find its connection gone; the store connects anew by itself.
        while store.now().await.is_err() {}
        // More than those of the kill and of this question.
        assert!(connections() > before + 2, "it has connected anew, broken: {broken}");
    }
    let fresh = open(&address, authority.ca(), Some(identity)).await;
    assert!(fresh.is_err(), "whoever starts with broken files is told so");
}
