//! QR payments: who may pay what and when, and that money moves once (semantics A14).

use amends_participant::testing::until_known;
use amends_payment::proto::{ConfirmQrPaymentRequest, CreateQrPaymentRequest, QrStatus};
use tonic::{Code, Status};

use crate::fixture::{Running, precondition, qr_step, told};

fn is_pending<T>(response: &tonic::Response<T>) -> bool {
    response.metadata().get("amends-outcome").is_some_and(|outcome| outcome == "pending")
}

#[tokio::test]
async fn a_code_is_pending_until_it_is_paid_and_the_repeats_agree() {
    let running = Running::new(&[]).await;
    for _ in 0..2 {
        assert!(is_pending(&running.issue("s", 60).await.unwrap()));
    }
    let open = running.qr("s").await.unwrap();
    assert!(is_pending(&open), "a query that finds it open says so");
    assert_eq!(open.get_ref().status(), QrStatus::Open);
    assert!(open.get_ref().qr_payload.starts_with("amendspay:pay?id=s&to=shop-1&minor=40&until="), "{open:?}");
    for _ in 0..3 {
        assert_eq!(running.pay("s", "ada").await.unwrap().status(), QrStatus::Paid);
    }
    assert!(!is_pending(&running.qr("s").await.unwrap()));
    let repeat = running.issue("s", 60).await.unwrap();
    assert!(!is_pending(&repeat) && repeat.get_ref().wallet_id == "ada", "the step's repeat gets the late reply");
    let sums = running.audit().await;
    assert_eq!((sums["qr_paid"], sums["qr_held"]), (40, 40));
}

#[tokio::test]
async fn only_one_wallet_pays() {
    let running = Running::new(&[]).await;
    running.issue("s", 60).await.unwrap();
    let (ada, ben) = tokio::join!(running.pay("s", "ada"), running.pay("s", "ben"));
    let refused = if ada.is_ok() { ben } else { ada };
    assert_eq!(told(refused), precondition("QR_ALREADY_PAID"));
    assert_eq!(running.audit().await["qr_paid"], 40);
}

#[tokio::test]
async fn a_wallet_is_not_told_that_it_has_paid_when_another_has_under_the_same_confirmation_id() {
    let running = Running::new(&[]).await;
    running.issue("s", 60).await.unwrap();
    let confirm = async |wallet: &str| {
        let request = ConfirmQrPaymentRequest {
            payment_id: "s".into(),
            wallet_id: wallet.into(),
            confirmation_id: "1".into(),
            amount_minor: 40,
        };
        running.client.clone().confirm_qr_payment(request).await
    };
    assert!(confirm("ada").await.is_ok());
    assert_eq!(told(confirm("ben").await), precondition("QR_ALREADY_PAID"));
    assert!(confirm("ada").await.is_ok());
    assert_eq!(running.audit().await["qr_paid"], 40);
}

#[tokio::test]
async fn what_a_forgotten_saga_has_left_is_closed_or_paid_back() {
    let running = Running::new(&["--refund-takes-ms", "600000"]).await;
    for saga in ["open", "refunding"] {
        running.issue(saga, 60).await.unwrap();
    }
    running.pay("refunding", "ada").await.unwrap();
    assert!(is_pending(&running.cancel_qr("refunding").await.unwrap()));
    let mut db = running.connect().await;
    for statement in [
        "DELETE FROM amends_barrier",
        "UPDATE qr_payments SET expires_at_ms = 1 WHERE state = 'open'",
        "UPDATE qr_payments SET refund_due_ms = 1 WHERE state = 'refunding'",
    ] {
        sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
    }
    running.until("open", QrStatus::Expired).await;
    running.until("refunding", QrStatus::Refunded).await;
    let sums = running.audit().await;
    assert_eq!((sums["qr_refunded"], sums["qr_held"]), (40, 0));
}

#[tokio::test]
async fn a_confirmation_after_the_cancel_is_refused_and_keeps_the_money_with_the_payer() {
    let running = Running::new(&[]).await;
    running.issue("s", 60).await.unwrap();
    for _ in 0..2 {
        assert_eq!(*running.cancel_qr("s").await.unwrap().get_ref(), 0);
    }
    assert_eq!(told(running.pay("s", "ada").await), precondition("QR_CANCELLED"));
    assert_eq!(running.qr("s").await.unwrap().get_ref().status(), QrStatus::Cancelled);
    assert_eq!(running.audit().await["qr_paid"], 0);
}

#[tokio::test]
async fn a_confirmation_after_the_expiry_is_refused_also_after_a_restart() {
    let running = Running::new(&[]).await;
    running.issue("s", 1).await.unwrap();
    running.until("s", QrStatus::Expired).await;
    assert_eq!(told(running.pay("s", "ada").await), precondition("QR_EXPIRED"));
    assert_eq!(told(running.issue("s", 1).await), precondition("QR_EXPIRED"), "the step's refusal, and final");
    let running = running.restart().await;
    assert_eq!(told(running.pay("s", "ada").await), precondition("QR_EXPIRED"));
    assert_eq!(*running.cancel_qr("s").await.unwrap().get_ref(), 0, "nothing to undo");
    assert_eq!(running.audit().await["qr_paid"], 0);
}

