//! What charging and refunding do to the ledger.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariant: a charge's
//! state and its movement in the ledger are written in one transaction, with one line of evidence.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, locking, rejected};
use sqlx::{AnyConnection, AnyPool};

use crate::ID_LENGTH_MAX;
use crate::ledger::{CARD_NETWORK, MERCHANT_RECEIVABLE, post};
use crate::proto::{ChargeReply, ChargeRequest, RefundReply, RefundRequest};

/// Action: the card network owes the amount to the merchant.
pub(crate) async fn charge(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ChargeRequest,
) -> Result<Answer<ChargeReply>, Failure> {
    let ChargeRequest { payment_id, amount_minor, reservation } = request;
    if amount_minor <= 0 {
        return Err(rejected("INVALID_AMOUNT", format!("amount_minor must be above 0, it is {amount_minor}")));
    }
    if !(1..=ID_LENGTH_MAX).contains(&payment_id.len()) {
        return Err(rejected("INVALID_PAYMENT_ID", format!("payment_id must have 1 to {ID_LENGTH_MAX} bytes")));
    }
    let charged: i64 = sqlx::query_scalar(
        "INSERT INTO charges (payment_id, amount_minor, reservation, state) VALUES ($1, $2, $3, 'standing')
         RETURNING charge_id",
    )
    .bind(&payment_id)
    .bind(amount_minor)
    .bind(&reservation)
    .fetch_one(&mut *db)
    .await?;
    post(db, CARD_NETWORK, MERCHANT_RECEIVABLE, amount_minor, &format!("charge {payment_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ChargeReply { charge_id: charge_id(charged), amount_minor }))
}

/// Compensate: the reverse movement.
pub(crate) async fn refund(
    db: &mut AnyConnection,
    call: &CallContext,
    request: RefundRequest,
) -> Result<Answer<RefundReply>, Failure> {
    let payment_id = request.payment_id;
    let refunded: Option<i64> = sqlx::query_scalar(locking!(
        db,
        "UPDATE charges SET state = 'refunded' WHERE charge_id =
             (SELECT charge_id FROM charges WHERE payment_id = $1 AND state = 'standing' ORDER BY charge_id LIMIT 1",
        "FOR UPDATE SKIP LOCKED",
        ") RETURNING amount_minor"
    ))
    .bind(&payment_id)
    .fetch_optional(&mut *db)
    .await?;
    let refunded_minor =
        refunded.ok_or_else(|| rejected("UNKNOWN_CHARGE", format!("no charge stands under {payment_id:?}")))?;
    post(db, MERCHANT_RECEIVABLE, CARD_NETWORK, refunded_minor, &format!("refund {payment_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(RefundReply { refunded_minor }))
}

/// Query: the charge that stands under this id, if one does.
pub(crate) async fn standing(readers: &AnyPool, payment_id: &str) -> Result<Option<ChargeReply>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT charge_id, amount_minor FROM charges WHERE payment_id = $1 AND state = 'standing' ORDER BY charge_id",
    )
    .bind(payment_id)
    .fetch_optional(readers)
    .await?;
    Ok(found.map(|(id, amount_minor)| ChargeReply { charge_id: charge_id(id), amount_minor }))
}

fn charge_id(id: i64) -> String {
    format!("ch-{id}")
}
