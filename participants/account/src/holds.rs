//! Holds: an amount set aside on an account, then confirmed to the merchant or given back. One TCC step.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariant: a hold's
//! state and its movement in the ledger are written in one transaction, with one line of evidence.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, rejected};
use sqlx::SqliteConnection;

use crate::ID_LENGTH_MAX;
use crate::ledger::{HELD, LedgerError, MERCHANT_SETTLEMENT, is_system, post};
use crate::proto::{CancelHoldReply, CancelHoldRequest, ConfirmHoldReply, ConfirmHoldRequest, HoldReply, HoldRequest};

/// Try: moves the amount from the account to `held`.
pub(crate) async fn hold(
    db: &mut SqliteConnection,
    call: &CallContext,
    request: HoldRequest,
) -> Result<Answer<HoldReply>, Failure> {
    let HoldRequest { account_id, hold_id, amount_minor } = request;
    if is_system(&account_id) {
        return Err(refused(LedgerError::UnknownAccount(account_id)));
    }
    if !(1..=ID_LENGTH_MAX).contains(&hold_id.len()) {
        return Err(rejected("INVALID_HOLD_ID", format!("hold_id must have 1 to {ID_LENGTH_MAX} bytes")));
    }
    post(db, &account_id, HELD, amount_minor, &format!("hold {hold_id}")).await.map_err(refused)?;
    sqlx::query("INSERT INTO holds (hold_id, account_id, amount_minor, state) VALUES (?, ?, ?, 'held')")
        .bind(&hold_id)
        .bind(&account_id)
        .bind(amount_minor)
        .execute(&mut *db)
        .await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(HoldReply { hold_id, held_minor: amount_minor }))
}

/// Confirm: moves the held amount to the merchant.
pub(crate) async fn confirm(
    db: &mut SqliteConnection,
    call: &CallContext,
    request: ConfirmHoldRequest,
) -> Result<Answer<ConfirmHoldReply>, Failure> {
    let (_, settled_minor) = end(db, &request.hold_id, "confirmed").await?;
    let cause = format!("confirm {}", request.hold_id);
    post(db, HELD, MERCHANT_SETTLEMENT, settled_minor, &cause).await.map_err(refused)?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ConfirmHoldReply { settled_minor }))
}

/// Cancel: moves the held amount back.
pub(crate) async fn cancel(
    db: &mut SqliteConnection,
    call: &CallContext,
    request: CancelHoldRequest,
) -> Result<Answer<CancelHoldReply>, Failure> {
    let (account_id, released_minor) = end(db, &request.hold_id, "cancelled").await?;
    let cause = format!("cancel {}", request.hold_id);
    post(db, HELD, &account_id, released_minor, &cause).await.map_err(refused)?;
    record_effect(db, call).await?;
    Ok(Answer::Done(CancelHoldReply { released_minor }))
}

/// Ends one open hold of this id; gives its account and amount.
async fn end(db: &mut SqliteConnection, hold_id: &str, state: &str) -> Result<(String, i64), Failure> {
    let ended = sqlx::query_as(
        "UPDATE holds SET state = ?2
         WHERE id = (SELECT min(id) FROM holds WHERE hold_id = ?1 AND state = 'held')
         RETURNING account_id, amount_minor",
    )
    .bind(hold_id)
    .bind(state)
    .fetch_optional(db)
    .await?;
    ended.ok_or_else(|| rejected("UNKNOWN_HOLD", format!("there is no open hold {hold_id:?}")))
}

/// A movement that the ledger won't make is a refusal; a broken database is not.
fn refused(error: LedgerError) -> Failure {
    let reason = match &error {
        LedgerError::UnknownAccount(_) => "UNKNOWN_ACCOUNT",
        LedgerError::InvalidAmount(_) => "INVALID_AMOUNT",
        LedgerError::BelowFloor { .. } => "INSUFFICIENT_FUNDS",
        LedgerError::Overflow => "BALANCE_OVERFLOW",
        LedgerError::Database(_) => return Failure::failed(error),
    };
    rejected(reason, error.to_string())
}
