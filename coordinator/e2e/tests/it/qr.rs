//! `examples/qr-payment`, every path: paid, never paid, paid too late, told before the reply, refused, and a merchant away.

use std::time::Duration;

use amends_proto::v1 as api;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::shop::Shop;

/// The reason why a wallet was turned away.
fn turned_away<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("turned away");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn why(saga: &api::Saga) -> (api::SagaStatus, api::DecisionCause, &str) {
    let decision = saga.decision.as_ref();
    let cause = decision.map_or(api::DecisionCause::Unspecified, api::Decision::cause);
    (saga.status(), cause, decision.map_or("", |decision| &decision.code))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qr_payments_end_well_on_every_path() {
    // The reply `pending` is held up, so that the wallet's confirmation comes first.
    let reply = "CreateQrPayment:timeout-after-commit:delay_ms=1500:saga=beats-";
    let capture = "CaptureQrPayment:reject:saga=refunded-";
    let flags = ["--allow-faults", "--fault", reply, "--fault", capture, "--refund-takes-ms", "500"];
    let mut shop = Shop::new(&flags, 3).await;
    shop.merchant_opens();
    shop.define(&[]).await;
    shop.define(&[("saga: qr-payment", "saga: qr-hasty"), ("within: 3m", "within: 1s")]).await;
    let shop = &shop;
    tokio::join!(
        paid_in_time(shop),
        paid_before_the_reply(shop),
        never_paid(shop),
        never_heard_of(shop),
        cancelled(shop),
        refunded(shop),
        refused_by_the_screening(shop)
    );
    assert_eq!(shop.merchant_has(), ["beats-1", "paid-1"]);
    shop.check_books(2);
}

async fn paid_in_time(shop: &Shop) {
    shop.start("qr-payment", "paid-1", "ada", 60).await;
    shop.code("paid-1").await;
    shop.pay("paid-1").await.expect("paid");
    let saga = shop.ended("paid-1").await;
    assert_eq!(saga.status(), api::SagaStatus::Completed, "{saga:#?}");
    shop.pay("paid-1").await.expect("the wallet asks again and is told the same");
}

/// Semantics A14: the callback is taken though the coordinator hasn't heard "pending" yet.
async fn paid_before_the_reply(shop: &Shop) {
    shop.start("qr-payment", "beats-1", "ada", 60).await;
    shop.code("beats-1").await;
    shop.pay("beats-1").await.expect("paid");
    let saga = shop.ended("beats-1").await;
    assert_eq!(saga.status(), api::SagaStatus::Completed, "{saga:#?}");
    let entries = shop.history("beats-1").await;
    let first = entries.iter().find(|entry| entry.step == "pay-by-qr").expect("an entry");
    assert_eq!(first.kind(), api::HistoryKind::CalledBack, "{entries:#?}");
}

async fn never_paid(shop: &Shop) {
    shop.start("qr-payment", "unpaid-1", "ada", 1).await;
    let saga = shop.ended("unpaid-1").await;
    assert_eq!(why(&saga), (api::SagaStatus::Compensated, api::DecisionCause::Rejected, "QR_EXPIRED"));
    assert_eq!(turned_away(shop.pay("unpaid-1").await), "QR_EXPIRED", "too late, and the payer keeps the money");
}

/// The coordinator's own deadline, long before the code expires.
async fn never_heard_of(shop: &Shop) {
    shop.start("qr-hasty", "hasty-1", "ada", 120).await;
    shop.code("hasty-1").await;
    let saga = shop.ended("hasty-1").await;
    assert_eq!(why(&saga), (api::SagaStatus::Compensated, api::DecisionCause::GaveUp, ""));
    assert_eq!(turned_away(shop.pay("hasty-1").await), "QR_CANCELLED");
}

async fn cancelled(shop: &Shop) {
    shop.start("qr-payment", "cancelled-1", "ada", 60).await;
    shop.code("cancelled-1").await;
    let reason = "the customer has left".to_owned();
    let cancel = api::CancelSagaRequest { saga_id: "cancelled-1".to_owned(), reason, ..Default::default() };
    api::sagas_client::SagasClient::new(shop.channel.clone()).cancel(cancel).await.expect("cancelled");
    let saga = shop.ended("cancelled-1").await;
    assert_eq!(why(&saga).1, api::DecisionCause::Cancelled);
    assert_eq!(turned_away(shop.pay("cancelled-1").await), "QR_CANCELLED");
}

/// The compensation is pending, as the action was: a refund takes its time, and the coordinator is told when it has arrived.
async fn refunded(shop: &Shop) {
    shop.start("qr-payment", "refunded-1", "ada", 60).await;
    shop.code("refunded-1").await;
    shop.pay("refunded-1").await.expect("paid");
    let saga = shop.ended("refunded-1").await;
    assert_eq!(why(&saga), (api::SagaStatus::Compensated, api::DecisionCause::Rejected, "FAULT_INJECTED"));
    let step = saga.steps.iter().find(|step| step.name == "pay-by-qr").expect("the step");
    assert_eq!(step.effect(), api::Effect::Undone, "{step:#?}");
    let told =
        shop.history("refunded-1").await.into_iter().any(|entry| {
            entry.kind() == api::HistoryKind::CalledBack && entry.operation() == api::Operation::Compensate
        });
    assert!(told, "nobody has told of the refund");
    assert_eq!(shop.code("refunded-1").await.status(), amends_payment::proto::QrStatus::Refunded);
}

async fn refused_by_the_screening(shop: &Shop) {
    shop.start("qr-payment", "frozen-1", "frida", 60).await;
    let saga = shop.ended("frozen-1").await;
    assert_eq!(why(&saga), (api::SagaStatus::Compensated, api::DecisionCause::Rejected, "FROZEN"));
    assert_eq!(shop.pay("frozen-1").await.expect_err("no code").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qr_merchant_that_is_away_is_told_when_it_is_back_and_the_saga_shows_it() {
    let mut shop = Shop::new(&[], 0).await;
    shop.define(&[("timeout: 10m", "timeout: 3s"), ("within: 3m", "within: 3s")]).await;
    shop.start("qr-payment", "order-1", "ada", 60).await;
    shop.code("order-1").await;
    shop.pay("order-1").await.expect("paid");
    let mut saga = shop.get("order-1").await;
    for _ in 0..600 {
        if saga.late {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        saga = shop.get("order-1").await;
    }
    assert!(saga.late, "{saga:#?}");
    assert_eq!(saga.status(), api::SagaStatus::Running, "past the pivot it only goes forward: {saga:#?}");
    let notify = saga.steps.iter().find(|step| step.name == "notify-merchant").expect("the step");
    assert!(notify.operations[0].attempts > 0, "{notify:#?}");
    assert!(shop.merchant_has().is_empty());
    shop.merchant_opens();
    let saga = shop.ended("order-1").await;
    assert_eq!(saga.status(), api::SagaStatus::Completed, "{saga:#?}");
    assert_eq!(shop.merchant_has(), ["order-1"]);
    shop.check_books(1);
}
