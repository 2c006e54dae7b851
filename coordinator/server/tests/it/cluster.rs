//! Several nodes on one store: any of them answers for all, and what one gives up the others take over.
//!
//! The nodes are whole servers in this process, with real connections between them. Leases are short, so that a take-over
//! doesn't take long; nothing here depends on how long.

use std::collections::BTreeSet;
use std::time::Duration;

use amends_proto::v1;
use amends_proto::v1::cluster_client::ClusterClient;
use amends_proto::v1::peers_client::PeersClient;
use amends_server::ServerConfig;
use tonic::Code;

use crate::harness::{CHECKOUT, Memory, Server, checkout, refusal, seconds};
use crate::shop::{Answer, Shop};

pub(crate) const NAMES: [&str; 3] = ["node-a", "node-b", "node-c"];

pub(crate) fn config(memory: &Memory, name: &str) -> ServerConfig {
    let mut config = memory.config();
    config.node = name.to_owned();
    config.sagas.lease = Duration::from_secs(1);
    config
}

/// Some nodes that have found each other, with a shop and a definition that were registered at the first.
pub(crate) async fn nodes(memory: &Memory, names: &[&str]) -> (Vec<Server>, Shop) {
    nodes_over(memory, names, &ServerConfig::default()).await
}

/// The same with the TLS settings of `tls`.
pub(crate) async fn nodes_over(memory: &Memory, names: &[&str], tls: &ServerConfig) -> (Vec<Server>, Shop) {
    let mut servers = Vec::new();
    for name in names {
        let mut config = config(memory, name);
        config.tls.clone_from(&tls.tls);
        config.outgoing_tls.clone_from(&tls.outgoing_tls);
        servers.push(Server::start_shared(memory, config).await);
    }
    for server in &servers {
        settled(server, names).await;
    }
    let shop = Shop::open().await;
    servers[0].put_shop(&shop.address).await;
    servers[0].register(CHECKOUT).await;
    (servers, shop)
}

pub(crate) async fn shards(server: &Server) -> Vec<v1::Shard> {
    let mut cluster = ClusterClient::new(server.channel.clone());
    cluster.list_shards(v1::ListShardsRequest {}).await.unwrap().into_inner().shards
}

async fn list(server: &Server) -> Vec<v1::Node> {
    let mut cluster = ClusterClient::new(server.channel.clone());
    cluster.list_nodes(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes
}

/// Waits until every shard is with one of these nodes, and each of them serves.
pub(crate) async fn settled(server: &Server, names: &[&str]) {
    loop {
        let serving: Vec<v1::Node> =
            list(server).await.into_iter().filter(|node| node.state() == v1::NodeState::Serving).collect();
        let all_serve = serving.iter().map(|node| node.name.as_str()).eq(names.iter().copied());
        if all_serve && shards(server).await.iter().all(|shard| names.contains(&shard.node.as_str())) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn completes(server: &mut Server, id: &str) {
    let saga = server.run(id).await;
    assert_eq!(saga.status(), v1::SagaStatus::Completed, "{id}: {saga:?}");
}

/// Start, look, follow, ask and list at any node, wherever the saga is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_answers_for_all() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, _shop) = nodes(&memory, &NAMES).await;
    let owners: BTreeSet<String> = shards(&servers[0]).await.into_iter().map(|shard| shard.node).collect();
    assert_eq!(owners.len(), 3, "each node has a share: {owners:?}");
    let mut ran_at = BTreeSet::new();
    for number in 0..18 {
        let (id, at) = (format!("order-{number}"), number % 3);
        completes(&mut servers[at], &id).await;
        let elsewhere = &mut servers[(at + 1) % 3];
        assert_eq!(elsewhere.end_of(&id).await.status(), v1::SagaStatus::Completed, "followed at another node");
        ran_at.extend(elsewhere.history(&id).await.into_iter().map(|entry| entry.node));
        let again = servers[(at + 2) % 3].sagas.start(checkout(&id)).await.unwrap().into_inner();
        assert_eq!(again.id, id, "the same start at a third node is the same saga");
    }
    assert_eq!(ran_at, owners, "sagas ran at every node");
    for server in &mut servers {
        let listed = server.sagas.list(v1::ListSagasRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.sagas.len(), 18);
    }
}

/// Whoever asked is in the history, not the node that passed it on; and an error is the owner's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarded_request_is_what_it_was() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, shop) = nodes(&memory, &NAMES).await;
    shop.always("Charge", Answer::Held);
    for number in 0..6 {
        let id = format!("order-{number}");
        let mut start = tonic::Request::new(checkout(&id));
        start.metadata_mut().insert("amends-principal", "team-shop".parse().unwrap());
        servers[0].sagas.start(start).await.unwrap();
        let entry = servers[1].history(&id).await.into_iter().find(|entry| !entry.principal.is_empty());
        assert!(entry.is_none_or(|entry| entry.principal == "team-shop"));
        let pause = v1::PauseSagaRequest {
            saga_id: id.clone(),
            reason: "looking".to_owned(),
            expected_revision: 999,
            ..Default::default()
        };
        let moved = servers[2].operations.pause(pause.clone()).await.unwrap_err();
        assert_eq!(refusal(&moved).1, "REVISION_MOVED");
        let paused = servers[2].operations.pause(v1::PauseSagaRequest { expected_revision: 0, ..pause }).await;
        assert_eq!(paused.unwrap().into_inner().status(), v1::SagaStatus::Paused);
        let entries = servers[1].history(&id).await;
        let by = entries.iter().rev().find(|entry| !entry.principal.is_empty()).unwrap();
        assert!(by.principal.starts_with("anonymous@127.0.0.1"), "{by:?}");
    }
}

/// A request that was passed on once isn't passed on again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_makes_one_hop() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, _shop) = nodes(&memory, &NAMES).await;
    let mut refused = 0;
    for number in 0..6 {
        let mut start = tonic::Request::new(checkout(&format!("order-{number}")));
        start.metadata_mut().insert("amends-forwarded-by", "somebody".parse().unwrap());
        if let Err(status) = servers[0].sagas.start(start).await {
            assert_eq!((status.code(), refusal(&status).1.as_str()), (Code::Unavailable, "ELSEWHERE"));
            assert!(tonic_types::StatusExt::get_error_details(&status).retry_info().is_some());
            refused += 1;
        }
    }
    assert!(refused > 0, "some of six are another node's");
}

