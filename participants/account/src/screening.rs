//! Screening: whether an account may pay an amount, before anybody asks it to. One step of a saga; moves no money.
//!
//! Not idempotent by itself, on purpose, like `holds.rs`. Invariants: what is approved is written down and counts towards
//! the day's limit until its own saga cancels it; a refusal is kept by the barrier; the view `screening_decisions` shows both.

use amends_participant::service::{record_effect, unix_ms};
use amends_participant::{Answer, CallContext, Failure, locking, rejected};
use sqlx::AnyConnection;

use crate::anomaly::{ANOMALOUS_FROM, EARLIER_MAX, score};
use crate::ledger::{LedgerError, is_customer};
use crate::proto::{CancelScreeningReply, CancelScreeningRequest, ScreenReply, ScreenRequest, Standing};
use crate::{ID_WORDS, is_id, standing};

/// Largest amount that can be screened, so that the sum of a day stays far from the edge of 64 bits.
const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Action: judges, and counts what it approves.
pub(crate) async fn screen(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ScreenRequest,
) -> Result<Answer<ScreenReply>, Failure> {
    let ScreenRequest { screening_id, account_id, amount_minor } = request;
    if !(1..=AMOUNT_MAX).contains(&amount_minor) {
        let words = format!("amount_minor must be 1 to {AMOUNT_MAX}, it is {amount_minor}");
        return Err(rejected("INVALID_AMOUNT", words));
    }
    if !is_id(&screening_id) {
        return Err(rejected("INVALID_SCREENING_ID", format!("screening_id must have {ID_WORDS}")));
    }
    if !is_id(&account_id) || !is_customer(db, &account_id).await? {
        return Err(LedgerError::UnknownAccount(account_id).into());
    }
    standing::refuse_frozen(db, &account_id).await?;
    let standing = standing::of(db, &account_id).await?;
    let now = unix_ms();
    let left_today_minor = within_limits(db, &account_id, amount_minor, standing, now).await?;
    let score = usual(db, &account_id, amount_minor, now).await?;
    sqlx::query(
        "INSERT INTO screenings (screening_id, account_id, amount_minor, score, screened_at_ms, state, namespace, saga_id)
         VALUES ($1, $2, $3, $4, $5, 'approved', $6, $7)",
    )
    .bind(&screening_id)
    .bind(&account_id)
    .bind(amount_minor)
    .bind(score)
    .bind(now)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .execute(&mut *db)
    .await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ScreenReply { screening_id, score, left_today_minor }))
}

/// Refuses what is over a limit; gives what is left of the day's after this payment.
async fn within_limits(
    db: &mut AnyConnection,
    account_id: &str,
    amount: i64,
    standing: Standing,
    now: i64,
) -> Result<Option<i64>, Failure> {
    if let Some(limit) = standing.per_payment_minor.filter(|limit| amount > *limit) {
        return Err(rejected(
            "OVER_LIMIT",
            format!("account {account_id:?} may pay {limit} at once, this is {amount}"),
        ));
    }
    let Some(limit) = standing.per_day_minor else { return Ok(None) };
    let paid: i64 = sqlx::query_scalar(
        "SELECT CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM screenings
         WHERE account_id = $1 AND state = 'approved' AND screened_at_ms >= $2",
    )
    .bind(account_id)
    .bind(now - now % DAY_MS)
    .fetch_one(db)
    .await?;
    let left = limit.saturating_sub(paid);
    if amount > left {
        let words = format!("account {account_id:?} may pay {limit} a day, {paid} of it is used, this is {amount}");
        return Err(rejected("OVER_DAILY_LIMIT", words));
    }
    Ok(Some(left - amount))
}

/// Refuses what is too unusual for the account; gives the score of what isn't.
async fn usual(db: &mut AnyConnection, account_id: &str, amount: i64, now: i64) -> Result<i32, Failure> {
    let earlier: Vec<i64> = sqlx::query_scalar(
        "SELECT amount_minor FROM screenings WHERE account_id = $1 AND state = 'approved'
         ORDER BY screened_at_ms DESC LIMIT $2",
    )
    .bind(account_id)
    .bind(EARLIER_MAX)
    .fetch_all(&mut *db)
    .await?;
    let last_hour: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM screenings WHERE account_id = $1 AND state = 'approved' AND screened_at_ms > $2",
    )
    .bind(account_id)
    .bind(now - HOUR_MS)
    .fetch_one(db)
    .await?;
    let score = score(amount, &earlier, last_hour);
    if score >= ANOMALOUS_FROM {
        let words = format!(
            "paying {amount} is unusual for account {account_id:?}: score {score}, {ANOMALOUS_FROM} and more are refused \
             ({last_hour} payments in the last hour)"
        );
        return Err(rejected("ANOMALOUS", words));
    }
    Ok(score)
}

/// Compensate: the payment no longer counts.
pub(crate) async fn cancel(
    db: &mut AnyConnection,
    call: &CallContext,
    request: CancelScreeningRequest,
) -> Result<Answer<CancelScreeningReply>, Failure> {
    let released: Option<i64> = sqlx::query_scalar(locking!(
        db,
        "UPDATE screenings SET state = 'cancelled' WHERE id =
             (SELECT id FROM screenings WHERE screening_id = $1 AND state = 'approved'
                 AND (namespace IS NULL OR namespace = $2) AND saga_id = $3 ORDER BY namespace IS NULL, id LIMIT 1",
        "FOR UPDATE",
        ") RETURNING amount_minor"
    ))
    .bind(&request.screening_id)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_optional(&mut *db)
    .await?;
    let unknown =
        || rejected("UNKNOWN_SCREENING", format!("this saga has nothing approved under {:?}", request.screening_id));
    let released_minor = released.ok_or_else(unknown)?;
    record_effect(db, call).await?;
    Ok(Answer::Done(CancelScreeningReply { released_minor }))
}
