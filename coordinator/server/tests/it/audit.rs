//! The audit log, over real gRPC: whatever somebody does or tries is in it once, at every node, and the chain holds.

use amends_proto::v1;
use amends_proto::v1::audit_client::AuditClient;
use amends_proto::v1::cluster_client::ClusterClient;
use tonic::{Code, Request};

use crate::access::{Access, of};
use crate::audit_log::{Log, all_of, entries_about, is_whole, one};
use crate::harness::{CHECKOUT, Memory, Server, checkout, on_both_stores, refusal};
use crate::shop::{Answer, Shop};

on_both_stores! { what_is_done_to_a_saga what_is_done_to_registrations a_repeat_and_a_flood a_restart }

const WHY: &str = "ticket 7";

fn pause(id: &str) -> v1::PauseSagaRequest {
    v1::PauseSagaRequest { saga_id: id.to_owned(), reason: WHY.to_owned(), ..Default::default() }
}

fn named<T>(who: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("amends-principal", who.parse().unwrap());
    request
}

/// A checkout that waits for the answer to its charge.
async fn charging(memory: &Memory) -> (Server, Shop) {
    let (mut server, shop) = Server::with_shop(memory).await;
    shop.always("Charge", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    shop.is_called("Charge").await;
    (server, shop)
}

/// Done, refused for each reason, and nothing of what only goes on with a saga.
async fn what_is_done_to_a_saga(memory: Memory) {
    let (mut server, shop) = charging(&memory).await;
    let before = server.get("order-1").await.revision;
    let paused = server.operations.pause(named("ops", pause("order-1"))).await.unwrap().into_inner();
    assert_eq!(paused.revision, before + 1);
    let entry = one(&server, "sagas/order-1").await;
    assert_eq!((entry.principal.as_str(), entry.method.as_str()), ("ops", "Operations/Pause"));
    assert_eq!((entry.reason.as_str(), entry.namespace.as_str()), (WHY, "default"));
    assert_eq!((entry.result(), entry.revision), (v1::AuditResult::Done, before + 1));
    assert_eq!((entry.message.as_str(), entry.node.as_str()), ("it was running, and is paused", "amends"));

    let moved = v1::PauseSagaRequest { expected_revision: before, ..pause("order-1") };
    assert_eq!(server.operations.pause(moved).await.unwrap_err().code(), Code::Aborted);
    let silent = v1::ResumeSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() };
    assert_eq!(server.operations.resume(silent).await.unwrap_err().code(), Code::InvalidArgument);
    let skip = v1::SkipOperationRequest {
        saga_id: "order-1".to_owned(),
        step: "reserve".to_owned(),
        reason: WHY.to_owned(),
        ..Default::default()
    };
    assert_eq!(server.operations.skip(skip).await.unwrap_err().code(), Code::FailedPrecondition);
    let refused = entries_about(&server, "sagas/order-1").await;
    let seen: Vec<_> = refused.iter().map(|it| (it.method.as_str(), it.result(), it.revision)).collect();
    let no = v1::AuditResult::Refused;
    assert_eq!(seen[..3], [("Operations/Skip", no, 0), ("Operations/Resume", no, 0), ("Operations/Pause", no, 0)]);
    assert!(refused[2].message.contains("not at") && refused[1].message.contains("reason"), "{refused:?}");
    assert_eq!(refused[2].request, format!("{{\"expected_revision\":{before}}}"));

    assert_eq!(server.operations.pause(pause("nothing")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(one(&server, "sagas/nothing").await.result(), no);
    let odd = server.operations.pause(pause("no id at all")).await.unwrap_err();
    assert_eq!((odd.code(), one(&server, "sagas/no id at all").await.result()), (Code::InvalidArgument, no));

    let cancel = v1::CancelSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.sagas.cancel(cancel).await.unwrap();
    assert_eq!(entries_about(&server, "sagas/order-1").await[0].method, "Sagas/Cancel");
    shop.let_go();
    let methods: Vec<String> = all_of(&server).await.into_iter().map(|it| it.method).collect();
    assert!(methods.iter().all(|method| !method.ends_with("/Start")), "{methods:?}");
    is_whole(&server).await;
    server.stop().await.unwrap();
}

async fn what_is_done_to_registrations(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let put = one(&server, "participants/shop").await;
    assert_eq!((put.method.as_str(), put.message.as_str()), ("Participants/Put", "revision 1"));
    assert_eq!(put.request, format!("{{\"participant.endpoints\":[\"{}\"]}}", shop.address));
    let registered = one(&server, "definitions/checkout").await;
    assert_eq!((registered.method.as_str(), registered.message.as_str()), ("Definitions/Register", "version 1"));
    server.register(CHECKOUT).await;
    assert_eq!(entries_about(&server, "definitions/checkout").await[0].message, "nothing changed: version 1");
    let broken = CHECKOUT.replace("participant: shop", "participant: ''");
    let refused = v1::RegisterDefinitionRequest { source: broken, ..Default::default() };
    let checked = v1::RegisterDefinitionRequest { dry_run: true, ..refused.clone() };
    server.definitions.register(refused).await.unwrap_err();
    server.definitions.register(checked).await.unwrap();
    let entries = entries_about(&server, "definitions/checkout").await;
    assert_eq!((entries.len(), entries[0].result()), (3, v1::AuditResult::Refused), "checking is not registering");
    let deprecate = v1::DeprecateDefinitionRequest {
        name: "checkout".to_owned(),
        version: 1,
        reason: WHY.to_owned(),
        ..Default::default()
    };
    server.definitions.deprecate(named("team", deprecate)).await.unwrap();
    let entry = &entries_about(&server, "definitions/checkout").await[0];
    assert_eq!((entry.principal.as_str(), entry.reason.as_str()), ("team", WHY));
    assert_eq!((entry.request.as_str(), entry.message.as_str()), ("{\"version\":1}", "version 1"));
    let limits = v1::SetLimitsRequest {
        name: "shop".to_owned(),
        limits: Some(v1::Limits { concurrency: 3, ..Default::default() }),
        reason: WHY.to_owned(),
        ..Default::default()
    };
    server.participants.set_limits(limits).await.unwrap();
    assert_eq!(entries_about(&server, "participants/shop").await[0].request, "{\"limits.concurrency\":3}");
    let mut cluster = ClusterClient::new(server.channel.clone());
    cluster.drain_node(v1::DrainNodeRequest { node: "node-z".into() }).await.unwrap_err();
    let drain = one(&server, "nodes/node-z").await;
    assert_eq!((drain.namespace.as_str(), drain.result()), ("", v1::AuditResult::Refused));
    is_whole(&server).await;
    server.stop().await.unwrap();
}

/// What changes nothing is cheap to do, and is bounded; what is done is never left out.
async fn a_repeat_and_a_flood(memory: Memory) {
    let (mut server, shop) = charging(&memory).await;
    server.operations.pause(pause("order-1")).await.unwrap();
    server.operations.pause(pause("order-1")).await.unwrap();
    let repeat = &entries_about(&server, "sagas/order-1").await[0];
    assert_eq!((repeat.result(), repeat.message.as_str()), (v1::AuditResult::Done, "nothing had to change"));
    let moved = v1::PauseSagaRequest { expected_revision: 999, ..pause("order-1") };
    for _ in 0..400 {
        server.operations.pause(moved.clone()).await.unwrap_err();
    }
    let resume = v1::ResumeSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.operations.resume(resume).await.unwrap();
    let entries = entries_about(&server, "sagas/order-1").await;
    assert_eq!((entries[0].method.as_str(), entries[0].result()), ("Operations/Resume", v1::AuditResult::Done));
    let refused = entries.iter().filter(|it| it.result() == v1::AuditResult::Refused).count();
    assert!(refused < 300, "{refused} of 400 are in the log");
    let told: u64 = entries.iter().map(|it| it.left_out).sum();
    assert!(told + refused as u64 >= 400, "{told} are said to be left out, and {refused} are there");
    shop.let_go();
    is_whole(&server).await;
    server.stop().await.unwrap();
}

/// The next process goes on with the chain.
async fn a_restart(memory: Memory) {
    let (mut server, shop) = charging(&memory).await;
    server.operations.pause(pause("order-1")).await.unwrap();
    let before = Log::read(&server).await;
    server.stop().await.unwrap();
    let mut server = Server::start_when_free(&memory).await;
    let resume = v1::ResumeSagaRequest { saga_id: "order-1".to_owned(), reason: WHY.to_owned(), ..Default::default() };
    server.operations.resume(resume).await.unwrap();
    let after = Log::read(&server).await;
    after.goes_on_from(&before);
    assert_eq!(after.entries.len(), before.entries.len() + 1);
    shop.let_go();
    server.stop().await.unwrap();
}

/// Somebody with a name who may not is in the log; a stranger isn't.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_is_in_the_log() {
    let (memory, mut access) = (Memory::in_memory(), Access::new());
    let admin = access.add("root", "{ roles: [admin], namespaces: ['*'] }");
    let mallory = access.add("mallory", "{ roles: [viewer], namespaces: ['*'] }");
    let elsewhere = access.add("elsewhere", "{ roles: [operator], namespaces: [shop] }");
    let mut server = Server::start_with(&memory, access.config(&memory)).await;
    let stop = |id: &str| v1::ForceStopSagaRequest {
        saga_id: id.to_owned(),
        reason: "for fun".to_owned(),
        ..Default::default()
    };
    for (token, id) in [(&mallory, "order-1"), (&elsewhere, "order-2")] {
        let status = server.operations.force_stop(of(token, stop(id))).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    }
    assert_eq!(server.operations.force_stop(stop("order-3")).await.unwrap_err().code(), Code::Unauthenticated);
    let mut audit = AuditClient::new(server.channel.clone());
    let mut listed = audit.list(of(&admin, v1::ListAuditRequest::default())).await.unwrap().into_inner().entries;
    // The two may share a millisecond, and which comes first in it says nothing.
    listed.sort_by(|a, b| a.target.cmp(&b.target).reverse());
    let seen: Vec<_> = listed.iter().map(|it| (it.principal.as_str(), it.target.as_str(), it.result())).collect();
    let no = v1::AuditResult::Refused;
    assert_eq!(seen, [("elsewhere", "sagas/order-2", no), ("mallory", "sagas/order-1", no)]);
    assert!(listed[1].message.contains("operator, admin") && listed[1].reason == "for fun");
    // Who may read it: an operator of a tenant that tenant's, of a whole shard only who may for all tenants.
    let own = v1::ListAuditRequest { namespace: "shop".to_owned(), ..Default::default() };
    assert!(audit.list(of(&elsewhere, own)).await.unwrap().into_inner().entries.is_empty());
    for asked in [v1::ListAuditRequest::default(), v1::ListAuditRequest { shard: 1, ..Default::default() }] {
        let status = audit.list(of(&elsewhere, asked)).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    }
    let none = audit.list(of(&admin, v1::ListAuditRequest { shard: 5, ..Default::default() })).await.unwrap_err();
    assert_eq!(refusal(&none).2, ["shard"]);
    server.stop().await.unwrap();
}

/// A caller that goes away has still called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_is_in_the_log() {
    let memory = Memory::in_memory();
    let (server, _shop) = Server::with_shop(&memory).await;
    for number in 0..20 {
        let mut operations = server.operations.clone();
        let asking = tokio::spawn(async move { operations.pause(pause(&format!("order-{number}"))).await });
        tokio::task::yield_now().await;
        asking.abort();
    }
    // Those that came in at all are answered; the last one is waited for.
    let mut operations = server.operations.clone();
    operations.pause(pause("order-last")).await.unwrap_err();
    one(&server, "sagas/order-last").await;
    is_whole(&server).await;
    server.stop().await.unwrap();
}
