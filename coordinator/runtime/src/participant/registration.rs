//! What is known about a participant, and its stored form: the body of a store's `ParticipantRecord`.
//!
//! The stored form is protobuf with a format number. A newer format than this program knows is refused, never guessed at;
//! unknown fields of a known format are ignored. Invariant: a [`Registration`] has between one and [`ENDPOINTS_MAX`] different
//! addresses, and its descriptors, where there are any, could be read when it was made.

use std::collections::BTreeMap;

use amends_definition::{DescriptorsError, check_descriptors};
use bytes::Bytes;
use prost::Message;

use amends_definition::Protocol;

use super::code::AnyCode;
use super::endpoint::{Endpoint, InvalidEndpoint};
use super::outcome::Meaning;
use super::secret::{InvalidSecretReference, SecretReference};

/// Most addresses of one participant.
pub const ENDPOINTS_MAX: usize = 64;

/// Most signing secrets: the new one and the old one while they are rotated, and one to spare.
pub const SIGNING_MAX: usize = 3;

/// The format that is written for a gRPC participant.
const FORMAT: u32 = 1;
/// The format that is written for an HTTP participant, so that a program that doesn't know them doesn't call them by gRPC.
const FORMAT_HTTP: u32 = 2;

/// What status codes mean where it differs from the usual.
pub type Codes = BTreeMap<AnyCode, Meaning>;

/// A participant as it was registered. Made by [`Registration::new`] and [`Registration::new_http`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// How it is called.
    pub protocol: Protocol,
    /// Where it answers.
    pub endpoints: Vec<Endpoint>,
    /// It promises that a refusal is final: every other copy of the key, earlier or later, is refused too (semantics A2).
    pub refusals_final: bool,
    /// What its status codes mean; an operation of a definition may say otherwise.
    pub codes: Codes,
    /// `google.protobuf.FileDescriptorSet` of its services with all imports; without one its reflection is asked.
    pub descriptors: Option<Bytes>,
    /// Where the secrets are that requests to an HTTP participant are signed with; none: they aren't signed.
    pub signing: Vec<SecretReference>,
}

/// A registration that can't be accepted.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRegistration {
    /// Not even one address.
    #[error("endpoints: a participant needs at least one address, http://host:port")]
    NoEndpoint,
    /// Over [`SIGNING_MAX`].
    #[error("signing_secrets: {0} references; at most {SIGNING_MAX} are allowed: the new secret and the old one")]
    TooManySecrets(usize),
    /// Over [`ENDPOINTS_MAX`].
    #[error("endpoints: {0} addresses; at most {ENDPOINTS_MAX} are allowed")]
    TooManyEndpoints(usize),
    /// One address twice.
    #[error("endpoints: {0} is there twice")]
    EndpointTwice(Endpoint),
    /// The descriptor set can't be read, or lacks an import.
    #[error("descriptor_set: it can't be used")]
    Descriptors(#[source] DescriptorsError),
}

