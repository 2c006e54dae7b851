//! The double-entry ledger: the only place that changes a balance.
//!
//! Knows nothing of holds or sagas. Invariants: a movement writes two entries that sum to zero and the two balances they
//! lead to, or nothing; all arithmetic is checked; a customer's balance doesn't fall below its floor.

use amends_participant::{Failure, locking, rejected};
use sqlx::{AnyConnection, Row};

/// Where deposits come from; its balance is minus all that was ever paid in.
pub(crate) const WORLD: &str = "world";
/// Where money is while it is held.
pub(crate) const HELD: &str = "held";
/// Where money is between two accounts, while a transfer is being confirmed.
pub(crate) const CLEARING: &str = "clearing";
/// Where confirmed holds end.
pub(crate) const MERCHANT_SETTLEMENT: &str = "merchant-settlement";

/// Whether this is one of the ledger's own accounts, which no customer may use.
pub(crate) fn is_system(account_id: &str) -> bool {
    [WORLD, HELD, CLEARING, MERCHANT_SETTLEMENT].contains(&account_id)
}

/// Whether a customer has an account of this id. Until the end of the transaction nobody else changes the account or what
/// hangs on it.
pub(crate) async fn is_customer(db: &mut AnyConnection, account_id: &str) -> Result<bool, sqlx::Error> {
    let query = locking!(db, "SELECT kind FROM accounts WHERE account_id = $1", "FOR NO KEY UPDATE");
    let found: Option<String> = sqlx::query_scalar(query).bind(account_id).fetch_optional(db).await?;
    Ok(found.is_some_and(|kind| kind == "customer"))
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

/// A movement that the ledger won't make is a refusal; a broken database is not.
impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let reason = match &error {
            LedgerError::UnknownAccount(_) => "UNKNOWN_ACCOUNT",
            LedgerError::InvalidAmount(_) => "INVALID_AMOUNT",
            LedgerError::BelowFloor { .. } => "INSUFFICIENT_FUNDS",
            LedgerError::Overflow => "BALANCE_OVERFLOW",
            LedgerError::Database(_) => return Failure::failed(error),
        };
        rejected(reason, error.to_string())
    }
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
    db: &mut AnyConnection,
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
    let movement: i64 = sqlx::query_scalar("INSERT INTO movements (cause) VALUES ($1) RETURNING movement")
        .bind(cause)
        .fetch_one(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO entries (movement, side, account_id, amount_minor, cause)
         VALUES ($1, 0, $2, -$4, $5), ($1, 1, $3, $4, $5)",
    )
    .bind(movement)
    .bind(from)
    .bind(to)
    .bind(amount)
    .bind(cause)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE accounts SET balance_minor = CASE account_id WHEN $1 THEN $3 ELSE $4 END WHERE account_id IN ($1, $2)",
    )
    .bind(from)
    .bind(to)
    .bind(left)
    .bind(gained)
    .execute(db)
    .await?;
    Ok(())
}

/// Both balances, which nobody else changes until the end of the transaction. Everybody locks accounts in the order of their
/// ids, so that two movements don't wait for each other.
async fn balances(db: &mut AnyConnection, from: &str, to: &str) -> Result<(Balance, Balance), LedgerError> {
    let query = locking!(
        db,
        "SELECT account_id, kind, floor_minor, balance_minor FROM accounts
         WHERE account_id IN ($1, $2) ORDER BY account_id",
        "FOR NO KEY UPDATE"
    );
    let rows = sqlx::query(query).bind(from).bind(to).fetch_all(db).await?;
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
