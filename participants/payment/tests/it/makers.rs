//! A saga ends only what it has made itself, and takes nobody else's charge for its own; a refund saga refunds what a checkout
//! has charged.

use amends_participant::testing::StepCall;
use amends_payment::proto::{
    CancelQrPaymentRequest, CaptureQrPaymentRequest, ChargeReply, GetChargeRequest, GetQrPaymentRequest, QrStatus,
    RefundRequest,
};
use tonic::{Code, Request, Status};

use crate::fixture::{Running, precondition, qr_step, step, told};

impl Running {
    async fn refund_by(&self, request: Request<RefundRequest>) -> Result<i64, Status> {
        self.client.clone().refund(request).await.map(|reply| reply.into_inner().refunded_minor)
    }

    async fn query(&self, call: &StepCall, id: &str) -> Result<ChargeReply, Status> {
        let request = call.query(GetChargeRequest { payment_id: id.into() });
        self.client.clone().get_charge(request).await.map(tonic::Response::into_inner)
    }
}

fn refund(id: &str) -> RefundRequest {
    RefundRequest { payment_id: id.into() }
}

#[tokio::test]
async fn a_compensation_refunds_only_what_its_own_saga_has_charged() {
    let running = Running::new(&[]).await;
    running.charge("p-a", &step("a"), 40).await.unwrap();
    running.charge("p-b", &step("b"), 5).await.unwrap();
    assert_eq!(told(running.refund_by(step("b").compensate(refund("p-a"))).await), precondition("UNKNOWN_CHARGE"));
    assert_eq!(running.audit().await["receivable"], 45, "both still stand");
    running.charge("p-a", &step("c"), 7).await.unwrap();
    assert_eq!(running.refund_by(step("c").compensate(refund("p-a"))).await.unwrap(), 7, "its own, not the oldest");
    let namesake = step("a").namespace("elsewhere");
    running.charge("p-c", &namesake, 1).await.unwrap();
    let foreign = running.refund_by(namesake.compensate(refund("p-a"))).await;
    assert_eq!(told(foreign), precondition("UNKNOWN_CHARGE"), "the same saga id, another tenant");
    assert_eq!(running.refund_by(step("a").compensate(refund("p-a"))).await.unwrap(), 40);
    assert_eq!(running.audit().await["receivable"], 6);
}

#[tokio::test]
async fn a_refund_saga_refunds_what_a_checkout_has_charged_unless_it_is_unclear_which() {
    let running = Running::new(&[]).await;
    running.charge("order-1", &step("checkout-1"), 40).await.unwrap();
    for _ in 0..2 {
        assert_eq!(running.refund_by(step("refund-1").action(refund("order-1"))).await.unwrap(), 40);
    }
    assert_eq!(
        told(running.refund_by(step("refund-2").action(refund("order-1"))).await),
        precondition("UNKNOWN_CHARGE")
    );
    let late = running.refund_by(step("checkout-1").compensate(refund("order-1"))).await;
    assert_eq!(told(late), precondition("UNKNOWN_CHARGE"), "not twice, and not in silence");
    for saga in ["checkout-2", "checkout-3"] {
        running.charge("order-2", &step(saga), 5).await.unwrap();
    }
    let unclear = running.refund_by(step("refund-3").action(refund("order-2"))).await;
    assert_eq!(told(unclear), precondition("AMBIGUOUS_CHARGE"));
    assert_eq!(running.audit().await["receivable"], 10);
}

#[tokio::test]
async fn a_sagas_query_never_takes_anothers_charge_for_its_own() {
    let running = Running::new(&[]).await;
    let charged = running.charge("order-1", &step("a"), 40).await.unwrap();
    assert_eq!(running.query(&step("b"), "order-1").await.expect_err("another's").code(), Code::NotFound);
    let namesake = step("a").namespace("elsewhere");
    assert_eq!(running.query(&namesake, "order-1").await.expect_err("another tenant's").code(), Code::NotFound);
    assert_eq!(running.query(&step("a"), "order-1").await.unwrap(), charged);
    assert_eq!(running.standing("order-1").await.unwrap(), charged, "anybody may look");
    let own = running.charge("order-1", &step("b"), 5).await.unwrap();
    assert_eq!(running.query(&step("b"), "order-1").await.unwrap(), own);
}

#[tokio::test]
async fn a_qr_payment_is_ended_by_its_own_saga_only() {
    let running = Running::new(&[]).await;
    for saga in ["a", "b"] {
        running.issue(saga, 60).await.unwrap();
    }
    running.pay("a", "ada").await.unwrap();
    let unknown = precondition("UNKNOWN_PAYMENT");
    let mut client = running.client.clone();
    let cancel = |id: &str| CancelQrPaymentRequest { payment_id: id.into() };
    let capture = |id: &str| CaptureQrPaymentRequest { payment_id: id.into() };
    assert_eq!(told(client.cancel_qr_payment(qr_step("b").compensate(cancel("a"))).await), unknown);
    assert_eq!(told(client.capture_qr_payment(StepCall::new("b", "capture").action(capture("a"))).await), unknown);
    let other_step = StepCall::new("a", "void").action(cancel("a"));
    assert_eq!(told(client.cancel_qr_payment(other_step).await), unknown, "its refund would come through no row");
    assert_eq!(running.qr("a").await.unwrap().get_ref().status(), QrStatus::Paid);
    let get = || GetQrPaymentRequest { payment_id: "a".into() };
    assert_eq!(client.get_qr_payment(qr_step("b").query(get())).await.expect_err("another's").code(), Code::NotFound);
    assert!(client.get_qr_payment(StepCall::new("a", "capture").query(get())).await.is_ok());
    assert_eq!(running.capture("a").await.unwrap().status(), QrStatus::Captured);
    assert_eq!(*running.cancel_qr("b").await.unwrap().get_ref(), 0);
    running.audit().await;
}

#[tokio::test]
async fn what_was_charged_before_makers_were_written_down_is_refunded_as_it_was_then() {
    let running = Running::new(&[]).await;
    running.charge("order-1", &step("old"), 40).await.unwrap();
    let mut db = running.connect().await;
    for column in ["namespace", "saga_id"] {
        let older = sqlx::AssertSqlSafe(format!("ALTER TABLE charges DROP COLUMN {column}"));
        sqlx::raw_sql(older).execute(&mut db).await.unwrap();
    }
    drop(db);
    let running = running.restart().await.restart().await;
    assert!(running.query(&step("old"), "order-1").await.is_ok());
    assert_eq!(running.refund_by(step("old").compensate(refund("order-1"))).await.unwrap(), 40);
    running.audit().await;
}
