//! The gRPC methods: saga steps through the barrier, the others straight to the database.
//!
//! No business rule here. Invariant: every method that a saga calls goes through [`Barrier::handle`].

use amends_participant::{Barrier, Database};
use sqlx::{Row, SqliteConnection};
use tonic::{Request, Response, Status};

use crate::ledger::{LedgerError, WORLD, is_system, post};
use crate::proto::account_server::Account;
use crate::proto::{
    CancelHoldReply, CancelHoldRequest, ConfirmHoldReply, ConfirmHoldRequest, DepositReply, DepositRequest,
    GetBalanceReply, GetBalanceRequest, HoldReply, HoldRequest, OpenReply, OpenRequest,
};
use crate::{ID_LENGTH_MAX, holds};

/// The service over its database.
#[derive(Debug)]
pub(crate) struct AccountService {
    database: Database,
    barrier: Barrier,
}

impl AccountService {
    pub(crate) fn new(database: Database, barrier: Barrier) -> Self {
        Self { database, barrier }
    }
}

#[tonic::async_trait]
impl Account for AccountService {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenReply>, Status> {
        let request = request.into_inner();
        check_id("account_id", &request.account_id)?;
        self.database.write(|db| Box::pin(open(db, request))).await??;
        Ok(Response::new(OpenReply {}))
    }

    async fn deposit(&self, request: Request<DepositRequest>) -> Result<Response<DepositReply>, Status> {
        let request = request.into_inner();
        check_id("deposit_id", &request.deposit_id)?;
        self.database.write(|db| Box::pin(deposit(db, request))).await??;
        Ok(Response::new(DepositReply {}))
    }

    async fn get_balance(&self, request: Request<GetBalanceRequest>) -> Result<Response<GetBalanceReply>, Status> {
        let account_id = request.into_inner().account_id;
        let found = sqlx::query(
            "SELECT floor_minor, balance_minor, (SELECT coalesce(sum(amount_minor), 0) FROM holds
                WHERE account_id = ?1 AND state = 'held') AS held_minor
             FROM accounts WHERE account_id = ?1",
        )
        .bind(&account_id)
        .fetch_optional(self.database.readers())
        .await
        .map_err(OwnError::from)?;
        let row = found.ok_or_else(|| Status::not_found(format!("there is no account {account_id:?}")))?;
        let read = |column: &str| row.try_get(column).map_err(OwnError::from);
        let (available_minor, held_minor) = (read("balance_minor")?, read("held_minor")?);
        Ok(Response::new(GetBalanceReply { available_minor, held_minor, floor_minor: read("floor_minor")? }))
    }

    async fn hold(&self, request: Request<HoldRequest>) -> Result<Response<HoldReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(holds::hold(db, call, request))).await
    }

    async fn confirm_hold(&self, request: Request<ConfirmHoldRequest>) -> Result<Response<ConfirmHoldReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(holds::confirm(db, call, request))).await
    }

    async fn cancel_hold(&self, request: Request<CancelHoldRequest>) -> Result<Response<CancelHoldReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(holds::cancel(db, call, request))).await
    }
}

/// Why one of the methods outside sagas did nothing.
#[derive(Debug, thiserror::Error)]
enum OwnError {
    #[error("{0} exists already, with other content")]
    Exists(&'static str),
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
            OwnError::Ledger(LedgerError::InvalidAmount(_)) => Status::invalid_argument(message),
            OwnError::Ledger(LedgerError::BelowFloor { .. } | LedgerError::Overflow) => Status::out_of_range(message),
            OwnError::Ledger(LedgerError::Database(_)) | OwnError::Database(_) => Status::internal(message),
        }
    }
}

fn check_id(field: &str, id: &str) -> Result<(), Status> {
    if (1..=ID_LENGTH_MAX).contains(&id.len()) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{field} must have 1 to {ID_LENGTH_MAX} bytes, it has {}", id.len())))
}

async fn open(db: &mut SqliteConnection, request: OpenRequest) -> Result<(), OwnError> {
    let opened = sqlx::query("INSERT INTO accounts VALUES (?, 'customer', ?, 0) ON CONFLICT DO NOTHING")
        .bind(&request.account_id)
        .bind(request.floor_minor)
        .execute(&mut *db)
        .await?;
    if opened.rows_affected() == 1 {
        return Ok(());
    }
    let same: bool =
        sqlx::query_scalar("SELECT kind = 'customer' AND floor_minor = ? FROM accounts WHERE account_id = ?")
            .bind(request.floor_minor)
            .bind(&request.account_id)
            .fetch_one(db)
            .await?;
    if same { Ok(()) } else { Err(OwnError::Exists("the account")) }
}

async fn deposit(db: &mut SqliteConnection, request: DepositRequest) -> Result<(), OwnError> {
    let known: Option<(String, i64)> =
        sqlx::query_as("SELECT account_id, amount_minor FROM deposits WHERE deposit_id = ?")
            .bind(&request.deposit_id)
            .fetch_optional(&mut *db)
            .await?;
    if let Some(known) = known {
        let same = known == (request.account_id, request.amount_minor);
        return if same { Ok(()) } else { Err(OwnError::Exists("the deposit")) };
    }
    if is_system(&request.account_id) {
        return Err(LedgerError::UnknownAccount(request.account_id).into());
    }
    let cause = format!("deposit {}", request.deposit_id);
    post(db, WORLD, &request.account_id, request.amount_minor, &cause).await?;
    sqlx::query("INSERT INTO deposits VALUES (?, ?, ?)")
        .bind(&request.deposit_id)
        .bind(&request.account_id)
        .bind(request.amount_minor)
        .execute(db)
        .await?;
    Ok(())
}
