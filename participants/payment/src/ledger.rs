//! The double-entry ledger: who owes whom because of charges and QR payments.
//!
//! Knows nothing of sagas, charges or codes. Invariant: a movement writes two entries that sum to zero, or nothing.

use sqlx::AnyConnection;

/// Where charges come from.
pub(crate) const CARD_NETWORK: &str = "card-network";
/// Where QR payments come from.
pub(crate) const PAYER_WALLETS: &str = "payer-wallets";
/// Where the money of a QR payment is until it is captured or refunded.
pub(crate) const QR_CLEARING: &str = "qr-clearing";
/// What the merchant gets.
pub(crate) const MERCHANT_RECEIVABLE: &str = "merchant-receivable";

/// Two entries that sum to zero. `amount` is above zero, so its negative is in range.
pub(crate) async fn post(
    db: &mut AnyConnection,
    from: &str,
    to: &str,
    amount: i64,
    cause: &str,
) -> Result<(), sqlx::Error> {
    let movement: i64 = sqlx::query_scalar("INSERT INTO movements (cause) VALUES ($1) RETURNING movement")
        .bind(cause)
        .fetch_one(&mut *db)
        .await?;
    sqlx::query(
        "INSERT INTO entries (movement, side, account_id, amount_minor, cause)
         VALUES ($1, 0, $2, -$4, $5), ($1, 1, $3, $4, $5)",
    )
    .bind(movement)
    .bind(from)
    .bind(to)
    .bind(amount)
    .bind(cause)
    .execute(db)
    .await
    .map(|_| ())
}
