//! Shelves, bad input, and the methods outside sagas.

use amends_inventory::proto::{GetStockRequest, ReserveRequest, SetStockRequest};
use amends_participant::testing::{ServerProcess, TestPlace, until_known};
use tonic::Code;

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn a_shelf_never_goes_below_zero_however_many_ask() {
    let running = Running::with_tea(&[]).await;
    let sagas: Vec<String> = (0..50).map(|n| format!("s-{n}")).collect();
    let running_ref = &running;
    let reserved = futures::future::join_all(sagas.iter().map(|saga| async move {
        until_known(async || running_ref.reserve(saga, &step(saga), 3).await).await.is_ok()
    }));
    assert_eq!(reserved.await.into_iter().filter(|reserved| *reserved).count(), 3);
    assert_eq!(running.tea().await, (1, 9));
    running.audit().await;
}

#[tokio::test]
async fn what_cannot_be_reserved_is_rejected_with_its_reason() {
    let running = Running::with_tea(&[]).await;
    assert_eq!(told(running.reserve("s-1", &step("s-1"), 0).await), precondition("INVALID_QUANTITY"));
    assert_eq!(told(running.reserve("s-2", &step("s-2"), i64::MIN).await), precondition("INVALID_QUANTITY"));
    for (saga, order) in [("s-3", ""), ("s-5", "a\0b")] {
        assert_eq!(told(running.reserve(order, &step(saga), 1).await), precondition("INVALID_ORDER_ID"));
    }
    for (saga, sku) in [("s-4", "coffee"), ("s-6", "a\0b"), ("s-7", &"x".repeat(1_000_000))] {
        let request = ReserveRequest { order_id: saga.into(), sku: sku.into(), quantity: 1 };
        let answer = running.client.clone().reserve(step(saga).action(request)).await;
        assert_eq!(told(answer), precondition("UNKNOWN_SKU"));
    }
    assert_eq!(running.tea().await, (10, 0));
}

#[tokio::test]
async fn each_line_of_an_order_is_reserved_and_all_are_released() {
    let running = Running::with_tea(&[]).await;
    for line in ["1", "2"] {
        running.reserve("s", &step("s").element(line), 2).await.unwrap();
    }
    assert_eq!(running.tea().await, (6, 4));
    for line in ["2", "1"] {
        running.release("s", &step("s").element(line).expects_succeeded()).await.unwrap();
    }
    assert_eq!(running.tea().await, (10, 0));
    running.audit().await;
}

#[tokio::test]
async fn setting_stock_leaves_reservations_as_they_are() {
    let running = Running::with_tea(&[]).await;
    running.reserve("s", &step("s"), 4).await.unwrap();
    running.stock("tea", 3).await;
    assert_eq!(running.tea().await, (3, 4));
    assert_eq!(running.release("s", &step("s")).await.unwrap(), 4);
    assert_eq!(running.tea().await, (7, 0));
    assert_eq!(running.audit().await["stocked"], 7);
}

#[tokio::test]
async fn bad_input_outside_sagas_is_an_error() {
    let running = Running::with_tea(&[]).await;
    let mut client = running.client.clone();
    for (sku, quantity) in [("", 1), ("a\0b", 1), ("tea", -1), ("tea", i64::MAX)] {
        let status = client.set_stock(SetStockRequest { sku: sku.into(), quantity }).await.expect_err("bad");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let status = client.get_stock(GetStockRequest { sku: "coffee".into() }).await.expect_err("unknown");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_flag_fills_a_shelf_once_and_leaves_it_alone_afterwards() {
    let running = Running::start(TestPlace::new().await, &["--stock", "tea=10"]).await;
    running.reserve("s", &step("s"), 3).await.unwrap();
    let running = running.restart_with(&["--stock", "tea=50"]).await;
    assert_eq!(running.tea().await, (7, 3));
    running.audit().await;
    let elsewhere = TestPlace::new().await;
    let too_much = format!("tea={}", i64::MAX);
    let program = env!("CARGO_BIN_EXE_amends-inventory");
    assert!(ServerProcess::start(program, elsewhere.place(), &["--stock", &too_much]).is_err());
}
