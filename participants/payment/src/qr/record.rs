//! A QR payment as it is stored and as it is shown.
//!
//! Decides nothing. Invariant: the JSON here is what the coordinator would make of the same message itself (field names as
//! in the .proto file, whole numbers, enum values by name, every field), so that an output told by `CompleteStep` and one
//! that a query brought are the same.

use amends_participant::key::StepKey;
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyExecutor, Row as _};

use crate::proto::{QrPayment, QrStatus};

/// A payment, and the step that waits for it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// As everybody sees it.
    pub(crate) payment: QrPayment,
    /// Which step waits.
    pub(crate) key: StepKey,
}

impl Record {
    /// Whether this step's saga has made it.
    pub(crate) fn is_of_saga(&self, step: &StepKey) -> bool {
        (&self.key.namespace, &self.key.saga_id) == (&step.namespace, &step.saga_id)
    }
}

/// The columns that [`read`] takes, for a `SELECT` or a `RETURNING`.
pub(crate) const COLUMNS: &str = "payment_id, merchant_id, amount_minor, expires_at_ms, state, wallet_id, \
     confirmation_id, namespace, saga_id, step, element";

/// The payment of this id, if there is one.
pub(crate) async fn find(db: impl AnyExecutor<'_>, payment_id: &str) -> Result<Option<Record>, sqlx::Error> {
    let query = format!("SELECT {COLUMNS} FROM qr_payments WHERE payment_id = $1");
    let found = sqlx::query(sqlx::AssertSqlSafe(query)).bind(payment_id).fetch_optional(db).await?;
    found.as_ref().map(read).transpose()
}

/// Sets the state of a payment that is in one of the given states; `None` when it isn't.
pub(crate) async fn advance(
    db: impl AnyExecutor<'_>,
    payment_id: &str,
    from: &'static str,
    to: &'static str,
) -> Result<Option<Record>, sqlx::Error> {
    let query = format!("UPDATE qr_payments SET state = $3 WHERE payment_id = $1 AND state = $2 RETURNING {COLUMNS}");
    let found = sqlx::query(sqlx::AssertSqlSafe(query)).bind(payment_id).bind(from).bind(to).fetch_optional(db).await?;
    found.as_ref().map(read).transpose()
}

/// A row with [`COLUMNS`].
pub(crate) fn read(row: &AnyRow) -> Result<Record, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let element: String = row.try_get("element")?;
    let key = StepKey {
        namespace: row.try_get("namespace")?,
        saga_id: row.try_get("saga_id")?,
        step: row.try_get("step")?,
        element: Some(element).filter(|element| !element.is_empty()),
    };
    let mut payment = QrPayment {
        payment_id: row.try_get("payment_id")?,
        merchant_id: row.try_get("merchant_id")?,
        amount_minor: row.try_get("amount_minor")?,
        expires_at_ms: row.try_get("expires_at_ms")?,
        status: status(&state).into(),
        wallet_id: row.try_get::<Option<_>, _>("wallet_id")?.unwrap_or_default(),
        confirmation_id: row.try_get::<Option<_>, _>("confirmation_id")?.unwrap_or_default(),
        qr_payload: String::new(),
    };
    payment.qr_payload = payload(&payment);
    Ok(Record { payment, key })
}

fn status(state: &str) -> QrStatus {
    match state {
        "open" => QrStatus::Open,
        "paid" => QrStatus::Paid,
        "captured" => QrStatus::Captured,
        "expired" => QrStatus::Expired,
        "cancelled" => QrStatus::Cancelled,
        "refunding" => QrStatus::Refunding,
        "refunded" => QrStatus::Refunded,
        _ => QrStatus::Unspecified,
    }
}

/// What the code says. The ids need no escaping: `steps.rs` lets nothing in that would.
fn payload(payment: &QrPayment) -> String {
    let QrPayment { payment_id, merchant_id, amount_minor, expires_at_ms, .. } = payment;
    format!("amendspay:pay?id={payment_id}&to={merchant_id}&minor={amount_minor}&until={}", expires_at_ms / 1000)
}

/// The step's output.
pub(crate) fn json(payment: &QrPayment) -> String {
    json!({
        "payment_id": payment.payment_id,
        "merchant_id": payment.merchant_id,
        "amount_minor": payment.amount_minor,
        "qr_payload": payment.qr_payload,
        "expires_at_ms": payment.expires_at_ms,
        "status": payment.status().as_str_name(),
        "wallet_id": payment.wallet_id,
        "confirmation_id": payment.confirmation_id,
    })
    .to_string()
}
