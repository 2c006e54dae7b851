//! Nodes that ask who calls: what they send on is believed from each other alone.

use std::path::Path;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::cluster_client::ClusterClient;
use amends_proto::v1::peers_client::PeersClient;
use amends_server::ServerConfig;
use tonic::{Code, Request};

use crate::access::{Access, of};
use crate::harness::{CHECKOUT, Memory, Server, checkout, seconds};
use crate::shop::Shop;

const NAMES: [&str; 3] = ["node-a", "node-b", "node-c"];

fn config(memory: &Memory, access: &Access, secret: &Path, name: &str) -> ServerConfig {
    let mut config = access.config(memory);
    config.node = name.to_owned();
    config.sagas.lease = Duration::from_secs(1);
    config.auth.node_secret_file = Some(secret.to_owned());
    config
}

async fn settled(server: &Server, admin: &str) {
    let mut cluster = ClusterClient::new(server.channel.clone());
    loop {
        let shards = cluster.list_shards(of(admin, v1::ListShardsRequest {})).await.unwrap().into_inner().shards;
        if NAMES.iter().all(|name| shards.iter().any(|shard| shard.node == *name)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_sent_on_keeps_its_principal_and_what_it_may_see() {
    let memory = Memory::in_memory_of(24);
    let mut access = Access::new();
    let admin = access.add("root", "{ roles: [admin], namespaces: ['*'] }");
    let shop_token = access.add("shop", "{ roles: [starter], namespaces: ['*'] }");
    let operator = access.add("sre", "{ roles: [operator], namespaces: ['*'] }");
    let secret = access.file.with_file_name("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let mut servers = Vec::new();
    for name in NAMES {
        servers.push(Server::start_shared(&memory, config(&memory, &access, &secret, name)).await);
    }
    settled(&servers[0], &admin).await;
    let shop = Shop::open().await;
    let participant =
        v1::Participant { name: "shop".to_owned(), endpoints: vec![shop.address.clone()], ..Default::default() };
    let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    servers[0].participants.put(of(&admin, put)).await.unwrap();
    let register = v1::RegisterDefinitionRequest { source: CHECKOUT.to_owned(), ..Default::default() };
    servers[0].definitions.register(of(&admin, register)).await.unwrap();
    let mut elsewhere = 0;
    for number in 0..9 {
        let id = format!("order-{number}");
        let start = v1::StartSagaRequest { wait: seconds(60), ..checkout(&id) };
        let saga = servers[0].sagas.start(of(&shop_token, start)).await.unwrap().into_inner();
        assert_eq!((saga.principal.as_str(), saga.status()), ("shop", v1::SagaStatus::Completed));
        assert!(saga.input.is_some(), "whoever starts sees what it sent, wherever the saga is");
        let cancel = v1::CancelSagaRequest { saga_id: id.clone(), reason: "x".to_owned(), ..Default::default() };
        // Too late for all of them; what counts is who is asked and who may.
        let refused = servers[0].sagas.cancel(of(&operator, cancel)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        let watch = v1::WatchSagaRequest { saga_id: id.clone(), ..Default::default() };
        let mut stream = servers[0].sagas.watch(of(&operator, watch)).await.unwrap().into_inner();
        let seen = stream.message().await.unwrap().unwrap();
        assert!(seen.saga.unwrap().input.is_none(), "an operator sees no payloads, wherever the saga is");
        elsewhere += usize::from(seen.entries[0].node != NAMES[0]);
    }
    assert!(elsewhere > 0, "some of nine are other nodes' sagas");
    for server in &servers {
        assert_eq!(drained(server, &admin, "nowhere").await, Code::NotFound);
    }
    assert_eq!(drained(&servers[0], &operator, NAMES[2]).await, Code::Ok, "sent on with a proof");
    for server in servers {
        server.stop().await.unwrap();
    }
}

async fn drained(server: &Server, token: &str, node: &str) -> Code {
    let mut cluster = ClusterClient::new(server.channel.clone());
    let drain = v1::DrainNodeRequest { node: node.to_owned() };
    cluster.drain_node(of(token, drain)).await.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_taken_for_a_node() {
    let memory = Memory::in_memory();
    let mut access = Access::new();
    let viewer = access.add("viewer", "{ roles: [viewer], namespaces: ['*'] }");
    let admin = access.add("root", "{ roles: [admin], namespaces: ['*'] }");
    let secret = access.file.with_file_name("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let mut server = Server::start_shared(&memory, config(&memory, &access, &secret, "node-a")).await;
    let forged = |mut request: Request<v1::StartSagaRequest>, proof: Option<&str>| {
        let metadata = request.metadata_mut();
        for (key, value) in
            [("amends-forwarded-by", "node-b"), ("amends-principal", "root"), ("amends-payloads", "yes")]
        {
            metadata.insert(key, value.parse().unwrap());
        }
        if let Some(proof) = proof {
            metadata.insert("amends-node-proof", proof.parse().unwrap());
        }
        request
    };
    for proof in [None, Some("v1.0.00"), Some(format!("v1.0.{}", "0".repeat(64)).as_str())] {
        for token in ["", &viewer, &admin] {
            let start = if token.is_empty() { Request::new(checkout("a")) } else { of(token, checkout("a")) };
            let refused = server.sagas.start(forged(start, proof)).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{proof:?}");
        }
    }
    let mut peers = PeersClient::new(server.channel.clone());
    let word = || v1::PeerWord { node: "node-b".to_owned(), news: true, ..Default::default() };
    assert_eq!(peers.exchange(word()).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(peers.exchange(of(&admin, word())).await.unwrap_err().code(), Code::PermissionDenied);
    server.stop().await.unwrap();
}