/// Requests at the other nodes go on while one stops, and every saga ends; the stopped one is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_loses_no_request() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, _shop) = nodes(&memory, &NAMES).await;
    let first = servers.remove(0);
    let mut asked: Vec<_> = servers.iter().map(|server| server.sagas.clone()).collect();
    let load = tokio::spawn(async move {
        for number in 0..120 {
            let message = v1::StartSagaRequest { wait: seconds(60), ..checkout(&format!("order-{number}")) };
            asked[number % 2].start(message).await.unwrap();
        }
    });
    first.stop().await.unwrap();
    load.await.unwrap();
    for number in 0..120 {
        let saga = servers[number % 2].end_of_surely(&format!("order-{number}")).await;
        assert_eq!(saga.status(), v1::SagaStatus::Completed, "order-{number}");
    }
    settled(&servers[0], &NAMES[1..]).await;
    assert_eq!(list(&servers[0]).await.len(), 2, "it said good-bye");
}

/// What a killed node had is taken over when its leases have run out, and its sagas go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_sagas_go_on() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, shop) = nodes(&memory, &NAMES).await;
    shop.always("Charge", Answer::Held);
    for number in 0..12 {
        servers[0].sagas.start(checkout(&format!("order-{number}"))).await.unwrap();
    }
    servers.remove(0).kill().await;
    shop.let_go();
    for number in 0..12 {
        let saga = servers[number % 2].end_of_surely(&format!("order-{number}")).await;
        assert_eq!(saga.status(), v1::SagaStatus::Completed, "{saga:?}");
    }
    settled(&servers[0], &NAMES[1..]).await;
    for server in &mut servers {
        completes(server, "order-after").await;
    }
}

/// It gives back all it has and answers on; where nobody could take over it refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_hands_over_and_answers_on() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, _shop) = nodes(&memory, &NAMES[..2]).await;
    let mut cluster = ClusterClient::new(servers[1].channel.clone());
    let drained = cluster.drain_node(v1::DrainNodeRequest { node: "node-a".into() }).await.unwrap().into_inner();
    assert_eq!((drained.name.as_str(), drained.shards), ("node-a", 0), "asked at another node");
    settled(&servers[1], &NAMES[1..2]).await;
    for number in 0..6 {
        completes(&mut servers[0], &format!("order-{number}")).await;
    }
    let states: Vec<_> = list(&servers[0]).await.iter().map(v1::Node::state).collect();
    assert_eq!(states, [v1::NodeState::Draining, v1::NodeState::Serving]);
    let last = cluster.drain_node(v1::DrainNodeRequest { node: "node-b".into() }).await.unwrap_err();
    assert_eq!((last.code(), refusal(&last).1.as_str()), (Code::FailedPrecondition, "NO_OTHER_NODE"));
    let nobody = cluster.drain_node(v1::DrainNodeRequest { node: "node-z".into() }).await.unwrap_err();
    assert_eq!((nobody.code(), refusal(&nobody).1.as_str()), (Code::NotFound, "NODE_NOT_FOUND"));
}

