//! Inputs, requests and outputs: bytes that the engine passes through and never looks into.
//!
//! Invariant: payload bytes are never printed. `Debug` shows length and digest only, so that no log, trace or error can
//! leak what a customer sent (reliability-and-security §4.6).

use std::fmt;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::ids::{Operation, StepIndex};

/// How a payload's bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// UTF-8 JSON; 64-bit integers are exact.
    Json,
    /// A protobuf message of the type that the pinned descriptors name.
    Protobuf,
}

/// SHA-256 of a payload's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Bytes with an encoding. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// How to read the bytes.
    pub encoding: Encoding,
    /// The bytes as they came or as they will be sent.
    pub bytes: Bytes,
}

impl Payload {
    /// A JSON payload; the caller vouches that the bytes are JSON.
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self { encoding: Encoding::Json, bytes: bytes.into() }
    }

    /// A protobuf payload.
    pub fn protobuf(bytes: impl Into<Bytes>) -> Self {
        Self { encoding: Encoding::Protobuf, bytes: bytes.into() }
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes, {:?})", self.encoding, self.bytes.len(), self.digest())
    }
}

/// Which payload of a saga is meant; written once, beside the small state (design §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayloadKey {
    /// What the saga was started with.
    Input,
    /// The prepared request of an operation: the same bytes on every attempt.
    Request(StepIndex, Operation),
    /// The first recorded output of an operation.
    Output(StepIndex, Operation),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_customer_sent_is_never_printed() {
        let shown = format!("{:?}", Payload::json("{\"card\":\"4111\"}"));
        assert_eq!(shown, format!("Json(15 bytes, {:?})", Digest::of(b"{\"card\":\"4111\"}")));
        assert!(!shown.contains("4111") && !shown.contains("card"));
    }

    #[test]
    fn a_digest_is_shown_in_hexadecimal() {
        let digest = Digest::of(b"");
        assert!(digest.to_string().starts_with("e3b0c442") && digest.to_string().len() == 64);
        assert_eq!(format!("{digest:?}"), "e3b0c442");
    }
}
