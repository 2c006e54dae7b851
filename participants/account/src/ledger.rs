//! The double-entry ledger: the only place that changes a balance.
//!
//! Knows nothing of holds or sagas. Invariants: a movement writes two entries that sum to zero and the two balances they
//! lead to, or nothing; all arithmetic is checked; a customer's balance doesn't fall below its floor.

use sqlx::{Row, SqliteConnection};

/// Where deposits come from; its balance is minus all that was ever paid in.
pub(crate) const WORLD: &str = "world";
/// Where money is while it is held.
pub(crate) const HELD: &str = "held";
/// Where confirmed holds end.
pub(crate) const MERCHANT_SETTLEMENT: &str = "merchant-settlement";

/// Whether this is one of the ledger's own accounts, which no customer may use.
pub(crate) fn is_system(account_id: &str) -> bool {
    [WORLD, HELD, MERCHANT_SETTLEMENT].contains(&account_id)
}

/// Why a movement is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("there is no account {0:?}")]
    UnknownAccount(String),
    #[error("amounts are whole minor units above 0, this is {0}")]
    InvalidAmount(i64),
    #[error("{account:?} has {available} above its floor, {amount} were asked for")]
    BelowFloor { account: String, available: i64, amount: i64 },
    #[error("a balance would leave the range of 64 bits")]
    Overflow,
    #[error("the ledger can't be read or written")]
    Database(#[from] sqlx::Error),
}

struct Balance {
    minor: i64,
    floor_minor: i64,
    is_customer: bool,
}

/// Moves `amount` from one account to another; `cause` is for people who read the ledger.
///
/// A system account has no floor: `world` is below zero by nature.
pub(crate) async fn post(
    db: &mut SqliteConnection,
    from: &str,
    to: &str,
    amount: i64,
    cause: &str,
) -> Result<(), LedgerError> {
    if amount <= 0 {
        return Err(LedgerError::InvalidAmount(amount));
    }
    let (payer, payee) = balances(db, from, to).await?;
    let left = payer.minor.checked_sub(amount).ok_or(LedgerError::Overflow)?;
    let gained = payee.minor.checked_add(amount).ok_or(LedgerError::Overflow)?;
    if payer.is_customer && left < payer.floor_minor {
        let available = payer.minor.saturating_sub(payer.floor_minor);
        return Err(LedgerError::BelowFloor { account: from.to_owned(), available, amount });
    }
    sqlx::query(
        "WITH next AS (SELECT coalesce(max(movement), 0) + 1 AS movement FROM entries)
         INSERT INTO entries SELECT movement, 0, ?1, -?3, ?4 FROM next UNION ALL SELECT movement, 1, ?2, ?3, ?4 FROM next",
    )
    .bind(from)
    .bind(to)
    .bind(amount)
    .bind(cause)
    .execute(&mut *db)
    .await?;
    sqlx::query("UPDATE accounts SET balance_minor = iif(account_id = ?1, ?3, ?4) WHERE account_id IN (?1, ?2)")
        .bind(from)
        .bind(to)
        .bind(left)
        .bind(gained)
        .execute(db)
        .await?;
    Ok(())
}

async fn balances(db: &mut SqliteConnection, from: &str, to: &str) -> Result<(Balance, Balance), LedgerError> {
    let rows =
        sqlx::query("SELECT account_id, kind, floor_minor, balance_minor FROM accounts WHERE account_id IN (?, ?)")
            .bind(from)
            .bind(to)
            .fetch_all(db)
            .await?;
    let find = |account: &str| {
        for row in &rows {
            if row.try_get::<&str, _>("account_id")? == account {
                let is_customer = row.try_get::<&str, _>("kind")? == "customer";
                let (minor, floor_minor) = (row.try_get("balance_minor")?, row.try_get("floor_minor")?);
                return Ok(Balance { minor, floor_minor, is_customer });
            }
        }
        Err(LedgerError::UnknownAccount(account.to_owned()))
    };
    Ok((find(from)?, find(to)?))
}
