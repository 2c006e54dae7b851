//! The seam to the network: one attempt to hand a message to a receiver. Over HTTP that is [`crate::participant::HttpPost`].

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::webhook::Target;

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// The receiver took it.
    Delivered,
    /// The receiver answers, but not to this message: it is malformed to it, or too large.
    Refused {
        /// What it said.
        why: String,
    },
    /// No answer, or one that says "later".
    Failed {
        /// What was found.
        why: String,
        /// How long the receiver asks to be left alone.
        retry_after: Option<Duration>,
    },
}

/// Hands messages to receivers. It makes one attempt and never retries.
#[async_trait]
pub trait Post: Send + Sync + fmt::Debug {
    /// Sends a message under this id, signed.
    async fn post(&self, to: &Target, id: &str, body: &Bytes) -> Posted;
}
