//! The interleavings that lose stock (semantics A2, A4, A5, A7, A9), on a real process.

use amends_inventory::proto::ReserveRequest;
use amends_participant::testing::until_known;
use tonic::{Code, Request};

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn duplicates_reserve_once_and_release_once() {
    let running = Running::with_tea(&[]).await;
    let first = running.reserve("s", &step("s"), 4).await.unwrap();
    assert_eq!(running.reserve("s", &step("s"), 4).await.unwrap(), first);
    assert_eq!(running.tea().await, (6, 4));
    for _ in 0..3 {
        assert_eq!(running.release("s", &step("s").expects_succeeded()).await.unwrap(), 4);
    }
    assert_eq!(running.tea().await, (10, 0));
    assert_eq!(told(running.reserve("s", &step("s"), 4).await), precondition("AMENDS_COMPENSATED"), "a late copy");
    running.audit().await;
}

#[tokio::test]
async fn a_release_that_comes_first_does_nothing_and_the_late_reserve_is_refused() {
    let running = Running::with_tea(&[]).await;
    for _ in 0..2 {
        assert_eq!(running.release("s", &step("s")).await.unwrap(), 0);
        assert_eq!(told(running.reserve("s", &step("s"), 4).await), precondition("AMENDS_COMPENSATED"));
    }
    assert_eq!(running.tea().await, (10, 0));
    running.audit().await;
}

#[tokio::test]
async fn out_of_stock_answers_a_late_copy_even_when_there_is_stock_again() {
    let running = Running::with_tea(&[]).await;
    assert_eq!(told(running.reserve("s", &step("s"), 11).await), precondition("OUT_OF_STOCK"));
    running.stock("tea", 50).await;
    assert_eq!(told(running.reserve("s", &step("s"), 11).await), precondition("OUT_OF_STOCK"));
    assert_eq!(running.release("s", &step("s")).await.unwrap(), 0, "nothing to undo");
    assert_eq!(running.tea().await, (50, 0));
    running.audit().await;
}

#[tokio::test]
async fn overlapping_reserve_and_release_leave_nothing_reserved_whoever_is_first() {
    let running = Running::with_tea(&[]).await;
    running.stock("tea", 1000).await;
    let sagas: Vec<String> = (0..100).map(|n| format!("s-{n}")).collect();
    let pairs = sagas.iter().map(|saga| async {
        let call = step(saga);
        let reserve = until_known(async || running.reserve(saga, &call, 1).await);
        let release = until_known(async || running.release(saga, &call).await);
        let (_, release) = tokio::join!(reserve, release);
        assert!(release.is_ok(), "{release:?}");
    });
    futures::future::join_all(pairs).await;
    assert_eq!(running.tea().await, (1000, 0));
    running.audit().await;
}

#[tokio::test]
async fn the_same_key_with_another_quantity_is_refused() {
    let running = Running::with_tea(&[]).await;
    running.reserve("s", &step("s"), 4).await.unwrap();
    assert_eq!(told(running.reserve("s", &step("s"), 5).await), (Code::Aborted, "AMENDS_KEY_REUSED".into()));
    assert_eq!(running.tea().await, (6, 4));
}

#[tokio::test]
async fn a_replaced_owner_is_turned_away() {
    let running = Running::with_tea(&[]).await;
    running.reserve("s", &step("s").epoch(8), 4).await.unwrap();
    let stale = running.release("s", &step("s").epoch(7)).await;
    assert_eq!(told(stale), (Code::Aborted, "AMENDS_STALE_EPOCH".into()));
    assert!(running.release("s", &step("s").epoch(9)).await.is_ok());
}

#[tokio::test]
async fn an_expected_reservation_that_is_not_here_is_data_loss() {
    let running = Running::with_tea(&[]).await;
    let missing = running.release("s", &step("s").expects_succeeded()).await;
    assert_eq!(told(missing), (Code::DataLoss, "AMENDS_ROW_MISSING".into()));
}

#[tokio::test]
async fn a_reserve_without_our_metadata_is_internal_and_changes_nothing() {
    let running = Running::with_tea(&[]).await;
    let reserve = ReserveRequest { order_id: "o".into(), sku: "tea".into(), quantity: 1 };
    let status = running.client.clone().reserve(Request::new(reserve)).await.expect_err("no metadata");
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(running.tea().await, (10, 0));
}

#[tokio::test]
async fn a_crash_after_the_commit_loses_only_the_answer() {
    let faults = ["--allow-faults", "--fault", "Reserve:crash-after-commit"];
    let mut running = Running::with_tea(&faults).await;
    let lost = running.reserve("s", &step("s"), 4).await.expect_err("the process is gone");
    assert!(![Code::FailedPrecondition, Code::InvalidArgument].contains(&lost.code()), "reads as refused: {lost}");
    assert!(!running.server.wait().unwrap().success());
    let running = running.restart().await;
    assert_eq!(running.tea().await, (6, 4), "it was committed");
    assert_eq!(running.reserve("s", &step("s"), 4).await.unwrap(), "r-1", "the stored reply");
    assert_eq!(running.audit().await["sold"], 4);
}
