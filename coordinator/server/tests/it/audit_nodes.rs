//! The audit log of several nodes: whoever is asked, the owner writes it, once, also when it is killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use amends_proto::v1;
use amends_proto::v1::cluster_client::ClusterClient;
use amends_proto::v1::operations_client::OperationsClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::audit_log::{Log, all_of, entries_about, is_whole, one};
use crate::cluster::{NAMES, completes, nodes, settled, shards};
use crate::harness::{Memory, checkout};
use crate::shop::Answer;

fn pause(id: &str, expected_revision: u64) -> v1::PauseSagaRequest {
    let reason = "ticket 7".to_owned();
    v1::PauseSagaRequest { saga_id: id.to_owned(), reason, expected_revision, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_accounts_for_all() {
    let memory = Memory::in_memory_of(24);
    let (mut servers, shop) = nodes(&memory, &NAMES).await;
    shop.always("Charge", Answer::Held);
    for number in 0..12 {
        let id = format!("order-{number}");
        servers[0].sagas.start(checkout(&id)).await.unwrap();
        let mut asked = tonic::Request::new(pause(&id, 0));
        asked.metadata_mut().insert("amends-principal", "ops".parse().unwrap());
        servers[number % 3].operations.pause(asked).await.unwrap();
        let moved = servers[(number + 1) % 3].operations.pause(pause(&id, 999)).await.unwrap_err();
        assert_eq!(moved.code(), Code::Aborted);
        let nothing = servers[number % 3].operations.pause(pause(&format!("none-{number}"), 0)).await.unwrap_err();
        assert_eq!(nothing.code(), Code::NotFound);
    }
    // Everything stands once, in the log of its shard's owner, under the name of whoever asked.
    let owners: BTreeMap<u32, String> =
        shards(&servers[0]).await.into_iter().map(|it| (it.shard + 1, it.node)).collect();
    let log = Log::read(&servers[1]).await;
    for number in 0..12 {
        let about = |target: &str| log.entries.iter().filter(|it| it.target == target).cloned().collect::<Vec<_>>();
        let saga = about(&format!("sagas/order-{number}"));
        let seen: Vec<_> = saga.iter().map(|it| (it.principal.as_str(), it.result())).collect();
        assert_eq!(seen[0], ("ops", v1::AuditResult::Done), "{saga:?}");
        assert!(seen.len() == 2 && seen[1].1 == v1::AuditResult::Refused, "{saga:?}");
        assert_eq!(about(&format!("sagas/none-{number}")).len(), 1);
        for entry in saga {
            assert_eq!(owners[&entry.shard], entry.node, "{entry:?}");
        }
    }
    // What is no saga's is carried out where it is asked, and written where it belongs.
    let mut written_at = BTreeSet::new();
    for number in 0..9 {
        let (name, at) = (format!("bank-{number}"), number % 3);
        let participant = v1::Participant {
            name: name.clone(),
            endpoints: vec!["http://127.0.0.1:9".to_owned()],
            ..Default::default()
        };
        let put = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
        servers[at].participants.put(put).await.unwrap();
        let entry = one(&servers[(at + 1) % 3], &format!("participants/{name}")).await;
        assert_eq!((entry.node.as_str(), entry.result()), (NAMES[at], v1::AuditResult::Done));
        written_at.insert((owners[&entry.shard].clone(), entry.node));
    }
    assert!(written_at.iter().any(|(owner, node)| owner != node), "some belong to another node: {written_at:?}");
    let listed = all_of(&servers[2]).await;
    assert!(listed.windows(2).all(|pair| pair[0].time.as_ref().map(|it| (it.seconds, it.nanos))
        >= pair[1].time.as_ref().map(|it| (it.seconds, it.nanos))));
    shop.let_go();
}

/// It is sent on to the node that drains; both see it, one accounts for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_accounted_for_once() {
    let memory = Memory::in_memory_of(8);
    let (servers, _shop) = nodes(&memory, &NAMES[..2]).await;
    let mut cluster = ClusterClient::new(servers[1].channel.clone());
    cluster.drain_node(v1::DrainNodeRequest { node: "node-a".into() }).await.unwrap();
    settled(&servers[1], &NAMES[1..2]).await;
    let drain = one(&servers[1], "nodes/node-a").await;
    assert_eq!((drain.method.as_str(), drain.node.as_str()), ("Cluster/DrainNode", "node-b"));
    is_whole(&servers[0]).await;
}

/// Asks until it is known what became of it, as a caller does.
async fn paused_at_last(mut operations: OperationsClient<Channel>, id: String, revision: u64) {
    loop {
        match operations.pause(pause(&id, revision)).await {
            Ok(_) => return,
            // It had been done before.
            Err(status) if status.code() == Code::Aborted => return,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
}

/// Whenever an owner is killed: a saga that was paused has one entry for it, and the next owner goes on with the chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_neither_loses_nor_repeats_an_entry() {
    let memory = Memory::in_memory_of(6);
    let (mut servers, shop) = nodes(&memory, &NAMES).await;
    shop.always("Charge", Answer::Held);
    let mut revisions = BTreeMap::new();
    for number in 0..60 {
        let id = format!("order-{number}");
        servers[0].sagas.start(checkout(&id)).await.unwrap();
        revisions.insert(id, 0);
    }
    shop.has_calls(120).await;
    for (id, revision) in &mut revisions {
        *revision = servers[1].get(id).await.revision;
    }
    let before = Log::read(&servers[1]).await;
    let victim = servers.remove(0);
    let asking: Vec<_> = revisions
        .iter()
        .map(|(id, revision)| {
            let (id, revision) = (id.clone(), *revision);
            let operations = servers[1].operations.clone();
            tokio::spawn(paused_at_last(operations, id, revision))
        })
        .collect();
    tokio::task::yield_now().await;
    victim.kill().await;
    for asked in asking {
        asked.await.unwrap();
    }
    settled(&servers[0], &NAMES[1..]).await;
    let log = Log::read(&servers[0]).await;
    log.goes_on_from(&before);
    let mut paused_in_all = 0;
    for id in revisions.keys() {
        let about = entries_about(&servers[1], &format!("sagas/{id}")).await;
        let done = about.iter().filter(|it| it.result() == v1::AuditResult::Done && it.revision > 0).count();
        let history = servers[0].history(id).await;
        let paused = history.iter().filter(|it| it.kind() == v1::HistoryKind::Paused).count();
        // The one who took it over may have been faster: then it had moved, and was left alone.
        assert_eq!(done, paused, "{id}: {about:?}");
        assert!(done == 1 || about.iter().all(|it| it.result() == v1::AuditResult::Refused), "{id}: {about:?}");
        paused_in_all += paused;
    }
    assert!(paused_in_all >= 20, "those of the nodes that lived were paused: {paused_in_all}");
    shop.let_go();
    let resumed = servers[1].operations.resume(v1::ResumeSagaRequest {
        saga_id: "order-1".to_owned(),
        reason: "over".to_owned(),
        ..Default::default()
    });
    resumed.await.unwrap();
    Log::read(&servers[0]).await.goes_on_from(&log);
    completes(&mut servers[0], "order-after").await;
}
