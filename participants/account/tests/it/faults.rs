//! Failing on purpose, and that no failure breaks a promise.

use amends_participant::faults::proto::faults_client::FaultsClient;
use amends_participant::faults::proto::{ClearRequest, GetRequest, Kind, Rule, SetRequest};
use amends_participant::testing::TestPlace;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::{Running, precondition, step, told};

async fn faulty() -> (Running, FaultsClient<tonic::transport::Channel>) {
    let running = Running::start(TestPlace::new().await, &["--allow-faults"]).await;
    running.open("alice", 0, 100).await;
    let faults = FaultsClient::connect(running.server.uri()).await.unwrap();
    (running, faults)
}

fn rule(method: &str, kind: Kind) -> Rule {
    Rule { method: method.into(), kind: kind.into(), ..Rule::default() }
}

async fn set(faults: &mut FaultsClient<tonic::transport::Channel>, rules: Vec<Rule>) {
    faults.set(SetRequest { rules }).await.unwrap();
}

#[tokio::test]
async fn a_crash_after_the_commit_loses_only_the_answer() {
    let (mut running, mut faults) = faulty().await;
    set(&mut faults, vec![rule("Hold", Kind::CrashAfterCommit)]).await;
    let lost = running.hold(&step("s"), 30).await.expect_err("the process is gone");
    assert!(![Code::FailedPrecondition, Code::InvalidArgument].contains(&lost.code()), "reads as refused: {lost}");
    assert!(!running.server.wait().unwrap().success());
    let running = running.restart().await;
    assert_eq!(running.balance("alice").await, (70, 30), "it was committed");
    assert_eq!(running.hold(&step("s"), 30).await.unwrap(), 30, "the stored reply");
    assert_eq!(running.audit().await["held"], 30);
}

/// Asks until the hold is there.
async fn committed(running: &Running) {
    while running.balance("alice").await != (70, 30) {}
}

#[tokio::test]
async fn a_timeout_after_the_commit_loses_only_the_answer() {
    let (running, mut faults) = faulty().await;
    set(&mut faults, vec![Rule { next_calls: Some(1), ..rule("Hold", Kind::TimeoutAfterCommit) }]).await;
    let call = step("s");
    tokio::select! {
        answer = running.hold(&call, 30) => panic!("answered: {answer:?}"),
        () = committed(&running) => {}
    }
    assert_eq!(running.hold(&step("s"), 30).await.unwrap(), 30);
    assert_eq!(running.balance("alice").await, (70, 30));
    let rules = faults.get(GetRequest {}).await.unwrap().into_inner().rules;
    assert_eq!((rules[0].fired, rules[0].next_calls), (1, Some(0)));
}

#[tokio::test]
async fn a_refusal_on_purpose_is_as_final_as_any_other() {
    let (running, mut faults) = faulty().await;
    set(&mut faults, vec![Rule { saga_id_prefix: "bad-".into(), ..rule("Hold", Kind::Reject) }]).await;
    assert_eq!(told(running.hold(&step("bad-1"), 30).await), precondition("FAULT_INJECTED"));
    assert!(running.hold(&step("good-1"), 30).await.is_ok());
    assert!(faults.clear(ClearRequest {}).await.unwrap().into_inner().rules.is_empty());
    assert_eq!(told(running.hold(&step("bad-1"), 30).await), precondition("FAULT_INJECTED"), "a late copy");
    assert_eq!(running.balance("alice").await, (70, 30));
}

#[tokio::test]
async fn a_service_that_is_down_answers_nobody_but_the_one_who_can_bring_it_back() {
    let (running, mut faults) = faulty().await;
    set(&mut faults, vec![rule("*", Kind::Down)]).await;
    assert_eq!(running.hold(&step("s"), 30).await.expect_err("down").code(), Code::Unavailable);
    let channel = Endpoint::from_shared(running.server.uri()).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);
    assert!(health.check(HealthCheckRequest::default()).await.is_err());
    faults.clear(ClearRequest {}).await.unwrap();
    assert!(running.hold(&step("s"), 30).await.is_ok());
    assert!(health.check(HealthCheckRequest { service: "account.v1.Account".into() }).await.is_ok());
}

#[tokio::test]
async fn a_slow_call_is_carried_out_all_the_same() {
    let (running, mut faults) = faulty().await;
    set(&mut faults, vec![Rule { delay_ms: 5, ..rule("Hold", Kind::Slow) }]).await;
    assert_eq!(running.hold(&step("s"), 30).await.unwrap(), 30);
    assert_eq!(faults.get(GetRequest {}).await.unwrap().into_inner().rules[0].fired, 1);
}

#[tokio::test]
async fn a_bad_rule_changes_nothing() {
    let (_running, mut faults) = faulty().await;
    set(&mut faults, vec![rule("Hold", Kind::Slow)]).await;
    let bad = vec![rule("Hold", Kind::Down), Rule { probability: Some(2.0), ..rule("Hold", Kind::Down) }];
    let status = faults.set(SetRequest { rules: bad }).await.expect_err("bad");
    assert_eq!(status.code(), Code::InvalidArgument);
    let rules = faults.get(GetRequest {}).await.unwrap().into_inner().rules;
    assert_eq!((rules.len(), rules[0].kind()), (1, Kind::Slow));
}

#[tokio::test]
async fn nobody_can_set_faults_without_leave() {
    let running = Running::with_alice().await;
    let mut faults = FaultsClient::connect(running.server.uri()).await.unwrap();
    let status = faults.set(SetRequest { rules: vec![rule("*", Kind::Down)] }).await.expect_err("not served");
    assert_eq!(status.code(), Code::Unimplemented);
}
