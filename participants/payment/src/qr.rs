//! Payments by QR code: issued, then paid by a wallet or expired, then captured or given back.
//!
//! The step's action is answered `pending`, and its effect, the payer's confirmation, comes through the same barrier row
//! (`Barrier::complete`), so that nobody can pay a code that was cancelled (semantics A14). Invariants: a payment's state, its
//! movement in the ledger and what the coordinator is owed are written in one transaction; an expiry is a refusal, and final.
//! `qr/steps.rs` is what a saga calls, `qr/wallet.rs` what the wallet does, `qr/expiry.rs` what time does, `qr/record.rs` the
//! table.

pub(crate) mod expiry;
pub(crate) mod record;
pub(crate) mod steps;
pub(crate) mod wallet;
