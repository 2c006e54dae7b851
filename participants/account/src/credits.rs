//! Credits: the receiving side of a transfer. Reserved, then taken from clearing or forgotten. One TCC step.
//!
//! Not idempotent by itself, on purpose, like `holds.rs`. Invariants: a reserved credit moves nothing and is available to
//! nobody; that it fits into the balance is checked when it is reserved, so that its confirm has no reason to be refused; only
//! the saga that has reserved it ends it.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, locking, rejected};
use sqlx::AnyConnection;

use crate::ledger::{CLEARING, LedgerError, is_customer, post};
use crate::proto::{
    CancelCreditReply, CancelCreditRequest, ConfirmCreditReply, ConfirmCreditRequest, ReserveCreditReply,
    ReserveCreditRequest,
};
use crate::{ID_WORDS, is_id};

/// Try: notes that the amount will come.
pub(crate) async fn reserve(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ReserveCreditRequest,
) -> Result<Answer<ReserveCreditReply>, Failure> {
    let ReserveCreditRequest { account_id, credit_id, amount_minor } = request;
    if amount_minor <= 0 {
        return Err(LedgerError::InvalidAmount(amount_minor).into());
    }
    if !is_id(&credit_id) {
        return Err(rejected("INVALID_CREDIT_ID", format!("credit_id must have {ID_WORDS}")));
    }
    if !is_id(&account_id) || !is_customer(db, &account_id).await? {
        return Err(LedgerError::UnknownAccount(account_id).into());
    }
    let room = room_left(db, &account_id).await?;
    if room < i128::from(amount_minor) {
        return Err(LedgerError::Overflow.into());
    }
    sqlx::query(
        "INSERT INTO credits (credit_id, account_id, amount_minor, state, namespace, saga_id)
         VALUES ($1, $2, $3, 'reserved', $4, $5)",
    )
    .bind(&credit_id)
    .bind(&account_id)
    .bind(amount_minor)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .execute(&mut *db)
    .await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ReserveCreditReply { credit_id, reserved_minor: amount_minor }))
}

/// What the balance can still take, with all that is reserved or could come back from holds; below zero: too much already.
pub(crate) async fn room_left(db: &mut AnyConnection, account_id: &str) -> Result<i128, sqlx::Error> {
    let amounts: Vec<i64> = sqlx::query_scalar(
        "SELECT balance_minor FROM accounts WHERE account_id = $1
         UNION ALL SELECT amount_minor FROM credits WHERE account_id = $1 AND state = 'reserved'
         UNION ALL SELECT amount_minor FROM holds WHERE account_id = $1 AND state = 'held'",
    )
    .bind(account_id)
    .fetch_all(db)
    .await?;
    Ok(i128::from(i64::MAX) - amounts.into_iter().map(i128::from).sum::<i128>())
}

/// Confirm: moves the amount from clearing to the account.
pub(crate) async fn confirm(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ConfirmCreditRequest,
) -> Result<Answer<ConfirmCreditReply>, Failure> {
    let (account_id, credited_minor) = end(db, call, &request.credit_id, "credited").await?;
    post(db, CLEARING, &account_id, credited_minor, &format!("credit {}", request.credit_id)).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ConfirmCreditReply { credited_minor }))
}

/// Cancel: forgets it.
pub(crate) async fn cancel(
    db: &mut AnyConnection,
    call: &CallContext,
    request: CancelCreditRequest,
) -> Result<Answer<CancelCreditReply>, Failure> {
    let (_, cancelled_minor) = end(db, call, &request.credit_id, "cancelled").await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(CancelCreditReply { cancelled_minor }))
}

/// Ends one reserved credit of this id that this saga has made, as in `holds.rs`; gives its account and amount.
async fn end(
    db: &mut AnyConnection,
    call: &CallContext,
    credit_id: &str,
    state: &str,
) -> Result<(String, i64), Failure> {
    let ended = sqlx::query_as(locking!(
        db,
        "UPDATE credits SET state = $2 WHERE id =
             (SELECT id FROM credits WHERE credit_id = $1 AND state = 'reserved'
                 AND (saga_id IS NULL OR (namespace = $3 AND saga_id = $4))
              ORDER BY saga_id IS NULL, id LIMIT 1",
        "FOR UPDATE",
        ") RETURNING account_id, amount_minor"
    ))
    .bind(credit_id)
    .bind(state)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_optional(db)
    .await?;
    ended.ok_or_else(|| rejected("UNKNOWN_CREDIT", format!("this saga has no reserved credit {credit_id:?}")))
}