/// Two processes of one name would take each other's shards for ever: the older one makes way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_with_one_name_the_older_makes_way() {
    let memory = Memory::in_memory_of(8);
    let (mut servers, _shop) = nodes(&memory, &NAMES[..1]).await;
    servers.push(Server::start_shared(&memory, config(&memory, NAMES[0])).await);
    let address = format!("http://{}", servers[1].grpc);
    loop {
        let nodes = list(&servers[1]).await;
        if matches!(&nodes[..], [one] if one.address == address && one.shards == 8) {
            break;
        }
        tokio::task::yield_now().await;
    }
    for number in 0..4 {
        let (id, server) = (format!("order-{number}"), &mut servers[1]);
        // Until the older one has noticed, it may be cut off in the middle of a request, which is then repeated.
        while let Err(status) = server.sagas.start(checkout(&id)).await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        }
        assert_eq!(server.end_of_surely(&id).await.status(), v1::SagaStatus::Completed);
    }
}

/// A node that saw more than the store has stops the shard, and says so at every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_whose_store_lost_commits_is_frozen() {
    let memory = Memory::in_memory_of(4);
    let (mut servers, shop) = nodes(&memory, &NAMES[..2]).await;
    shop.always("Charge", Answer::Held);
    servers[0].sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    let own = shard_in(4, "order-1");
    let before = shards(&servers[0]).await.into_iter().find(|shard| shard.shard == own).unwrap();
    // What somebody else saw: three commits more, in a tenure that was over when the present one began.
    let mark = v1::ShardMark {
        shard: before.shard,
        epoch: before.epoch - 1,
        nonce: vec![7; 16].into(),
        commits: before.commits + 3,
    };
    let word = v1::PeerWord { node: "node-c".into(), marks: vec![mark], ..Default::default() };
    for server in &servers {
        PeersClient::new(server.channel.clone()).exchange(word.clone()).await.unwrap();
    }
    let frozen = loop {
        let all = [shards(&servers[0]).await, shards(&servers[1]).await];
        let frozen = all.map(|shards| shards.into_iter().find(|shard| shard.state() == v1::ShardState::Frozen));
        if let [Some(one), Some(other)] = frozen {
            assert_eq!(one.shard, other.shard, "both show it");
            break one;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(frozen.shard, before.shard);
    let lost = "confirmed changes are lost";
    assert!(frozen.message.contains(lost), "{}", frozen.message);
    shop.always("Charge", Answer::Done);
    shop.let_go();
    for server in &mut servers {
        let saga = server.get("order-1").await;
        assert_eq!(saga.status(), v1::SagaStatus::Running, "it isn't moved");
        assert_eq!(saga.waiting[0].reason(), v1::WaitingReason::ShardFrozen);
        assert!(saga.waiting[0].message.contains(lost));
        let cancel = v1::CancelSagaRequest { saga_id: "order-1".into(), reason: "no".into(), ..Default::default() };
        let refused = server.sagas.cancel(cancel).await.unwrap_err();
        assert_eq!((refused.code(), refusal(&refused).1.as_str()), (Code::Unavailable, "SHARD_FROZEN"));
        assert!(refused.message().contains(lost), "{refused:?}");
    }
    let elsewhere = (0..).map(|number| format!("order-x{number}")).find(|id| shard_in(4, id) != frozen.shard);
    completes(&mut servers[0], &elsewhere.unwrap()).await;
}

/// The shard of a saga in a store of so many.
fn shard_in(shards: u16, id: &str) -> u32 {
    let key = amends_engine::ids::SagaKey {
        namespace: amends_engine::ids::Namespace::default_namespace(),
        id: amends_engine::ids::SagaId::parse(id).unwrap(),
    };
    amends_store::shard_of(&key, shards).0.into()
}
