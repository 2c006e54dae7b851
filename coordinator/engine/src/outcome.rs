//! What became of an attempt: the closed list of outcomes, named before any happy path.
//!
//! The runtime maps transport and status codes to these (one table, `runtime`); nothing here knows gRPC. Invariant: only
//! [`Outcome::Rejected`] says that nothing happened; a time-out is [`Outcome::Unknown`], never a failure (design §4).

use std::fmt;
use std::time::Duration;

use crate::payload::{Digest, Payload};
use crate::time::Timestamp;

/// Longest message kept from a participant, in bytes.
pub const MESSAGE_LENGTH_MAX: usize = 1024;

/// A code and a message, as a participant or the transport gave them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Why {
    /// The status code's name, or the participant's own reason code.
    pub code: String,
    /// For people; at most [`MESSAGE_LENGTH_MAX`] bytes.
    pub message: String,
}

impl Why {
    /// Cuts the message to its limit, on a character boundary.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MESSAGE_LENGTH_MAX {
            let mut end = MESSAGE_LENGTH_MAX;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
        }
        Self { code: code.into(), message }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.is_empty(), self.message.is_empty()) {
            (false, false) => write!(f, "{}: {}", self.code, self.message),
            (true, _) => f.write_str(&self.message),
            (_, true) => f.write_str(&self.code),
        }
    }
}

/// Why an attempt's outcome is unknown; what the machine does differs for the last four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// No answer within the attempt's deadline.
    NoAnswer,
    /// The connection broke after the request may have left.
    Broken,
    /// A status code that doesn't say whether the effect happened.
    Code,
    /// A reply that can't be decoded or is over its limit: the effect most likely happened.
    Unreadable,
    /// The owner was lost (restart, take-over) while the attempt was outstanding (semantics A1).
    OwnerLost,
    /// Credentials, permission or method are wrong: counted apart, retried slowly.
    Misconfigured,
    /// The participant holds the same key with another request (`AMENDS_KEY_REUSED`, semantics A9).
    KeyReused,
    /// The participant's barrier has no row though the action is recorded as succeeded (`AMENDS_ROW_MISSING`, A4).
    RowMissing,
    /// The participant has seen a newer owner (`AMENDS_STALE_EPOCH`, A7). Our fault, so no attempt is used up.
    StaleEpoch,
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The effect stands; the reply is the output.
    Succeeded(Payload),
    /// The participant refused and nothing happened.
    Rejected {
        /// What it said.
        why: Why,
        /// The participant promises `refusals: final`: every other copy of this key, earlier or later, is refused too
        /// (semantics A2). Only then does a refusal clear earlier doubt.
        last_word: bool,
    },
    /// It will tell us later, by `CompleteStep`.
    Pending,
    /// To a query: no effect found yet. To a compensate of an action in doubt: nothing to undo. Elsewhere a refusal.
    NotFound(Why),
    /// It may have happened.
    Unknown {
        /// Why we can't tell.
        doubt: Doubt,
        /// What was said.
        why: Why,
    },
    /// It certainly never left this process: no connection, TLS refused.
    NotSent(Why),
}

/// The kind of an outcome, as stored in states and history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// See [`Outcome::Succeeded`].
    Succeeded,
    /// See [`Outcome::Rejected`].
    Rejected,
    /// See [`Outcome::Pending`].
    Pending,
    /// See [`Outcome::NotFound`].
    NotFound,
    /// See [`Outcome::Unknown`].
    Unknown(Doubt),
    /// See [`Outcome::NotSent`].
    NotSent,
}

impl Outcome {
    /// The kind, without what was said.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Succeeded(_) => OutcomeKind::Succeeded,
            Self::Rejected { .. } => OutcomeKind::Rejected,
            Self::Pending => OutcomeKind::Pending,
            Self::NotFound(_) => OutcomeKind::NotFound,
            Self::Unknown { doubt, .. } => OutcomeKind::Unknown(*doubt),
            Self::NotSent(_) => OutcomeKind::NotSent,
        }
    }

    /// What was said; empty for a success or a pending answer.
    pub fn why(&self) -> Why {
        match self {
            Self::Succeeded(_) | Self::Pending => Why::default(),
            Self::Rejected { why, .. } | Self::NotFound(why) | Self::Unknown { why, .. } | Self::NotSent(why) => {
                why.clone()
            }
        }
    }
}

/// The last outcome of an operation, kept in the state so that a list can show it without reading the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastOutcome {
    /// Its kind.
    pub kind: OutcomeKind,
    /// What was said.
    pub why: Why,
    /// When it was applied.
    pub at: Timestamp,
}

/// Facts about the call that gave an outcome; kept in the history only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFacts {
    /// When the call began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The endpoint that was called.
    pub endpoint: String,
    /// The W3C trace id under which it was made; empty when there is none.
    pub trace_id: String,
    /// Digest of the reply's bytes as they came, where there was one (an unreadable reply has one too).
    pub reply: Option<Digest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_on_a_character_boundary() {
        let why = Why::new("INTERNAL", "é".repeat(MESSAGE_LENGTH_MAX));
        assert_eq!(why.message.len(), MESSAGE_LENGTH_MAX);
        let why = Why::new("INTERNAL", format!("a{}", "é".repeat(MESSAGE_LENGTH_MAX)));
        assert_eq!(why.message.len(), MESSAGE_LENGTH_MAX - 1);
    }

    #[test]
    fn what_was_said_shows_what_there_is_of_it() {
        assert_eq!(Why::new("ABORTED", "no").to_string(), "ABORTED: no");
        assert_eq!(Why::new("ABORTED", "").to_string(), "ABORTED");
        assert_eq!(Why::new("", "no").to_string(), "no");
    }
}
