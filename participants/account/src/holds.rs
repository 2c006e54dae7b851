//! Holds: an amount set aside on an account, then confirmed to the merchant (or, in a transfer, to clearing) or given back.
//! One TCC step.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariant: a hold's
//! state and its movement in the ledger are written in one transaction, with one line of evidence; only the saga that has made
//! a hold ends it, whatever id another one names.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, locking, rejected};
use sqlx::AnyConnection;

use crate::ledger::{CLEARING, HELD, LedgerError, MERCHANT_SETTLEMENT, is_system, post};
use crate::proto::{
    CancelHoldReply, CancelHoldRequest, ConfirmHoldReply, ConfirmHoldRequest, HoldReply, HoldRequest, SettleTo,
};
use crate::{ID_WORDS, is_id, standing};

/// Try: moves the amount from the account to `held`.
pub(crate) async fn hold(
    db: &mut AnyConnection,
    call: &CallContext,
    request: HoldRequest,
) -> Result<Answer<HoldReply>, Failure> {
    let HoldRequest { account_id, hold_id, amount_minor } = request;
    if is_system(&account_id) || !is_id(&account_id) {
        return Err(LedgerError::UnknownAccount(account_id).into());
    }
    if !is_id(&hold_id) {
        return Err(rejected("INVALID_HOLD_ID", format!("hold_id must have {ID_WORDS}")));
    }
    post(db, &account_id, HELD, amount_minor, &format!("hold {hold_id}")).await?;
    // Now that the movement has locked the account: a freeze that came while this waited counts.
    standing::refuse_frozen(db, &account_id).await?;
    sqlx::query(
        "INSERT INTO holds (hold_id, account_id, amount_minor, state, namespace, saga_id)
         VALUES ($1, $2, $3, 'held', $4, $5)",
    )
    .bind(&hold_id)
    .bind(&account_id)
    .bind(amount_minor)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .execute(&mut *db)
    .await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(HoldReply { hold_id, held_minor: amount_minor }))
}

/// Confirm: moves the held amount to the merchant or to clearing.
pub(crate) async fn confirm(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ConfirmHoldRequest,
) -> Result<Answer<ConfirmHoldReply>, Failure> {
    // Not `request.settle_to()`, which takes a word that it doesn't know for the default and pays the merchant.
    let to = match SettleTo::try_from(request.settle_to) {
        Ok(SettleTo::Unspecified) => MERCHANT_SETTLEMENT,
        Ok(SettleTo::Clearing) => CLEARING,
        Err(_) => return Err(rejected("INVALID_SETTLE_TO", format!("settle_to can't be {}", request.settle_to))),
    };
    let (_, settled_minor) = end(db, call, &request.hold_id, "confirmed").await?;
    let cause = format!("confirm {}", request.hold_id);
    post(db, HELD, to, settled_minor, &cause).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ConfirmHoldReply { settled_minor }))
}

/// Cancel: moves the held amount back.
pub(crate) async fn cancel(
    db: &mut AnyConnection,
    call: &CallContext,
    request: CancelHoldRequest,
) -> Result<Answer<CancelHoldReply>, Failure> {
    let (account_id, released_minor) = end(db, call, &request.hold_id, "cancelled").await?;
    let cause = format!("cancel {}", request.hold_id);
    post(db, HELD, &account_id, released_minor, &cause).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(CancelHoldReply { released_minor }))
}

/// Ends one open hold of this id that this saga has made (or nobody knows who, before that was written down); gives its
/// account and amount. Never "nothing to do": the barrier lets an ending through only after this step's own hold, so that one
/// stands under another id, and a person must look.
async fn end(db: &mut AnyConnection, call: &CallContext, hold_id: &str, state: &str) -> Result<(String, i64), Failure> {
    let ended = sqlx::query_as(locking!(
        db,
        "UPDATE holds SET state = $2 WHERE id =
             (SELECT id FROM holds WHERE hold_id = $1 AND state = 'held'
                 AND (saga_id IS NULL OR (namespace = $3 AND saga_id = $4))
              ORDER BY saga_id IS NULL, id LIMIT 1",
        "FOR UPDATE",
        ") RETURNING account_id, amount_minor"
    ))
    .bind(hold_id)
    .bind(state)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_optional(db)
    .await?;
    ended.ok_or_else(|| rejected("UNKNOWN_HOLD", format!("this saga has no open hold {hold_id:?}")))
}
