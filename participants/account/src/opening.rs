//! What anybody may do outside a saga: open an account and pay money in.
//!
//! Idempotent by the caller's own ids, without the barrier. Invariant: the same id with other content changes nothing.

use sqlx::AnyConnection;
use tonic::Status;

use crate::credits::room_left;
use crate::ledger::{LedgerError, WORLD, post};
use crate::proto::{DepositRequest, OpenRequest};
use crate::{ID_WORDS, is_id};

/// Why one of the methods outside sagas did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error("{0} exists already, with other content")]
    Exists(&'static str),
    #[error("a limit is 0 or more minor units, this is {0}")]
    NegativeLimit(i64),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the database can't be read or written")]
    Database(#[from] sqlx::Error),
}

impl From<OwnError> for Status {
    fn from(error: OwnError) -> Self {
        let message = error.to_string();
        match error {
            OwnError::Exists(_) => Status::already_exists(message),
            OwnError::Ledger(LedgerError::UnknownAccount(_)) => Status::not_found(message),
            OwnError::NegativeLimit(_) | OwnError::Ledger(LedgerError::InvalidAmount(_)) => {
                Status::invalid_argument(message)
            }
            OwnError::Ledger(LedgerError::BelowFloor { .. } | LedgerError::Overflow) => Status::out_of_range(message),
            OwnError::Ledger(LedgerError::Database(cause)) | OwnError::Database(cause) => {
                tracing::error!(%cause, "{message}");
                Status::internal(message)
            }
        }
    }
}

/// Refuses an id that can't be one, by the name of its field.
pub(crate) fn check_id(field: &str, id: &str) -> Result<(), Status> {
    if is_id(id) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{field} must have {ID_WORDS}; it has {} bytes", id.len())))
}

/// Opens an account, once.
pub(crate) async fn open(db: &mut AnyConnection, request: OpenRequest) -> Result<(), OwnError> {
    let opened = sqlx::query("INSERT INTO accounts VALUES ($1, 'customer', $2, 0) ON CONFLICT DO NOTHING")
        .bind(&request.account_id)
        .bind(request.floor_minor)
        .execute(&mut *db)
        .await?;
    if opened.rows_affected() == 1 {
        return Ok(());
    }
    let (kind, floor_minor): (String, i64) =
        sqlx::query_as("SELECT kind, floor_minor FROM accounts WHERE account_id = $1")
            .bind(&request.account_id)
            .fetch_one(db)
            .await?;
    let same = kind == "customer" && floor_minor == request.floor_minor;
    if same { Ok(()) } else { Err(OwnError::Exists("the account")) }
}

/// Opens an account with this much, where there is none of this id.
pub(crate) async fn begin(db: &mut AnyConnection, account_id: String, amount_minor: i64) -> Result<(), OwnError> {
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM accounts WHERE account_id = $1")
        .bind(&account_id)
        .fetch_one(&mut *db)
        .await?;
    if found > 0 {
        return Ok(());
    }
    open(db, OpenRequest { account_id: account_id.clone(), floor_minor: 0 }).await?;
    let deposit_id = format!("opening-{account_id}");
    deposit(db, DepositRequest { deposit_id, account_id, amount_minor }).await
}

/// Pays money in, once per id. What doesn't leave room for credits that are reserved and holds that may come back is refused, so
/// that those always can.
pub(crate) async fn deposit(db: &mut AnyConnection, request: DepositRequest) -> Result<(), OwnError> {
    let DepositRequest { deposit_id, account_id, amount_minor } = request;
    // First, and not after a look: on Postgres this waits for a copy that is under way.
    let noted = sqlx::query(
        "INSERT INTO deposits (deposit_id, account_id, amount_minor)
         SELECT $1, account_id, $3 FROM accounts WHERE account_id = $2 AND kind = 'customer' ON CONFLICT DO NOTHING",
    )
    .bind(&deposit_id)
    .bind(&account_id)
    .bind(amount_minor)
    .execute(&mut *db)
    .await?;
    if noted.rows_affected() == 0 {
        let known: Option<(String, i64)> =
            sqlx::query_as("SELECT account_id, amount_minor FROM deposits WHERE deposit_id = $1")
                .bind(&deposit_id)
                .fetch_optional(db)
                .await?;
        return match known {
            Some(known) if known == (account_id.clone(), amount_minor) => Ok(()),
            Some(_) => Err(OwnError::Exists("the deposit")),
            None => Err(LedgerError::UnknownAccount(account_id).into()),
        };
    }
    post(db, WORLD, &account_id, amount_minor, &format!("deposit {deposit_id}")).await?;
    if room_left(db, &account_id).await? < 0 { Err(LedgerError::Overflow.into()) } else { Ok(()) }
}
