//! The gRPC methods: saga steps through the barrier, the query straight to the database.
//!
//! No business rule here. Invariant: every method that a saga calls for an effect goes through [`Barrier::handle`]; the
//! query reads only what has been committed.

use amends_participant::{Barrier, Database};
use tonic::{Request, Response, Status};

use crate::charges;
use crate::proto::payment_server::Payment;
use crate::proto::{ChargeReply, ChargeRequest, GetChargeRequest, RefundReply, RefundRequest};

/// The service over its database.
#[derive(Debug)]
pub(crate) struct PaymentService {
    database: Database,
    barrier: Barrier,
}

impl PaymentService {
    pub(crate) fn new(database: Database, barrier: Barrier) -> Self {
        Self { database, barrier }
    }
}

#[tonic::async_trait]
impl Payment for PaymentService {
    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<ChargeReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(charges::charge(db, call, request))).await
    }

    async fn refund(&self, request: Request<RefundRequest>) -> Result<Response<RefundReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(charges::refund(db, call, request))).await
    }

    async fn get_charge(&self, request: Request<GetChargeRequest>) -> Result<Response<ChargeReply>, Status> {
        let payment_id = request.into_inner().payment_id;
        let standing = charges::standing(self.database.readers(), &payment_id).await;
        let standing = standing.map_err(|error| Status::internal(format!("the database can't be read: {error}")))?;
        let charge = standing.ok_or_else(|| Status::not_found(format!("no charge stands under {payment_id:?}")))?;
        Ok(Response::new(charge))
    }
}
