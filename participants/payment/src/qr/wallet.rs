//! The payer's wallet: the effect that a QR payment's step waits for.
//!
//! Not a step of a saga, and called by anybody. Invariant: money moves only through the row of the step that waits, so never
//! after its compensation and never twice; whoever is refused is told why and keeps the money.

use amends_participant::barrier::CompleteError;
use amends_participant::service::{Barrier, Database};
use amends_participant::service::{record_effect_of, unix_ms};
use amends_participant::{Answer, Failure, Operation, rejected};
use sqlx::AnyConnection;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::expiry::{QR_EXPIRED, settle_refused};
use super::record::{self, COLUMNS, Record, find, json};
use crate::callback::outbox::{Owed, owe};
use crate::ledger::{PAYER_WALLETS, QR_CLEARING, post};
use crate::proto::payment_server::SERVICE_NAME;
use crate::proto::{ConfirmQrPaymentRequest, QrPayment};
use crate::{ID_WORDS, is_id};

/// Pays, or says why not.
pub(crate) async fn confirm(
    database: &Database,
    barrier: &Barrier,
    request: ConfirmQrPaymentRequest,
) -> Result<QrPayment, Status> {
    for (field, value) in [("wallet_id", &request.wallet_id), ("confirmation_id", &request.confirmation_id)] {
        if !is_id(value) {
            return Err(Status::invalid_argument(format!("{field} must have {ID_WORDS}")));
        }
    }
    let payment_id = &request.payment_id;
    let found = find(database.readers(), payment_id).await;
    let found = found.map_err(|error| Status::internal(format!("the database can't be read: {error}")))?;
    let Record { payment, key } =
        found.ok_or_else(|| Status::not_found(format!("there is no QR payment {payment_id:?}")))?;
    if request.amount_minor != payment.amount_minor {
        let words = format!("amount_minor: the code says {}, not {}", payment.amount_minor, request.amount_minor);
        return Err(Status::invalid_argument(words));
    }
    let wanted = request.clone();
    let paid = barrier.complete(&key, Operation::Action, move |db| Box::pin(async move { pay(db, &wanted).await }));
    match paid.await {
        // Also when somebody has paid before: whoever that was. Another wallet may use the same confirmation_id.
        Ok(Answer::Done(paid)) if is_of(&paid, &request) => Ok(paid),
        Ok(Answer::Done(_)) => Err(no("QR_ALREADY_PAID", "somebody else has paid this code")),
        Ok(Answer::Pending) | Err(CompleteError::NotPending) => Err(Status::unavailable("try again")),
        Err(CompleteError::AfterCompensate) => Err(no(
            "QR_CANCELLED",
            "this payment was cancelled; nothing is charged, and what was paid before goes back",
        )),
        Err(CompleteError::Refused(refusal)) => {
            settle_refused(database, payment_id, &key, &refusal).await?;
            Err(no(&refusal.reason, &refusal.message))
        }
        Err(CompleteError::Failed(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a confirmation failed");
            Err(Status::internal("the confirmation failed and nothing was kept; try again"))
        }
        Err(CompleteError::Database(error)) => Err(error.into()),
    }
}

/// Whether this confirmation is what paid.
fn is_of(paid: &QrPayment, request: &ConfirmQrPaymentRequest) -> bool {
    (&paid.wallet_id, &paid.confirmation_id) == (&request.wallet_id, &request.confirmation_id)
}

/// The effect, in the transaction of the step's barrier row.
async fn pay(db: &mut AnyConnection, request: &ConfirmQrPaymentRequest) -> Result<Answer<QrPayment>, Failure> {
    let query = format!(
        "UPDATE qr_payments SET state = 'paid', wallet_id = $2, confirmation_id = $3
         WHERE payment_id = $1 AND state = 'open' AND expires_at_ms > $4 RETURNING {COLUMNS}"
    );
    let paid = sqlx::query(sqlx::AssertSqlSafe(query))
        .bind(&request.payment_id)
        .bind(&request.wallet_id)
        .bind(&request.confirmation_id)
        .bind(unix_ms())
        .fetch_optional(&mut *db)
        .await?;
    let Some(row) = paid else { return Err(rejected(QR_EXPIRED, "the time to pay this code is over")) };
    let Record { payment, key } = record::read(&row)?;
    post(db, PAYER_WALLETS, QR_CLEARING, payment.amount_minor, &format!("pay {}", payment.payment_id)).await?;
    record_effect_of(db, &key, Operation::Action).await?;
    owe(db, &key, Operation::Action, &Owed::Succeeded { output: json(&payment) }).await?;
    Ok(Answer::Done(payment))
}

/// A refusal to the wallet; it is no step of a saga, so this code is read by nobody else.
fn no(reason: &str, message: &str) -> Status {
    let details =
        ErrorDetails::with_error_info(reason, SERVICE_NAME, std::collections::HashMap::<String, String>::new());
    Status::with_error_details(Code::FailedPrecondition, message, details)
}
