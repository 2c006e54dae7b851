//! What charging and refunding do to the ledger.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariants: a charge's
//! state and its movement in the ledger are written in one transaction, with one line of evidence; a compensation refunds only
//! what its own saga has charged, and a saga's query finds only that.

use amends_participant::key::StepKey;
use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, Operation, locking, rejected};
use sqlx::{AnyConnection, AnyPool};

use crate::ledger::{CARD_NETWORK, MERCHANT_RECEIVABLE, post};
use crate::proto::{ChargeReply, ChargeRequest, RefundReply, RefundRequest};
use crate::{ID_WORDS, is_id};

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
    if !is_id(&payment_id) {
        return Err(rejected("INVALID_PAYMENT_ID", format!("payment_id must have {ID_WORDS}")));
    }
    if !reservation.is_empty() && !is_id(&reservation) {
        return Err(rejected("INVALID_RESERVATION", format!("reservation must be empty or have {ID_WORDS}")));
    }
    let charged: i64 = sqlx::query_scalar(
        "INSERT INTO charges (payment_id, amount_minor, reservation, state, namespace, saga_id)
         VALUES ($1, $2, $3, 'standing', $4, $5) RETURNING charge_id",
    )
    .bind(&payment_id)
    .bind(amount_minor)
    .bind(&reservation)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_one(&mut *db)
    .await?;
    post(db, CARD_NETWORK, MERCHANT_RECEIVABLE, amount_minor, &format!("charge {payment_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ChargeReply { charge_id: charge_id(charged), amount_minor }))
}

/// Compensate: the reverse movement, of what this saga has charged. As an action, of a refund saga: whoever charged it.
pub(crate) async fn refund(
    db: &mut AnyConnection,
    call: &CallContext,
    request: RefundRequest,
) -> Result<Answer<RefundReply>, Failure> {
    let payment_id = request.payment_id;
    let charge = to_refund(db, call, &payment_id).await?;
    let refunded_minor: i64 =
        sqlx::query_scalar("UPDATE charges SET state = 'refunded' WHERE charge_id = $1 RETURNING amount_minor")
            .bind(charge)
            .fetch_one(&mut *db)
            .await?;
    post(db, MERCHANT_RECEIVABLE, CARD_NETWORK, refunded_minor, &format!("refund {payment_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(RefundReply { refunded_minor }))
}

/// The charge that this call refunds, which nobody else changes until the end of the transaction: the saga's own first. A
/// charge from before makers were written down is anybody's.
async fn to_refund(db: &mut AnyConnection, call: &CallContext, payment_id: &str) -> Result<i64, Failure> {
    let query = locking!(
        db,
        "SELECT charge_id, CAST(CASE WHEN namespace = $2 AND saga_id = $3 THEN 1 ELSE 0 END AS BIGINT) AS own
         FROM charges WHERE payment_id = $1 AND state = 'standing'
             AND ($4 = 1 OR saga_id IS NULL OR (namespace = $2 AND saga_id = $3))
         ORDER BY own DESC, charge_id LIMIT 2",
        "FOR UPDATE"
    );
    let found: Vec<(i64, i64)> = sqlx::query_as(query)
        .bind(payment_id)
        .bind(&call.key.namespace)
        .bind(&call.key.saga_id)
        .bind(i64::from(call.operation == Operation::Action))
        .fetch_all(db)
        .await?;
    match found.as_slice() {
        [(charge, 1), ..] | [(charge, _)] => Ok(*charge),
        [] => Err(rejected("UNKNOWN_CHARGE", format!("this saga has no charge {payment_id:?} that stands"))),
        _ => Err(rejected("AMBIGUOUS_CHARGE", format!("several charges of other sagas stand under {payment_id:?}"))),
    }
}

/// Query: the charge that stands under this id, if one does; where a saga asks, only its own.
pub(crate) async fn standing(
    readers: &AnyPool,
    payment_id: &str,
    asker: Option<&StepKey>,
) -> Result<Option<ChargeReply>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT charge_id, amount_minor FROM charges WHERE payment_id = $1 AND state = 'standing'
             AND ($3 IS NULL OR saga_id IS NULL OR (namespace = $2 AND saga_id = $3))
         ORDER BY saga_id IS NULL, charge_id LIMIT 1",
    )
    .bind(payment_id)
    .bind(asker.map(|key| &key.namespace))
    .bind(asker.map(|key| &key.saga_id))
    .fetch_optional(readers)
    .await?;
    Ok(found.map(|(id, amount_minor)| ChargeReply { charge_id: charge_id(id), amount_minor }))
}

fn charge_id(id: i64) -> String {
    format!("ch-{id}")
}
