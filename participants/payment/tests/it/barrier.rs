//! The interleavings that lose money (semantics A2, A4, A5, A7, A9), on a real process.

use amends_participant::testing::until_known;
use amends_payment::proto::ChargeRequest;
use tonic::{Code, Request};

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn duplicates_charge_once_and_refund_once() {
    let running = Running::new(&[]).await;
    let first = running.charge("s", &step("s"), 40).await.unwrap();
    assert_eq!(running.charge("s", &step("s"), 40).await.unwrap(), first);
    assert_eq!(running.audit().await["receivable"], 40);
    for _ in 0..3 {
        assert_eq!(running.refund("s", &step("s").expects_succeeded()).await.unwrap(), 40);
    }
    assert_eq!(told(running.charge("s", &step("s"), 40).await), precondition("AMENDS_COMPENSATED"), "a late copy");
    assert_eq!(running.audit().await["receivable"], 0);
}

#[tokio::test]
async fn a_refund_that_comes_first_does_nothing_and_the_late_charge_is_refused() {
    let running = Running::new(&[]).await;
    for _ in 0..2 {
        assert_eq!(running.refund("s", &step("s")).await.unwrap(), 0);
        assert_eq!(told(running.charge("s", &step("s"), 40).await), precondition("AMENDS_COMPENSATED"));
    }
    assert_eq!(running.audit().await["charged"], 0);
}

#[tokio::test]
async fn a_refusal_answers_every_late_copy_after_its_cause_is_gone() {
    let running = Running::new(&["--allow-faults", "--fault", "Charge:reject:next=1"]).await;
    assert_eq!(told(running.charge("s", &step("s"), 40).await), precondition("FAULT_INJECTED"));
    assert_eq!(told(running.charge("s", &step("s"), 40).await), precondition("FAULT_INJECTED"));
    assert!(running.charge("other", &step("other"), 40).await.is_ok(), "the rule is used up");
    assert_eq!(running.refund("s", &step("s")).await.unwrap(), 0, "nothing to undo");
    assert_eq!(running.audit().await["receivable"], 40);
}

#[tokio::test]
async fn overlapping_charge_and_refund_leave_nothing_charged_whoever_is_first() {
    let running = Running::new(&[]).await;
    let sagas: Vec<String> = (0..100).map(|n| format!("s-{n}")).collect();
    let pairs = sagas.iter().map(|saga| async {
        let call = step(saga);
        let charge = until_known(async || running.charge(saga, &call, 1).await);
        let refund = until_known(async || running.refund(saga, &call).await);
        let (_, refund) = tokio::join!(charge, refund);
        assert!(refund.is_ok(), "{refund:?}");
    });
    futures::future::join_all(pairs).await;
    assert_eq!(running.audit().await["receivable"], 0);
}

#[tokio::test]
async fn the_same_key_with_another_amount_is_refused() {
    let running = Running::new(&[]).await;
    running.charge("s", &step("s"), 40).await.unwrap();
    assert_eq!(told(running.charge("s", &step("s"), 41).await), (Code::Aborted, "AMENDS_KEY_REUSED".into()));
    assert_eq!(running.audit().await["charged"], 40);
}

#[tokio::test]
async fn a_replaced_owner_is_turned_away() {
    let running = Running::new(&[]).await;
    running.charge("s", &step("s").epoch(8), 40).await.unwrap();
    let stale = running.refund("s", &step("s").epoch(7)).await;
    assert_eq!(told(stale), (Code::Aborted, "AMENDS_STALE_EPOCH".into()));
    assert!(running.refund("s", &step("s").epoch(9)).await.is_ok());
}

#[tokio::test]
async fn an_expected_charge_that_is_not_here_is_data_loss() {
    let running = Running::new(&[]).await;
    let missing = running.refund("s", &step("s").expects_succeeded()).await;
    assert_eq!(told(missing), (Code::DataLoss, "AMENDS_ROW_MISSING".into()));
}

#[tokio::test]
async fn a_charge_without_our_metadata_is_internal_and_changes_nothing() {
    let running = Running::new(&[]).await;
    let charge = ChargeRequest { payment_id: "p".into(), amount_minor: 40, reservation: "r-1".into() };
    let status = running.client.clone().charge(Request::new(charge)).await.expect_err("no metadata");
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(running.audit().await["charged"], 0);
}

#[tokio::test]
async fn a_crash_after_the_commit_loses_only_the_answer() {
    let mut running = Running::new(&["--allow-faults", "--fault", "Charge:crash-after-commit"]).await;
    let lost = running.charge("s", &step("s"), 40).await.expect_err("the process is gone");
    assert!(![Code::FailedPrecondition, Code::InvalidArgument].contains(&lost.code()), "reads as refused: {lost}");
    assert!(!running.server.wait().unwrap().success());
    let running = running.restart().await;
    let standing = running.standing("s").await.unwrap();
    assert_eq!(running.charge("s", &step("s"), 40).await.unwrap(), standing, "the stored reply");
    assert_eq!(running.audit().await["receivable"], 40);
}
