//! The gRPC methods: saga steps through the barrier, the query straight to the database.
//!
//! No business rule here. Invariant: every method that a saga calls for an effect goes through [`Barrier::handle`], and the
//! wallet's through [`Barrier::complete`]; the queries read only what has been committed, and for a saga only what
//! that saga has made.

use std::time::Duration;

use amends_participant::key::StepKey;
use amends_participant::service::{Barrier, Database};
use amends_participant::status::{OUTCOME, OUTCOME_PENDING};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::proto::payment_server::Payment;
use crate::proto::{
    CancelQrPaymentReply, CancelQrPaymentRequest, CaptureQrPaymentRequest, ChargeReply, ChargeRequest,
    ConfirmQrPaymentRequest, CreateQrPaymentRequest, GetChargeRequest, GetQrPaymentRequest, QrPayment, QrStatus,
    RefundReply, RefundRequest,
};
use crate::qr::record::Record;
use crate::{charges, qr};

/// The service over its database.
#[derive(Debug)]
pub(crate) struct PaymentService {
    database: Database,
    barrier: Barrier,
    refund_takes: Duration,
}

impl PaymentService {
    pub(crate) fn new(database: Database, barrier: Barrier, refund_takes: Duration) -> Self {
        Self { database, barrier, refund_takes }
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
        let asker = StepKey::of_query(request.metadata())?;
        let payment_id = request.into_inner().payment_id;
        let standing = charges::standing(self.database.readers(), &payment_id, asker.as_ref()).await;
        let standing = standing.map_err(|error| Status::internal(format!("the database can't be read: {error}")))?;
        let charge = standing.ok_or_else(|| Status::not_found(format!("no charge stands under {payment_id:?}")))?;
        Ok(Response::new(charge))
    }

    async fn create_qr_payment(&self, request: Request<CreateQrPaymentRequest>) -> Result<Response<QrPayment>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(qr::steps::create(db, call, request))).await
    }

    async fn cancel_qr_payment(
        &self,
        request: Request<CancelQrPaymentRequest>,
    ) -> Result<Response<CancelQrPaymentReply>, Status> {
        let takes = self.refund_takes;
        let cancel = self
            .barrier
            .handle(request, move |db, call, request| Box::pin(qr::steps::cancel(db, call, request, takes)));
        cancel.await
    }

    async fn capture_qr_payment(
        &self,
        request: Request<CaptureQrPaymentRequest>,
    ) -> Result<Response<QrPayment>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(qr::steps::capture(db, call, request))).await
    }

    async fn get_qr_payment(&self, request: Request<GetQrPaymentRequest>) -> Result<Response<QrPayment>, Status> {
        let asker = StepKey::of_query(request.metadata())?;
        let payment_id = request.into_inner().payment_id;
        let found = qr::record::find(self.database.readers(), &payment_id).await;
        let found = found.map_err(|error| Status::internal(format!("the database can't be read: {error}")))?;
        let Record { payment, .. } = found
            .filter(|record| asker.is_none_or(|asker| record.is_of_saga(&asker)))
            .ok_or_else(|| Status::not_found(format!("there is no QR payment {payment_id:?}")))?;
        let open = payment.status() == QrStatus::Open;
        let mut response = Response::new(payment);
        if open {
            response.metadata_mut().insert(OUTCOME, MetadataValue::from_static(OUTCOME_PENDING));
        }
        Ok(response)
    }

    async fn confirm_qr_payment(
        &self,
        request: Request<ConfirmQrPaymentRequest>,
    ) -> Result<Response<QrPayment>, Status> {
        let paid = qr::wallet::confirm(&self.database, &self.barrier, request.into_inner()).await?;
        Ok(Response::new(paid))
    }
}
