//! What a saga calls: issue a code, capture what was paid, cancel or refund.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariants: a payment is
//! captured or given back, never both; its one state decides. Only its own saga captures it, and only the step that has issued it
//! cancels it, since the effect of a refund that takes time comes through that step's row.

use std::time::Duration;

use amends_participant::key::StepKey;
use amends_participant::service::{record_effect, record_effect_of, unix_ms};
use amends_participant::{Answer, CallContext, Failure, Operation, pending, rejected};
use sqlx::AnyConnection;

use super::record::{Record, advance, find};
use crate::ID_LENGTH_MAX;
use crate::callback::outbox::{Owed, owe};
use crate::ledger::{MERCHANT_RECEIVABLE, PAYER_WALLETS, QR_CLEARING, post};
use crate::proto::{
    CancelQrPaymentReply, CancelQrPaymentRequest, CaptureQrPaymentRequest, CreateQrPaymentRequest, QrPayment,
};

/// Longest time that a code can be open: a day.
const EXPIRY_SECONDS_MAX: i64 = 86_400;

/// Action: issues the code. Its effect is the payer's, and comes later.
pub(crate) async fn create(
    db: &mut AnyConnection,
    call: &CallContext,
    request: CreateQrPaymentRequest,
) -> Result<Answer<QrPayment>, Failure> {
    let CreateQrPaymentRequest { payment_id, merchant_id, amount_minor, expires_in_seconds } = request;
    check_name("payment_id", "INVALID_PAYMENT_ID", &payment_id)?;
    check_name("merchant_id", "INVALID_MERCHANT_ID", &merchant_id)?;
    if amount_minor <= 0 {
        return Err(rejected("INVALID_AMOUNT", format!("amount_minor must be above 0, it is {amount_minor}")));
    }
    if !(1..=EXPIRY_SECONDS_MAX).contains(&expires_in_seconds) {
        let words = format!("expires_in_seconds must be 1 to {EXPIRY_SECONDS_MAX}, it is {expires_in_seconds}");
        return Err(rejected("INVALID_EXPIRY", words));
    }
    let issued = sqlx::query(
        "INSERT INTO qr_payments
            (payment_id, merchant_id, amount_minor, expires_at_ms, state, namespace, saga_id, step, element)
         VALUES ($1, $2, $3, $4, 'open', $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(&payment_id)
    .bind(&merchant_id)
    .bind(amount_minor)
    .bind(unix_ms().saturating_add(expires_in_seconds * 1000))
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .bind(&call.key.step)
    .bind(call.key.element.as_deref().unwrap_or(""))
    .execute(db)
    .await?;
    if issued.rows_affected() == 0 {
        return Err(rejected(
            "DUPLICATE_PAYMENT",
            format!("there is a QR payment {payment_id:?} already, of another step"),
        ));
    }
    pending()
}

fn check_name(field: &str, reason: &str, name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=ID_LENGTH_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(rejected(reason, format!("{field} must be 1 to {ID_LENGTH_MAX} of A-Z a-z 0-9 . _ -")))
}

/// Action: the merchant gets what was paid.
pub(crate) async fn capture(
    db: &mut AnyConnection,
    call: &CallContext,
    request: CaptureQrPaymentRequest,
) -> Result<Answer<QrPayment>, Failure> {
    let payment_id = request.payment_id;
    let issued = find(&mut *db, &payment_id).await?;
    let Record { payment, .. } =
        issued.filter(|record| record.is_of_saga(&call.key)).ok_or_else(|| unknown(&payment_id))?;
    let Some(Record { payment, .. }) = advance(&mut *db, &payment_id, "paid", "captured").await? else {
        let words = format!("QR payment {payment_id:?} is {}, not paid", payment.status().as_str_name());
        return Err(rejected("QR_NOT_PAID", words));
    };
    post(db, QR_CLEARING, MERCHANT_RECEIVABLE, payment.amount_minor, &format!("capture {payment_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(payment))
}

/// Compensate: closes the code, or gives back what was paid; the latter takes `refund_takes`.
pub(crate) async fn cancel(
    db: &mut AnyConnection,
    call: &CallContext,
    request: CancelQrPaymentRequest,
    refund_takes: Duration,
) -> Result<Answer<CancelQrPaymentReply>, Failure> {
    let payment_id = request.payment_id;
    // Who has issued a payment never changes, so this needs no lock.
    let issued = find(&mut *db, &payment_id).await?;
    issued.filter(|record| record.key == call.key).ok_or_else(|| unknown(&payment_id))?;
    if advance(&mut *db, &payment_id, "open", "cancelled").await?.is_some() {
        record_effect(db, call).await?;
        return Ok(Answer::Done(CancelQrPaymentReply { refunded_minor: 0 }));
    }
    let Some(Record { payment, .. }) = advance(&mut *db, &payment_id, "paid", "refunding").await? else {
        return Err(rejected("QR_CAPTURED", format!("QR payment {payment_id:?} is the merchant's already")));
    };
    if refund_takes.is_zero() {
        give_back(db, &payment, &call.key).await?;
        return Ok(Answer::Done(CancelQrPaymentReply { refunded_minor: payment.amount_minor }));
    }
    let takes = i64::try_from(refund_takes.as_millis()).unwrap_or(i64::MAX);
    sqlx::query("UPDATE qr_payments SET refund_due_ms = $2 WHERE payment_id = $1")
        .bind(&payment_id)
        .bind(unix_ms().saturating_add(takes))
        .execute(db)
        .await?;
    pending()
}

/// The effect of a refund that was pending: the money is back, and the coordinator is to be told.
pub(crate) async fn refund_arrived(
    db: &mut AnyConnection,
    record: &Record,
) -> Result<Answer<CancelQrPaymentReply>, Failure> {
    let refunded_minor = record.payment.amount_minor;
    give_back(db, &record.payment, &record.key).await?;
    let output = serde_json::json!({ "refunded_minor": refunded_minor }).to_string();
    owe(db, &record.key, Operation::Compensate, &Owed::Succeeded { output }).await?;
    Ok(Answer::Done(CancelQrPaymentReply { refunded_minor }))
}

async fn give_back(db: &mut AnyConnection, payment: &QrPayment, key: &StepKey) -> Result<(), Failure> {
    let QrPayment { payment_id, amount_minor, .. } = payment;
    if advance(&mut *db, payment_id, "refunding", "refunded").await?.is_none() {
        return Err(Failure::failed(format!("QR payment {payment_id:?} isn't being refunded")));
    }
    post(db, QR_CLEARING, PAYER_WALLETS, *amount_minor, &format!("refund {payment_id}")).await?;
    record_effect_of(db, key, Operation::Compensate).await?;
    Ok(())
}

fn unknown(payment_id: &str) -> Failure {
    rejected("UNKNOWN_PAYMENT", format!("this saga has no QR payment {payment_id:?} here"))
}
