//! Signs gRPC calls, so that a participant knows that we made them, when, and with which request.
//!
//! Every secret gives a signature, as over HTTP: while secrets are rotated, either of them is enough for the participant. What
//! is signed is everything that a barrier acts on; the saga, step and operation stand in the idempotency key, the attempt's
//! number and the trace are only for logs. Invariant: [`signed_text`] is what `docs/tls.md` and the participants' SDK say.

use std::fmt::Write as _;

use amends_engine::time::Timestamp;
use http::request::Builder;
use ring::digest::{SHA256, digest};

use super::Call;
use super::secret::SigningKey;

/// Adds the two headers; nothing without a key.
pub(super) fn sign(request: Builder, keys: &[SigningKey], call: &Call, now: Timestamp) -> Builder {
    if keys.is_empty() {
        return request;
    }
    let seconds = (now.0 / 1000).to_string();
    let text = signed_text(call, &seconds);
    let signatures: Vec<String> = keys.iter().map(|key| format!("v1,{}", key.sign(&[text.as_bytes()]))).collect();
    request.header("amends-timestamp", seconds).header("amends-signature", signatures.join(" "))
}

/// One line each: `amends-v1`, the time, the method, `idempotency-key`, `amends-epoch`, `amends-expects`, `amends-saga-begun`,
/// `amends-floor` (empty where there is none), and SHA-256 of the request message in hex.
fn signed_text(call: &Call, seconds: &str) -> String {
    let expects = if call.expects_succeeded { "succeeded" } else { "" };
    let floor = &call.origin.floor;
    let begun = if floor.is_empty() { String::new() } else { call.origin.begun.0.to_string() };
    let key = call.idempotency_key();
    let (path, epoch) = (&call.path, call.epoch);
    let mut text = format!("amends-v1\n{seconds}\n{path}\n{key}\n{epoch}\n{expects}\n{begun}\n{floor}\n");
    for byte in digest(&SHA256, &call.request).as_ref() {
        // A string takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
