//! The messages of definitions, deprecations and participants, format 1: for stores that keep them as records.
//!
//! Without what the store gives itself, a definition's version and a participant's revision: those stand beside the record.
//! Invariant: field numbers and meanings never change within a format.

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, Version};
use amends_engine::time::Timestamp;
use bytes::Bytes;
use prost::Message;

use super::RecordError;
use super::parts::digest;
use crate::contract::{DefinitionRecord, Deprecation, ParticipantRecord};

/// A definition's version as it was registered.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct DefinitionMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(bytes = "vec", tag = "3")]
    digest: Vec<u8>,
    #[prost(uint64, tag = "4")]
    registered_at: u64,
    #[prost(string, tag = "5")]
    principal: String,
    #[prost(bytes = "bytes", tag = "6")]
    body: Bytes,
}

impl From<&DefinitionRecord> for DefinitionMessage {
    fn from(record: &DefinitionRecord) -> Self {
        Self {
            namespace: record.namespace.as_str().to_owned(),
            name: record.name.as_str().to_owned(),
            digest: record.digest.0.to_vec(),
            registered_at: record.registered_at.0,
            principal: record.principal.clone(),
            body: record.body.clone(),
        }
    }
}

impl DefinitionMessage {
    /// The record of this version.
    pub(super) fn of_version(
        self,
        version: Version,
        deprecated: Option<Deprecation>,
    ) -> Result<DefinitionRecord, RecordError> {
        Ok(DefinitionRecord {
            namespace: Namespace::parse(&self.namespace)?,
            name: DefinitionName::parse(&self.name)?,
            version,
            digest: digest(&self.digest)?,
            registered_at: Timestamp(self.registered_at),
            principal: self.principal,
            body: self.body,
            deprecated,
        })
    }
}

/// That a version takes no new sagas.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct DeprecationMessage {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(string, tag = "2")]
    principal: String,
    #[prost(string, tag = "3")]
    reason: String,
}

impl From<&Deprecation> for DeprecationMessage {
    fn from(deprecation: &Deprecation) -> Self {
        let Deprecation { at, principal, reason } = deprecation;
        Self { at: at.0, principal: principal.clone(), reason: reason.clone() }
    }
}

impl From<DeprecationMessage> for Deprecation {
    fn from(message: DeprecationMessage) -> Self {
        let DeprecationMessage { at, principal, reason } = message;
        Self { at: Timestamp(at), principal, reason }
    }
}

/// A participant as it was registered.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct ParticipantMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint64, tag = "3")]
    updated_at: u64,
    #[prost(string, tag = "4")]
    principal: String,
    #[prost(bytes = "bytes", tag = "5")]
    body: Bytes,
}

impl From<&ParticipantRecord> for ParticipantMessage {
    fn from(record: &ParticipantRecord) -> Self {
        Self {
            namespace: record.namespace.as_str().to_owned(),
            name: record.name.as_str().to_owned(),
            updated_at: record.updated_at.0,
            principal: record.principal.clone(),
            body: record.body.clone(),
        }
    }
}

impl ParticipantMessage {
    /// The record at this revision.
    pub(super) fn at_revision(self, revision: u64) -> Result<ParticipantRecord, RecordError> {
        Ok(ParticipantRecord {
            namespace: Namespace::parse(&self.namespace)?,
            name: ParticipantName::parse(&self.name)?,
            revision,
            updated_at: Timestamp(self.updated_at),
            principal: self.principal,
            body: self.body,
        })
    }
}
