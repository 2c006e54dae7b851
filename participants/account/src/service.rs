//! The gRPC methods: saga steps through the barrier, the others straight to the database.
//!
//! No business rule here. Invariant: every method that a saga calls goes through [`Barrier::handle`].

use amends_participant::service::{Barrier, Database};
use sqlx::Row;
use tonic::{Request, Response, Status};

use crate::opening::{OwnError, check_id, deposit, open};
use crate::proto::account_server::Account;
use crate::proto::{
    AwardPointsReply, AwardPointsRequest, CancelCreditReply, CancelCreditRequest, CancelHoldReply, CancelHoldRequest,
    CancelScreeningReply, CancelScreeningRequest, ConfirmCreditReply, ConfirmCreditRequest, ConfirmHoldReply,
    ConfirmHoldRequest, DepositReply, DepositRequest, GetBalanceReply, GetBalanceRequest, GetPointsReply,
    GetPointsRequest, HoldReply, HoldRequest, OpenReply, OpenRequest, ReserveCreditReply, ReserveCreditRequest,
    RevokePointsReply, RevokePointsRequest, ScreenReply, ScreenRequest, SetFrozenRequest, SetLimitsRequest, Standing,
};
use crate::{credits, holds, points, screening, standing};

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
            "SELECT floor_minor, balance_minor,
                (SELECT CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM holds
                    WHERE account_id = $1 AND state = 'held') AS held_minor,
                (SELECT CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM credits
                    WHERE account_id = $1 AND state = 'reserved') AS incoming_minor
             FROM accounts WHERE account_id = $1",
        )
        .bind(&account_id)
        .fetch_optional(self.database.readers())
        .await
        .map_err(OwnError::from)?;
        let row = found.ok_or_else(|| Status::not_found(format!("there is no account {account_id:?}")))?;
        let read = |column: &str| row.try_get(column).map_err(OwnError::from);
        Ok(Response::new(GetBalanceReply {
            available_minor: read("balance_minor")?,
            held_minor: read("held_minor")?,
            floor_minor: read("floor_minor")?,
            incoming_minor: read("incoming_minor")?,
        }))
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

    async fn reserve_credit(
        &self,
        request: Request<ReserveCreditRequest>,
    ) -> Result<Response<ReserveCreditReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(credits::reserve(db, call, request))).await
    }

    async fn confirm_credit(
        &self,
        request: Request<ConfirmCreditRequest>,
    ) -> Result<Response<ConfirmCreditReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(credits::confirm(db, call, request))).await
    }

    async fn cancel_credit(
        &self,
        request: Request<CancelCreditRequest>,
    ) -> Result<Response<CancelCreditReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(credits::cancel(db, call, request))).await
    }

    async fn set_limits(&self, request: Request<SetLimitsRequest>) -> Result<Response<Standing>, Status> {
        let request = request.into_inner();
        let standing = self.database.write(|db| Box::pin(standing::set_limits(db, request))).await??;
        Ok(Response::new(standing))
    }

    async fn set_frozen(&self, request: Request<SetFrozenRequest>) -> Result<Response<Standing>, Status> {
        let request = request.into_inner();
        let standing = self.database.write(|db| Box::pin(standing::set_frozen(db, request))).await??;
        Ok(Response::new(standing))
    }

    async fn screen(&self, request: Request<ScreenRequest>) -> Result<Response<ScreenReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(screening::screen(db, call, request))).await
    }

    async fn cancel_screening(
        &self,
        request: Request<CancelScreeningRequest>,
    ) -> Result<Response<CancelScreeningReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(screening::cancel(db, call, request))).await
    }

    async fn award_points(&self, request: Request<AwardPointsRequest>) -> Result<Response<AwardPointsReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(points::award(db, call, request))).await
    }

    async fn revoke_points(
        &self,
        request: Request<RevokePointsRequest>,
    ) -> Result<Response<RevokePointsReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(points::revoke(db, call, request))).await
    }

    async fn get_points(&self, request: Request<GetPointsRequest>) -> Result<Response<GetPointsReply>, Status> {
        let account_id = request.into_inner().account_id;
        let mut db = self.database.readers().acquire().await.map_err(OwnError::from)?;
        let balance = points::balance(&mut db, &account_id).await.map_err(OwnError::from)?;
        Ok(Response::new(GetPointsReply { balance }))
    }
}
