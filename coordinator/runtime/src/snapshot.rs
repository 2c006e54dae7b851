//! A saga as it was last committed, to be looked at from outside.

use std::collections::BTreeMap;

use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::Saga;

/// State, definition and payloads of one saga at one revision. Immutable.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The saga; its state carries the revision.
    pub saga: Saga,
    /// Its input, requests and outputs.
    pub payloads: BTreeMap<PayloadKey, Payload>,
}
