//! What time does to QR payments: codes expire, refunds arrive.
//!
//! Looks again and again, also after a restart, at what is due. Invariant: an expiry is a refusal through the barrier, so
//! that no wallet can pay afterwards; the payment's own state follows it, and is made to follow again after a crash in between.

use std::sync::Arc;
use std::time::Duration;

use amends_participant::barrier::CompleteError;
use amends_participant::database::DatabaseError;
use amends_participant::key::StepKey;
use amends_participant::service::unix_ms;
use amends_participant::service::{Barrier, Database};
use amends_participant::{Answer, Operation, Refusal, rejected};

use super::record::{COLUMNS, Record, advance, read};
use super::steps::refund_arrived;
use crate::callback::outbox::{Owed, owe};
use crate::proto::QrPayment;

/// The reason of an expiry.
pub(crate) const QR_EXPIRED: &str = "QR_EXPIRED";

/// How often to look; a code may be payable for that much longer than it says.
const PAUSE: Duration = Duration::from_millis(200);

/// Payments taken at once.
const BATCH: i64 = 64;

/// Runs for as long as the service does.
pub(crate) async fn run(database: Database, barrier: Barrier) {
    loop {
        for record in due(&database, "open", "expires_at_ms").await {
            expire(&database, &barrier, &record).await;
        }
        for record in due(&database, "refunding", "refund_due_ms").await {
            refund(&database, &barrier, record).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is due now; nothing when the database can't be read, since it is looked at again.
async fn due(database: &Database, state: &'static str, column: &'static str) -> Vec<Record> {
    let query =
        format!("SELECT {COLUMNS} FROM qr_payments WHERE state = $1 AND {column} <= $2 ORDER BY {column} LIMIT $3");
    let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(state).bind(unix_ms()).bind(BATCH);
    let rows = query.fetch_all(database.readers()).await;
    match rows.and_then(|rows| rows.iter().map(read).collect()) {
        Ok(records) => records,
        Err(error) => {
            tracing::error!(%error, "can't look for QR payments that are due");
            Vec::new()
        }
    }
}

async fn expire(database: &Database, barrier: &Barrier, record: &Record) {
    let Record { payment, key } = record;
    let expired = barrier.complete::<QrPayment, _>(key, Operation::Action, |_| {
        Box::pin(async { Err(rejected(QR_EXPIRED, "nobody paid this code in time")) })
    });
    let settled = match expired.await {
        Err(CompleteError::Refused(refusal)) => settle_refused(database, &payment.payment_id, key, &refusal).await,
        // A wallet or the compensation was quicker.
        Ok(Answer::Done(_) | Answer::Pending) | Err(CompleteError::AfterCompensate) => Ok(()),
        // Swept: the saga is over and forgotten, so nobody can pay this code any more and nobody waits to be told.
        Err(CompleteError::NotPending) => close_forgotten(database, &payment.payment_id).await,
        Err(error @ (CompleteError::Failed(_) | CompleteError::Database(_))) => {
            tracing::error!(payment = payment.payment_id, %error, "a code could not be expired; it is tried again");
            Ok(())
        }
    };
    if let Err(error) = settled {
        tracing::error!(payment = payment.payment_id, %error, "an expiry could not be noted; it is tried again");
    }
}

/// Lets the payment's own state follow the refusal that its barrier row has, and tells the coordinator. Safe to repeat.
pub(crate) async fn settle_refused(
    database: &Database,
    payment_id: &str,
    key: &StepKey,
    refusal: &Refusal,
) -> Result<(), DatabaseError> {
    let (payment_id, key, refusal) = (payment_id.to_owned(), key.clone(), refusal.clone());
    let settled = database.write(|db| {
        Box::pin(async move {
            if advance(&mut *db, &payment_id, "open", "expired").await?.is_some() {
                owe(db, &key, Operation::Action, &Owed::Rejected(refusal)).await?;
            }
            Ok::<_, sqlx::Error>(())
        })
    });
    if let Err(error) = settled.await? {
        tracing::error!(%error, "a refusal could not be noted; it is tried again");
    }
    Ok(())
}

/// Takes a code out of what is due; otherwise forgotten ones would come before all others for ever.
async fn close_forgotten(database: &Database, payment_id: &str) -> Result<(), DatabaseError> {
    tracing::warn!(payment = payment_id, "a code has expired whose saga is forgotten");
    let payment_id = payment_id.to_owned();
    let closed = database.write(|db| Box::pin(async move { advance(db, &payment_id, "open", "expired").await }));
    closed.await?.map_err(|error| DatabaseError::Refused(Arc::new(error)))?;
    Ok(())
}

async fn refund(database: &Database, barrier: &Barrier, record: Record) {
    let key = record.key.clone();
    let arrived = record.clone();
    let refunded = barrier
        .complete(&key, Operation::Compensate, move |db| Box::pin(async move { refund_arrived(db, &arrived).await }));
    let refunded = match refunded.await {
        // Swept: the saga was force-stopped and is forgotten. The payer gets the money all the same; the payment's state says
        // that it is once.
        Err(CompleteError::NotPending) => pay_back_forgotten(database, record).await,
        Err(error) => Err(error.to_string()),
        Ok(_) => Ok(()),
    };
    if let Err(error) = refunded {
        tracing::error!(%key, %error, "a refund could not be completed; it is tried again");
    }
}

async fn pay_back_forgotten(database: &Database, record: Record) -> Result<(), String> {
    let paid_back = database.write(|db| Box::pin(async move { refund_arrived(db, &record).await }));
    paid_back.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(())
}