/// A stored registration that this program can't read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRegistration {
    /// Not protobuf, or damaged.
    #[error("the record isn't a participant's registration")]
    Damaged(#[from] prost::DecodeError),
    /// Written by a newer program.
    #[error("the record has format {0}; this program reads formats up to {FORMAT_HTTP}: use a newer one")]
    Format(u32),
    /// It has no address, or one that can't be read.
    #[error("the record's address can't be read")]
    Endpoint(#[from] InvalidEndpoint),
    /// It has no address at all.
    #[error("the record has no address")]
    NoEndpoint,
    /// A reference to a secret that isn't one.
    #[error("the record's reference to a signing secret can't be read")]
    Signing(#[from] InvalidSecretReference),
    /// A code or meaning that isn't one.
    #[error("the record maps code {code} to meaning {meaning}, which this program doesn't know")]
    Mapping {
        /// As stored.
        code: u32,
        /// As stored.
        meaning: u32,
    },
}

impl Registration {
    /// A participant that is called by HTTP.
    pub fn new_http(
        endpoints: Vec<Endpoint>,
        refusals_final: bool,
        codes: Codes,
        signing: Vec<SecretReference>,
    ) -> Result<Self, InvalidRegistration> {
        if signing.len() > SIGNING_MAX {
            return Err(InvalidRegistration::TooManySecrets(signing.len()));
        }
        let registration = Self::new(endpoints, refusals_final, codes, None)?;
        Ok(Self { protocol: Protocol::Http, signing, ..registration })
    }

    /// A participant that is called by gRPC. Checks the invariant of this module.
    pub fn new(
        endpoints: Vec<Endpoint>,
        refusals_final: bool,
        codes: Codes,
        descriptors: Option<Bytes>,
    ) -> Result<Self, InvalidRegistration> {
        if endpoints.is_empty() {
            return Err(InvalidRegistration::NoEndpoint);
        }
        if endpoints.len() > ENDPOINTS_MAX {
            return Err(InvalidRegistration::TooManyEndpoints(endpoints.len()));
        }
        let mut sorted: Vec<&Endpoint> = endpoints.iter().collect();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(InvalidRegistration::EndpointTwice(pair[0].clone()));
        }
        if let Some(descriptors) = &descriptors {
            check_descriptors(descriptors).map_err(InvalidRegistration::Descriptors)?;
        }
        Ok(Self { protocol: Protocol::Grpc, endpoints, refusals_final, codes, descriptors, signing: Vec::new() })
    }

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let record = Record {
            format: match self.protocol {
                Protocol::Grpc => FORMAT,
                Protocol::Http => FORMAT_HTTP,
            },
            endpoints: self.endpoints.iter().map(Endpoint::to_string).collect(),
            refusals_final: self.refusals_final,
            codes: self.codes.iter().map(|(code, meaning)| (code.number(), meaning_number(*meaning))).collect(),
            descriptors: self.descriptors.clone(),
            signing: self.signing.iter().map(SecretReference::to_string).collect(),
        };
        record.encode_to_vec().into()
    }

    /// Reads the stored form. The descriptors were checked when they came in and aren't parsed again, so that a stricter
    /// parser in a later version can't make a participant vanish.
    pub fn decode(body: Bytes) -> Result<Self, UnreadableRegistration> {
        let record = Record::decode(body)?;
        let (protocol, parse): (_, fn(&str) -> _) = match record.format {
            FORMAT => (Protocol::Grpc, Endpoint::parse),
            FORMAT_HTTP => (Protocol::Http, Endpoint::parse_http),
            other => return Err(UnreadableRegistration::Format(other)),
        };
        if record.endpoints.is_empty() {
            return Err(UnreadableRegistration::NoEndpoint);
        }
        let endpoints = record.endpoints.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let mapping = |(code, meaning)| {
            let known = AnyCode::from_number(code, protocol).zip(meaning_of(meaning));
            known.ok_or(UnreadableRegistration::Mapping { code, meaning })
        };
        let codes = record.codes.into_iter().map(mapping).collect::<Result<_, _>>()?;
        let signing = record.signing.iter().map(|text| SecretReference::parse(text)).collect::<Result<_, _>>()?;
        let (refusals_final, descriptors) = (record.refusals_final, record.descriptors);
        Ok(Self { protocol, endpoints, refusals_final, codes, descriptors, signing })
    }
}

/// Formats 1 and 2.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(string, repeated, tag = "2")]
    endpoints: Vec<String>,
    #[prost(bool, tag = "3")]
    refusals_final: bool,
    #[prost(btree_map = "uint32, uint32", tag = "4")]
    codes: BTreeMap<u32, u32>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    descriptors: Option<Bytes>,
    /// Format 2 only.
    #[prost(string, repeated, tag = "6")]
    signing: Vec<String>,
}

fn meaning_number(meaning: Meaning) -> u32 {
    match meaning {
        Meaning::Succeeded => 1,
        Meaning::Rejected => 2,
        Meaning::Pending => 3,
        Meaning::Unknown => 4,
    }
}

fn meaning_of(number: u32) -> Option<Meaning> {
    match number {
        1 => Some(Meaning::Succeeded),
        2 => Some(Meaning::Rejected),
        3 => Some(Meaning::Pending),
        4 => Some(Meaning::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
