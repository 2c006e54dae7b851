//! What reserving, releasing and stocking do to the shelves.
//!
//! Not idempotent by itself, on purpose: that each operation happens once is the barrier's promise. Invariants: whatever
//! leaves a shelf is in a reservation, written in the same transaction, with one line of evidence; only the saga that has made a
//! reservation releases it, since another saga's for the same order may be the sale.

use amends_participant::service::record_effect;
use amends_participant::{Answer, CallContext, Failure, locking, rejected};
use sqlx::AnyConnection;

use crate::proto::{ReleaseReply, ReleaseRequest, ReserveReply, ReserveRequest, SetStockRequest};
use crate::{ID_WORDS, STOCK_MAX, is_id};

/// Action: takes a quantity from the shelf.
pub(crate) async fn reserve(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ReserveRequest,
) -> Result<Answer<ReserveReply>, Failure> {
    let ReserveRequest { order_id, sku, quantity } = request;
    if quantity <= 0 {
        return Err(rejected("INVALID_QUANTITY", format!("quantity must be above 0, it is {quantity}")));
    }
    if !is_id(&order_id) {
        return Err(rejected("INVALID_ORDER_ID", format!("order_id must have {ID_WORDS}")));
    }
    let available = if is_id(&sku) { on_shelf(db, &sku).await? } else { None };
    let available = available.ok_or_else(|| rejected("UNKNOWN_SKU", format!("there is no SKU {sku:?}")))?;
    // Neither is below zero, so this can't overflow.
    let left = available - quantity;
    if left < 0 {
        return Err(rejected("OUT_OF_STOCK", format!("{available} of {sku:?} are left, {quantity} were asked for")));
    }
    sqlx::query("UPDATE stock SET available = $1 WHERE sku = $2").bind(left).bind(&sku).execute(&mut *db).await?;
    let reservation: i64 = sqlx::query_scalar(
        "INSERT INTO reservations (order_id, sku, quantity, namespace, saga_id) VALUES ($1, $2, $3, $4, $5)
         RETURNING reservation_id",
    )
    .bind(&order_id)
    .bind(&sku)
    .bind(quantity)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_one(&mut *db)
    .await?;
    record_effect(db, call).await?;
    Ok(Answer::Done(ReserveReply { reservation_id: format!("r-{reservation}") }))
}

/// Compensate: puts back whatever this saga has reserved for the order, which may be nothing when another element of the same
/// step has put it back already. Where it never had any, its own is under another order's id: refused, so that a person looks.
pub(crate) async fn release(
    db: &mut AnyConnection,
    call: &CallContext,
    request: ReleaseRequest,
) -> Result<Answer<ReleaseReply>, Failure> {
    let mut standing: Vec<(String, i64)> = sqlx::query_as(
        "UPDATE reservations SET released = 1 WHERE order_id = $1 AND released = 0
             AND (saga_id IS NULL OR (namespace = $2 AND saga_id = $3)) RETURNING sku, quantity",
    )
    .bind(&request.order_id)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_all(&mut *db)
    .await?;
    if standing.is_empty() && !has_reserved(db, call, &request.order_id).await? {
        let words = format!("this saga has reserved nothing for order {:?}", request.order_id);
        return Err(rejected("UNKNOWN_ORDER", words));
    }
    // Everybody locks shelves in this order, so that two releases don't wait for each other.
    standing.sort();
    let mut released: i64 = 0;
    for (sku, quantity) in standing {
        released = checked(released.checked_add(quantity))?;
        put_on_shelf(db, &sku, quantity).await?;
    }
    record_effect(db, call).await?;
    Ok(Answer::Done(ReleaseReply { released }))
}

/// Whether this saga has ever reserved anything for the order. Without a maker: from before makers were written down.
async fn has_reserved(db: &mut AnyConnection, call: &CallContext, order_id: &str) -> Result<bool, sqlx::Error> {
    let made: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM reservations WHERE order_id = $1
             AND (saga_id IS NULL OR (namespace = $2 AND saga_id = $3))",
    )
    .bind(order_id)
    .bind(&call.key.namespace)
    .bind(&call.key.saga_id)
    .fetch_one(db)
    .await?;
    Ok(made > 0)
}

/// Seeds a shelf: sets what is on it and notes the difference.
pub(crate) async fn set(db: &mut AnyConnection, request: SetStockRequest) -> Result<(), Failure> {
    sqlx::query("INSERT INTO stock VALUES ($1, 0) ON CONFLICT DO NOTHING").bind(&request.sku).execute(&mut *db).await?;
    let before = on_shelf(db, &request.sku).await?.unwrap_or_default();
    // Neither is below zero, so this can't overflow.
    let difference = request.quantity - before;
    sqlx::query("UPDATE stock SET available = $1 WHERE sku = $2")
        .bind(request.quantity)
        .bind(&request.sku)
        .execute(&mut *db)
        .await?;
    sqlx::query("INSERT INTO stocked (sku, quantity) VALUES ($1, $2)")
        .bind(&request.sku)
        .bind(difference)
        .execute(db)
        .await?;
    Ok(())
}

/// What is on a shelf, which nobody else changes until the end of the transaction; `None` for an unknown SKU.
async fn on_shelf(db: &mut AnyConnection, sku: &str) -> Result<Option<i64>, sqlx::Error> {
    let query = locking!(db, "SELECT available FROM stock WHERE sku = $1", "FOR NO KEY UPDATE");
    sqlx::query_scalar(query).bind(sku).fetch_optional(db).await
}

/// Seeds a shelf that was never stocked.
pub(crate) async fn begin(db: &mut AnyConnection, sku: String, quantity: i64) -> Result<(), Failure> {
    if !is_id(&sku) || quantity > STOCK_MAX {
        return Err(Failure::failed(format!("a SKU has {ID_WORDS}, and a shelf at most {STOCK_MAX}")));
    }
    if on_shelf(db, &sku).await?.is_some() { Ok(()) } else { set(db, SetStockRequest { sku, quantity }).await }
}

async fn put_on_shelf(db: &mut AnyConnection, sku: &str, quantity: i64) -> Result<(), Failure> {
    let available = on_shelf(db, sku).await?.unwrap_or_default();
    sqlx::query("UPDATE stock SET available = $1 WHERE sku = $2")
        .bind(checked(available.checked_add(quantity))?)
        .bind(sku)
        .execute(db)
        .await?;
    Ok(())
}

fn checked(sum: Option<i64>) -> Result<i64, Failure> {
    sum.ok_or_else(|| Failure::failed("a quantity would leave the range of 64 bits"))
}
