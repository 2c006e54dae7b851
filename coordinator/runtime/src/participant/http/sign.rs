//! Signs requests as Standard Webhooks say, so that a participant knows that we made them, when, and with which body.
//!
//! `webhook-id` is the idempotency key, the same on every attempt; the time is the attempt's, so that an old copy that somebody
//! kept is refused by its age. Every secret gives a signature: while secrets are rotated, either of them is enough for the
//! participant. Invariant: what is signed is what is sent.

use amends_engine::time::Timestamp;
use http::request::Builder;

use super::super::secret::SigningKey;

/// Adds the three headers; nothing without a key.
pub(super) fn sign(request: Builder, keys: &[SigningKey], id: &str, now: Timestamp, body: &[u8]) -> Builder {
    if keys.is_empty() {
        return request;
    }
    let seconds = (now.0 / 1000).to_string();
    let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
    let signatures: Vec<String> = keys.iter().map(|key| format!("v1,{}", key.sign(&parts))).collect();
    request
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signatures.join(" "))
}