#[tokio::test]
async fn a_code_expires_that_ran_out_while_the_service_was_down() {
    let running = Running::new(&[]).await;
    running.issue("s", 1).await.unwrap();
    let running = running.restart().await;
    running.until("s", QrStatus::Expired).await;
}

#[tokio::test]
async fn what_was_paid_is_refunded_or_captured_and_never_both() {
    let running = Running::new(&[]).await;
    for saga in ["refunded", "captured"] {
        running.issue(saga, 60).await.unwrap();
        running.pay(saga, "ada").await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(*running.cancel_qr("refunded").await.unwrap().get_ref(), 40);
        assert_eq!(running.capture("captured").await.unwrap().status(), QrStatus::Captured);
    }
    assert_eq!(told(running.capture("refunded").await), precondition("QR_NOT_PAID"));
    assert_eq!(told(running.cancel_qr("captured").await), precondition("QR_CAPTURED"));
    assert_eq!(told(running.pay("refunded", "ada").await), precondition("QR_CANCELLED"));
    let sums = running.audit().await;
    assert_eq!((sums["qr_refunded"], sums["qr_captured"], sums["qr_held"]), (40, 40, 0));
}

#[tokio::test]
async fn overlapping_confirmation_and_cancel_leave_nothing_paid_whoever_is_first() {
    let running = Running::new(&[]).await;
    let sagas: Vec<String> = (0..50).map(|n| format!("s-{n}")).collect();
    let all = sagas.iter().map(|saga| async {
        until_known(async || running.issue(saga, 60).await).await.unwrap();
        let pay = until_known(async || running.pay(saga, "ada").await);
        let cancel = until_known(async || running.cancel_qr(saga).await);
        let (_, cancel) = tokio::join!(pay, cancel);
        assert!(cancel.is_ok(), "{cancel:?}");
    });
    futures::future::join_all(all).await;
    let sums = running.audit().await;
    assert_eq!((sums["qr_held"], sums["receivable"]), (0, 0));
}

#[tokio::test]
async fn a_crash_after_the_confirmation_loses_only_the_answer() {
    let mut running = Running::new(&["--allow-faults", "--fault", "ConfirmQrPayment:crash-after-commit"]).await;
    running.issue("s", 60).await.unwrap();
    running.pay("s", "ada").await.expect_err("the process is gone");
    assert!(!running.server.wait().unwrap().success());
    let running = running.restart().await;
    assert_eq!(running.pay("s", "ada").await.unwrap().status(), QrStatus::Paid, "the wallet asks again");
    assert_eq!(running.audit().await["qr_paid"], 40);
}

#[tokio::test]
async fn a_wallet_must_name_the_code_and_its_amount() {
    let running = Running::new(&[]).await;
    running.issue("s", 60).await.unwrap();
    assert_eq!(running.pay("other", "ada").await.expect_err("unknown").code(), Code::NotFound);
    let less = ConfirmQrPaymentRequest {
        payment_id: "s".into(),
        wallet_id: "ada".into(),
        confirmation_id: "c".into(),
        amount_minor: 39,
    };
    let status = running.client.clone().confirm_qr_payment(less.clone()).await.expect_err("less");
    assert_eq!(status.code(), Code::InvalidArgument);
    let nobody = ConfirmQrPaymentRequest { wallet_id: String::new(), amount_minor: 40, ..less };
    let status = running.client.clone().confirm_qr_payment(nobody).await.expect_err("nobody");
    assert!(status.message().contains("wallet_id"), "{status}");
    assert_eq!(running.audit().await["qr_paid"], 0);
}

#[tokio::test]
async fn what_cannot_be_issued_is_rejected_with_its_reason() {
    let running = Running::new(&[]).await;
    let good = CreateQrPaymentRequest {
        payment_id: "p".into(),
        merchant_id: "shop-1".into(),
        amount_minor: 40,
        expires_in_seconds: 60,
    };
    let issue = async |saga: &str, request: CreateQrPaymentRequest| -> Result<_, Status> {
        running.client.clone().create_qr_payment(qr_step(saga).action(request)).await
    };
    let bad = [
        ("INVALID_PAYMENT_ID", CreateQrPaymentRequest { payment_id: "a&b".into(), ..good.clone() }),
        ("INVALID_MERCHANT_ID", CreateQrPaymentRequest { merchant_id: String::new(), ..good.clone() }),
        ("INVALID_AMOUNT", CreateQrPaymentRequest { amount_minor: 0, ..good.clone() }),
        ("INVALID_EXPIRY", CreateQrPaymentRequest { expires_in_seconds: 0, ..good.clone() }),
        ("INVALID_EXPIRY", CreateQrPaymentRequest { expires_in_seconds: i64::MAX, ..good.clone() }),
    ];
    for (number, (reason, request)) in bad.into_iter().enumerate() {
        assert_eq!(told(issue(&format!("bad-{number}"), request).await), precondition(reason));
    }
    assert!(issue("s-1", good.clone()).await.is_ok());
    assert_eq!(told(issue("s-2", good).await), precondition("DUPLICATE_PAYMENT"), "another saga's");
}
