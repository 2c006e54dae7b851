//! How an account stands with those who watch over it: its limits, and whether it is frozen.
//!
//! Judges no payment (`screening.rs` does). Invariant: an account without a row has no limits and isn't frozen.

use amends_participant::{Failure, rejected};
use sqlx::AnyConnection;

use crate::ledger::{LedgerError, is_customer};
use crate::opening::OwnError;
use crate::proto::{SetFrozenRequest, SetLimitsRequest, Standing};

/// Replaces both limits.
pub(crate) async fn set_limits(db: &mut AnyConnection, request: SetLimitsRequest) -> Result<Standing, OwnError> {
    let SetLimitsRequest { account_id, per_payment_minor, per_day_minor } = request;
    for limit in [per_payment_minor, per_day_minor].into_iter().flatten() {
        if limit < 0 {
            return Err(OwnError::NegativeLimit(limit));
        }
    }
    must_exist(db, &account_id).await?;
    sqlx::query(
        "INSERT INTO standings (account_id, per_payment_minor, per_day_minor, frozen) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id) DO UPDATE
         SET per_payment_minor = excluded.per_payment_minor, per_day_minor = excluded.per_day_minor",
    )
    .bind(&account_id)
    .bind(per_payment_minor)
    .bind(per_day_minor)
    .bind(0_i64)
    .execute(&mut *db)
    .await?;
    Ok(of(db, &account_id).await?)
}

/// Freezes an account, or lifts that.
pub(crate) async fn set_frozen(db: &mut AnyConnection, request: SetFrozenRequest) -> Result<Standing, OwnError> {
    must_exist(db, &request.account_id).await?;
    sqlx::query(
        "INSERT INTO standings (account_id, frozen) VALUES ($1, $2)
         ON CONFLICT (account_id) DO UPDATE SET frozen = excluded.frozen",
    )
    .bind(&request.account_id)
    .bind(i64::from(request.frozen))
    .execute(&mut *db)
    .await?;
    Ok(of(db, &request.account_id).await?)
}

async fn must_exist(db: &mut AnyConnection, account_id: &str) -> Result<(), OwnError> {
    if is_customer(db, account_id).await? {
        return Ok(());
    }
    Err(LedgerError::UnknownAccount(account_id.to_owned()).into())
}

/// As it stands now.
pub(crate) async fn of(db: &mut AnyConnection, account_id: &str) -> Result<Standing, sqlx::Error> {
    let found: Option<(Option<i64>, Option<i64>, i64)> =
        sqlx::query_as("SELECT per_payment_minor, per_day_minor, frozen FROM standings WHERE account_id = $1")
            .bind(account_id)
            .fetch_optional(db)
            .await?;
    let standing =
        |(per_payment_minor, per_day_minor, frozen)| Standing { per_payment_minor, per_day_minor, frozen: frozen != 0 };
    Ok(found.map(standing).unwrap_or_default())
}

/// Refuses whatever an account that is frozen would pay.
pub(crate) async fn refuse_frozen(db: &mut AnyConnection, account_id: &str) -> Result<(), Failure> {
    if of(db, account_id).await?.frozen {
        return Err(rejected("FROZEN", format!("account {account_id:?} is frozen and pays nothing")));
    }
    Ok(())
}
