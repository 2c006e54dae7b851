//! What a handler says to the barrier: done, pending, refused, or failed.
//!
//! Invariant: only [`Failure::Rejected`] tells the coordinator that nothing happened. Everything else that goes wrong is
//! [`Failure::Failed`]: rolled back here, *unknown* there, and tried again with the same key. No I/O and no status codes
//! in this file; `status.rs` has those.

use std::error::Error;

/// What became of a call that the handler accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<R> {
    /// The effect stands and this is the reply; every repeat gets the same one.
    Done(R),
    /// The effect comes later, through [`crate::Barrier::complete`].
    Pending,
}

/// "No": nothing happened. For an action it is final: every copy of the same call gets the same refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A constant in capitals that programs can match on: `OUT_OF_STOCK`.
    pub reason: String,
    /// For people; cut after 1024 bytes. Kept in the saga's history, so never a secret or a card number.
    pub message: String,
}

/// Longest message of a refusal, in bytes. It travels in a header and in the details beside it, and what is longer than a
/// client takes in headers arrives as a broken answer: unknown, and called again and again.
const MESSAGE_LENGTH_MAX: usize = 1024;

impl Refusal {
    /// As it can be stored and sent: of a safe length, and without NUL, which Postgres can't store.
    pub(crate) fn fit(mut self) -> Self {
        let end = self.message.floor_char_boundary(MESSAGE_LENGTH_MAX);
        if end < self.message.len() {
            self.message.truncate(end);
            self.message.push('…');
        }
        for text in [&mut self.reason, &mut self.message] {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{fffd}");
            }
        }
        self
    }
}

/// Why a handler gave no answer; its changes are rolled back either way.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A refusal for business reasons.
    #[error("{}: {}", .0.reason, .0.message)]
    Rejected(Refusal),
    /// Anything else: a broken database, an overflow, a bug.
    #[error("the handler failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// Wraps an error that says nothing about whether the request is acceptable.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(feature = "sqlite")]
impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(error)
    }
}

/// Refuses: `return Err(rejected("OUT_OF_STOCK", "2 of sku-1 are left, 3 were asked for"))`.
pub fn rejected(reason: impl Into<String>, message: impl Into<String>) -> Failure {
    Failure::Rejected(Refusal { reason: reason.into(), message: message.into() })
}

/// Says that the effect comes later: `return pending()`.
///
/// # Errors
/// Never; it has a handler's return type so that it can end one.
pub fn pending<R>() -> Result<Answer<R>, Failure> {
    Ok(Answer::Pending)
}
