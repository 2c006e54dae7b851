//! What charging and refunding do to the ledger.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariant: a charge's
//! state and its movement in the ledger are written in one transaction, with one line of evidence.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, rejected};
use sqlx::{SqliteConnection, SqlitePool};

use crate::ID_LENGTH_MAX;
use crate::proto::{ChargeReply, ChargeRequest, RefundReply, RefundRequest};

const CARD_NETWORK: &str = "card-network";
const MERCHANT_RECEIVABLE: &str = "merchant-receivable";

/// Action: the card network owes the amount to the merchant.
pub(crate) async fn charge(
    db: &mut SqliteConnection,
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
    let charged =
        sqlx::query("INSERT INTO charges (payment_id, amount_minor, reservation, state) VALUES (?, ?, ?, 'standing')")
            .bind(&payment_id)
            .bind(amount_minor)
            .bind(&reservation)
            .execute(&mut *db)
            .await?;
    post(db, CARD_NETWORK, MERCHANT_RECEIVABLE, amount_minor, &format!("charge {payment_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ChargeReply { charge_id: charge_id(charged.last_insert_rowid()), amount_minor }))
}

/// Compensate: the reverse movement.
pub(crate) async fn refund(
    db: &mut SqliteConnection,
    call: &CallContext,
    request: RefundRequest,
) -> Result<Answer<RefundReply>, Failure> {
    let payment_id = request.payment_id;
    let refunded: Option<i64> = sqlx::query_scalar(
        "UPDATE charges SET state = 'refunded'
         WHERE charge_id = (SELECT min(charge_id) FROM charges WHERE payment_id = ? AND state = 'standing')
         RETURNING amount_minor",
    )
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
pub(crate) async fn standing(readers: &SqlitePool, payment_id: &str) -> Result<Option<ChargeReply>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT charge_id, amount_minor FROM charges WHERE payment_id = ? AND state = 'standing' ORDER BY charge_id",
    )
    .bind(payment_id)
    .fetch_optional(readers)
    .await?;
    Ok(found.map(|(id, amount_minor)| ChargeReply { charge_id: charge_id(id), amount_minor }))
}

fn charge_id(id: i64) -> String {
    format!("ch-{id}")
}

/// Two entries that sum to zero. `amount` is above zero, so its negative is in range.
async fn post(db: &mut SqliteConnection, from: &str, to: &str, amount: i64, cause: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH next AS (SELECT coalesce(max(movement), 0) + 1 AS movement FROM entries)
         INSERT INTO entries SELECT movement, 0, ?1, -?3, ?4 FROM next UNION ALL SELECT movement, 1, ?2, ?3, ?4 FROM next",
    )
    .bind(from)
    .bind(to)
    .bind(amount)
    .bind(cause)
    .execute(db)
    .await
    .map(|_| ())
}
