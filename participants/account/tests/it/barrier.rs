//! The interleavings that lose money (semantics A2, A4, A5, A7, A9), on a real process.

use amends_participant::testing::until_known;
use tonic::Code;

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn duplicates_hold_confirm_and_count_once() {
    let running = Running::with_alice().await;
    for _ in 0..3 {
        assert_eq!(running.hold(&step("s"), 30).await.unwrap(), 30);
    }
    assert_eq!(running.balance("alice").await, (70, 30));
    for _ in 0..3 {
        assert_eq!(running.confirm(&step("s").expects_succeeded()).await.unwrap(), 30);
    }
    assert_eq!(running.balance("alice").await, (70, 0));
    assert_eq!(running.audit().await["balance"], 100, "70 of alice, 30 of the merchant");
}

#[tokio::test]
async fn a_cancelled_hold_is_given_back_once() {
    let running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    for _ in 0..3 {
        assert_eq!(running.cancel(&step("s").expects_succeeded()).await.unwrap(), 30);
    }
    assert_eq!(running.balance("alice").await, (100, 0));
    running.audit().await;
}

#[tokio::test]
async fn a_cancel_that_comes_first_does_nothing_and_the_late_hold_is_refused() {
    let running = Running::with_alice().await;
    for _ in 0..2 {
        assert_eq!(running.cancel(&step("s")).await.unwrap(), 0);
    }
    for _ in 0..2 {
        assert_eq!(told(running.hold(&step("s"), 30).await), precondition("AMENDS_COMPENSATED"));
    }
    assert_eq!(running.balance("alice").await, (100, 0));
    running.audit().await;
}

#[tokio::test]
async fn a_confirm_that_comes_first_is_refused_and_can_come_again() {
    let running = Running::with_alice().await;
    assert_eq!(told(running.confirm(&step("s")).await), precondition("AMENDS_NOT_TRIED"));
    running.hold(&step("s"), 30).await.unwrap();
    assert_eq!(running.confirm(&step("s")).await.unwrap(), 30);
    assert_eq!(told(running.cancel(&step("s")).await), precondition("AMENDS_CONFIRMED"));
    running.audit().await;
}

#[tokio::test]
async fn a_refusal_answers_a_late_copy_even_when_there_is_money_again() {
    let running = Running::with_alice().await;
    assert_eq!(told(running.hold(&step("s"), 130).await), precondition("INSUFFICIENT_FUNDS"));
    running.open("alice", 0, 100).await;
    let deposit = amends_account::proto::DepositRequest {
        deposit_id: "more".into(),
        account_id: "alice".into(),
        amount_minor: 100,
    };
    running.client.clone().deposit(deposit).await.unwrap();
    assert_eq!(told(running.hold(&step("s"), 130).await), precondition("INSUFFICIENT_FUNDS"));
    assert_eq!(running.cancel(&step("s")).await.unwrap(), 0, "nothing to undo");
    assert_eq!(running.balance("alice").await, (200, 0));
    running.audit().await;
}

#[tokio::test]
async fn overlapping_hold_and_cancel_leave_nothing_held_whoever_is_first() {
    let running = Running::with_alice().await;
    let sagas: Vec<String> = (0..100).map(|n| format!("s-{n}")).collect();
    let pairs = sagas.iter().map(|saga| async {
        let call = step(saga);
        let hold = until_known(async || running.hold(&call, 1).await);
        let cancel = until_known(async || running.cancel(&call).await);
        let (hold, cancel) = tokio::join!(hold, cancel);
        assert!(cancel.is_ok(), "{cancel:?}");
        hold.is_ok()
    });
    futures::future::join_all(pairs).await;
    assert_eq!(running.balance("alice").await, (100, 0));
    running.audit().await;
}

#[tokio::test]
async fn the_same_key_with_another_amount_is_refused() {
    let running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    assert_eq!(told(running.hold(&step("s"), 31).await), (Code::Aborted, "AMENDS_KEY_REUSED".into()));
    assert_eq!(running.balance("alice").await, (70, 30));
}

#[tokio::test]
async fn a_replaced_owner_is_turned_away() {
    let running = Running::with_alice().await;
    running.hold(&step("s").epoch(8), 30).await.unwrap();
    assert_eq!(told(running.confirm(&step("s").epoch(7)).await), (Code::Aborted, "AMENDS_STALE_EPOCH".into()));
    assert!(running.hold(&step("other").epoch(7), 30).await.is_ok(), "epochs are counted per saga");
    assert!(running.confirm(&step("s").epoch(9)).await.is_ok());
}

#[tokio::test]
async fn an_expected_hold_that_is_not_here_is_data_loss() {
    let running = Running::with_alice().await;
    let missing = (Code::DataLoss, "AMENDS_ROW_MISSING".to_owned());
    assert_eq!(told(running.cancel(&step("s").expects_succeeded()).await), missing);
    assert_eq!(told(running.confirm(&step("s").expects_succeeded()).await), missing);
}

#[tokio::test]
async fn replies_and_refusals_survive_a_kill() {
    let running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    running.hold(&step("poor"), 500).await.expect_err("refused");
    let running = running.restart().await;
    assert_eq!(running.hold(&step("s"), 30).await.unwrap(), 30);
    assert_eq!(told(running.hold(&step("poor"), 500).await), precondition("INSUFFICIENT_FUNDS"));
    assert_eq!(running.balance("alice").await, (70, 30));
    running.audit().await;
}
