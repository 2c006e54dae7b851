//! Points: given for a purchase, taken back when it is undone. One step of a saga.
//!
//! Not idempotent by itself, on purpose, like `holds.rs`. Invariants: an award's state and its line in the points ledger are
//! written in one transaction; nothing else changes an account's points; a compensation takes back only what its own saga
//! has given.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, Operation, locking, rejected};
use sqlx::AnyConnection;

use crate::ledger::{LedgerError, is_customer};
use crate::proto::{AwardPointsReply, AwardPointsRequest, RevokePointsReply, RevokePointsRequest};
use crate::{ID_WORDS, is_id};

/// Most points of one award, so that no sum comes near the edge of 64 bits.
const POINTS_MAX: i64 = 1_000_000_000;

/// Action: gives points.
pub(crate) async fn award(
    db: &mut AnyConnection,
    call: &CallContext,
    request: AwardPointsRequest,
) -> Result<Answer<AwardPointsReply>, Failure> {
    let AwardPointsRequest { award_id, account_id, points } = request;
    if !(1..=POINTS_MAX).contains(&points) {
        return Err(rejected("INVALID_POINTS", format!("points must be 1 to {POINTS_MAX}, they are {points}")));
    }
    if !is_id(&award_id) {
        return Err(rejected("INVALID_AWARD_ID", format!("award_id must have {ID_WORDS}")));
    }
    if !is_id(&account_id) || !is_customer(db, &account_id).await? {
        return Err(LedgerError::UnknownAccount(account_id).into());
    }
    sqlx::query(
        "INSERT INTO awards (award_id, account_id, points, state, namespace, saga_id)
         VALUES ($1, $2, $3, 'awarded', $4, $5)",
    )
    .bind(&award_id)
    .bind(&account_id)
    .bind(points)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .execute(&mut *db)
    .await?;
    enter(db, &account_id, points, &format!("award {award_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(AwardPointsReply { balance: balance(db, &account_id).await? }))
}

/// Compensate: takes back what this saga has given. As an action, of a saga that undoes an earlier purchase: whoever gave it.
pub(crate) async fn revoke(
    db: &mut AnyConnection,
    call: &CallContext,
    request: RevokePointsRequest,
) -> Result<Answer<RevokePointsReply>, Failure> {
    let award_id = request.award_id;
    let id = standing(db, call, &award_id).await?;
    let (account_id, revoked): (String, i64) =
        sqlx::query_as("UPDATE awards SET state = 'revoked' WHERE id = $1 RETURNING account_id, points")
            .bind(id)
            .fetch_one(&mut *db)
            .await?;
    enter(db, &account_id, -revoked, &format!("revoke {award_id}")).await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(RevokePointsReply { revoked }))
}

/// The award that this call takes back, which nobody else changes until the end of the transaction: the saga's own first. An
/// award from before makers were written down is anybody's.
async fn standing(db: &mut AnyConnection, call: &CallContext, award_id: &str) -> Result<i64, Failure> {
    let query = locking!(
        db,
        "SELECT id, CAST(CASE WHEN namespace = $2 AND saga_id = $3 THEN 1 ELSE 0 END AS BIGINT) AS own
         FROM awards WHERE award_id = $1 AND state = 'awarded'
             AND ($4 = 1 OR saga_id IS NULL OR (namespace = $2 AND saga_id = $3))
         ORDER BY own DESC, id LIMIT 2",
        "FOR UPDATE"
    );
    let found: Vec<(i64, i64)> = sqlx::query_as(query)
        .bind(award_id)
        .bind(&call.key.namespace)
        .bind(&call.key.saga_id)
        .bind(i64::from(call.operation == Operation::Action))
        .fetch_all(db)
        .await?;
    match found.as_slice() {
        [(id, 1), ..] | [(id, _)] => Ok(*id),
        [] => Err(rejected("UNKNOWN_AWARD", format!("this saga has no award {award_id:?} that stands"))),
        _ => Err(rejected("AMBIGUOUS_AWARD", format!("several awards of other sagas stand under {award_id:?}"))),
    }
}

async fn enter(db: &mut AnyConnection, account_id: &str, points: i64, cause: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO point_entries (account_id, points, cause) VALUES ($1, $2, $3)")
        .bind(account_id)
        .bind(points)
        .bind(cause)
        .execute(db)
        .await
        .map(|_| ())
}

/// The sum of an account's lines.
pub(crate) async fn balance(db: &mut AnyConnection, account_id: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT CAST(coalesce(sum(points), 0) AS BIGINT) FROM point_entries WHERE account_id = $1")
        .bind(account_id)
        .fetch_one(db)
        .await
}
