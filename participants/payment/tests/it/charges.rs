//! Charges, the query that settles an unknown outcome, and bad input.

use amends_payment::proto::ChargeRequest;
use tonic::Code;

use crate::fixture::{Running, precondition, step, told};

#[tokio::test]
async fn only_a_charge_that_stands_is_found() {
    let running = Running::new(&["--allow-faults", "--fault", "Charge:reject:saga=bad"]).await;
    assert_eq!(running.standing("s").await.expect_err("not yet").code(), Code::NotFound);
    let charge = running.charge("s", &step("s"), 40).await.unwrap();
    assert_eq!(running.standing("s").await.unwrap(), charge, "the query answers what the action answered");
    running.refund("s", &step("s")).await.unwrap();
    assert_eq!(running.standing("s").await.expect_err("refunded").code(), Code::NotFound);
    running.charge("bad", &step("bad"), 40).await.expect_err("refused");
    assert_eq!(running.standing("bad").await.expect_err("refused").code(), Code::NotFound);
}

#[tokio::test]
async fn what_cannot_be_charged_is_rejected_with_its_reason() {
    let running = Running::new(&[]).await;
    for (n, amount) in [0, -1, i64::MIN].into_iter().enumerate() {
        let saga = format!("s-{n}");
        assert_eq!(told(running.charge(&saga, &step(&saga), amount).await), precondition("INVALID_AMOUNT"));
    }
    for (saga, id) in [("s-9", ""), ("s-10", "a\0b"), ("s-11", &"x".repeat(129))] {
        assert_eq!(told(running.charge(id, &step(saga), 1).await), precondition("INVALID_PAYMENT_ID"));
    }
    let charge = ChargeRequest { payment_id: "p".into(), amount_minor: 1, reservation: "a\0b".into() };
    let charged = running.client.clone().charge(step("s-12").action(charge)).await;
    assert_eq!(told(charged), precondition("INVALID_RESERVATION"));
    assert_eq!(running.audit().await["charged"], 0);
}

#[tokio::test]
async fn the_largest_amount_is_charged_and_refunded_exactly() {
    let running = Running::new(&[]).await;
    assert_eq!(running.charge("s", &step("s"), i64::MAX).await.unwrap().amount_minor, i64::MAX);
    assert_eq!(running.refund("s", &step("s")).await.unwrap(), i64::MAX);
    running.audit().await;
}
