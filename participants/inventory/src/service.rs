//! The gRPC methods: saga steps through the barrier, the others straight to the database.
//!
//! No business rule here beyond the shape of `SetStock`. Invariant: every method that a saga calls goes through
//! [`Barrier::handle`].

use amends_participant::service::{Barrier, Database};
use tonic::{Request, Response, Status};

use crate::proto::inventory_server::Inventory;
use crate::proto::{
    GetStockReply, GetStockRequest, ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest, SetStockReply,
    SetStockRequest,
};
use crate::{ID_WORDS, STOCK_MAX, is_id, stock};

/// The service over its database.
#[derive(Debug)]
pub(crate) struct InventoryService {
    database: Database,
    barrier: Barrier,
}

impl InventoryService {
    pub(crate) fn new(database: Database, barrier: Barrier) -> Self {
        Self { database, barrier }
    }
}

#[tonic::async_trait]
impl Inventory for InventoryService {
    async fn set_stock(&self, request: Request<SetStockRequest>) -> Result<Response<SetStockReply>, Status> {
        let request = request.into_inner();
        if !is_id(&request.sku) {
            return Err(Status::invalid_argument(format!("sku must have {ID_WORDS}")));
        }
        if !(0..=STOCK_MAX).contains(&request.quantity) {
            let words = format!("quantity must be 0 to {STOCK_MAX}, it is {}", request.quantity);
            return Err(Status::invalid_argument(words));
        }
        let set = self.database.write(|db| Box::pin(stock::set(db, request))).await?;
        set.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(SetStockReply {}))
    }

    async fn get_stock(&self, request: Request<GetStockRequest>) -> Result<Response<GetStockReply>, Status> {
        let sku = request.into_inner().sku;
        let found: Option<(i64, i64)> = sqlx::query_as(
            "SELECT available, (SELECT CAST(coalesce(sum(quantity), 0) AS BIGINT) FROM reservations
                WHERE sku = $1 AND released = 0)
             FROM stock WHERE sku = $1",
        )
        .bind(&sku)
        .fetch_optional(self.database.readers())
        .await
        .map_err(|error| Status::internal(format!("the database can't be read: {error}")))?;
        let (available, sold) = found.ok_or_else(|| Status::not_found(format!("there is no SKU {sku:?}")))?;
        Ok(Response::new(GetStockReply { available, sold }))
    }

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(stock::reserve(db, call, request))).await
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        self.barrier.handle(request, |db, call, request| Box::pin(stock::release(db, call, request))).await
    }
}
