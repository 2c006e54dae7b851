//! What is known about a participant, and its stored form: the body of a store's `ParticipantRecord`.
//!
//! The stored form is protobuf with a format number. A newer format than this program knows is refused, never guessed at;
//! unknown fields of a known format are ignored. Invariant: a [`Registration`] has at most [`ENDPOINTS_MAX`] different addresses and
//! at least one, or a way to find some, and its descriptors, where there are any, could be read when it was made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use amends_definition::{DescriptorsError, check_descriptors};
use bytes::Bytes;
use prost::Message;
use rustls::pki_types::ServerName;

use amends_definition::Protocol;

use super::balance::Balancing;
use super::code::AnyCode;
use super::endpoint::{Endpoint, InvalidEndpoint};
use super::outcome::Meaning;
use super::protection::{Limits, LimitsChange, LimitsRecord};
use super::secret::{InvalidSecretReference, SecretReference};
use super::source::{InvalidSource, Source};
use super::trust::TlsSettings;

/// Most addresses of one participant.
pub const ENDPOINTS_MAX: usize = 64;

/// Most sources that are asked for a participant's addresses.
pub const SOURCES_MAX: usize = 8;

/// Largest weight of an address.
pub const WEIGHT_MAX: u32 = 1000;

/// Most signing secrets: the new one and the old one while they are rotated, and one to spare.
pub const SIGNING_MAX: usize = 3;

/// The format that is written for a gRPC participant.
const FORMAT: u32 = 1;
/// The format that is written for an HTTP participant, so that a program that doesn't know them doesn't call them by gRPC.
const FORMAT_HTTP: u32 = 2;

/// What status codes mean where it differs from the usual.
pub type Codes = BTreeMap<AnyCode, Meaning>;

/// How a participant's addresses are found beside those that are registered, and how calls are spread over all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Who is asked for addresses.
    pub sources: Vec<Source>,
    /// Its instances may register themselves.
    pub self_registration: bool,
    /// How calls are spread.
    pub balancing: Balancing,
    /// By registered address, as it is shown: how often it is called beside the others, 1 to [`WEIGHT_MAX`]; 1 where it isn't here.
    pub weights: BTreeMap<String, u32>,
}

/// Where a participant answers: addresses, and how more are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Its addresses.
    pub fixed: Vec<Endpoint>,
    /// The rest.
    pub discovery: Discovery,
}

impl From<Vec<Endpoint>> for Endpoints {
    fn from(fixed: Vec<Endpoint>) -> Self {
        Self { fixed, discovery: Discovery::default() }
    }
}

/// A participant as it was registered. Made by [`Registration::found`] and [`Registration::found_http`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// How it is called.
    pub protocol: Protocol,
    /// Where it answers, as far as that is registered.
    pub endpoints: Vec<Endpoint>,
    /// Where else, and how calls are spread.
    pub discovery: Discovery,
    /// It promises that a refusal is final: every other copy of the key, earlier or later, is refused too (semantics A2).
    pub refusals_final: bool,
    /// What its status codes mean; an operation of a definition may say otherwise.
    pub codes: Codes,
    /// `google.protobuf.FileDescriptorSet` of its services with all imports; without one its reflection is asked.
    pub descriptors: Option<Bytes>,
    /// Where the secrets are that requests are signed with; none: they aren't signed.
    pub signing: Vec<SecretReference>,
    /// Whom to trust over TLS, and what to show.
    pub tls: TlsSettings,
    /// What it is protected by. A registration that replaces this one keeps them.
    pub limits: Limits,
    /// Who changed them last; none: they are the defaults.
    pub limits_change: Option<LimitsChange>,
}

/// A registration that can't be accepted.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRegistration {
    /// Not even one address.
    #[error("endpoints: a participant needs at least one address, http://host:port")]
    NoEndpoint,
    /// Over [`SOURCES_MAX`].
    #[error("endpoints: {0} names to look up; at most {SOURCES_MAX} are allowed")]
    TooManySources(usize),
    /// A source twice.
    #[error("endpoints: {0} is there twice")]
    SourceTwice(Source),
    /// A weight of something that isn't there, or out of range.
    #[error(
        "weights: {given}: give a weight from 1 to {WEIGHT_MAX} to an address among the endpoints, as http://host:port"
    )]
    Weight {
        /// What was given.
        given: String,
    },
    /// Over [`SIGNING_MAX`].
    #[error("signing_secrets: {0} references; at most {SIGNING_MAX} are allowed: the new secret and the old one")]
    TooManySecrets(usize),
    /// Over [`ENDPOINTS_MAX`].
    #[error("endpoints: {0} addresses; at most {ENDPOINTS_MAX} are allowed")]
    TooManyEndpoints(usize),
    /// One address twice.
    #[error("endpoints: {0} is there twice")]
    EndpointTwice(Endpoint),
    /// TLS settings, and no address that is called over TLS.
    #[error("tls: no endpoint has https://, so that nothing of this would hold; write https:// or leave tls out")]
    TlsWithoutHttps,
    /// A file that is found or not by where the server was started.
    #[error("tls: {} is no absolute path of a file on the server", .0.display())]
    RelativePath(PathBuf),
    /// Not a name that a certificate can have.
    #[error("tls: {0:?} is no name that a certificate can have")]
    ServerName(String),
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
    /// It has no address at all, and no way to find one.
    #[error("the record has no address")]
    NoEndpoint,
    /// A source that this program doesn't know.
    #[error("the record names a source of addresses that can't be read: {0:?}")]
    Source(String, #[source] Option<InvalidSource>),
    /// Written by a program that knows other ways.
    #[error("the record spreads calls in way {0}, which this program doesn't know")]
    Balancing(u32),
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
    /// A participant that is called by HTTP at these addresses.
    pub fn new_http(
        endpoints: Vec<Endpoint>,
        refusals_final: bool,
        codes: Codes,
        signing: Vec<SecretReference>,
    ) -> Result<Self, InvalidRegistration> {
        Self::found_http(endpoints.into(), refusals_final, codes, signing)
    }

    /// A participant that is called by gRPC at these addresses.
    pub fn new(
        endpoints: Vec<Endpoint>,
        refusals_final: bool,
        codes: Codes,
        descriptors: Option<Bytes>,
    ) -> Result<Self, InvalidRegistration> {
        Self::found(endpoints.into(), refusals_final, codes, descriptors)
    }

    /// A participant that is called by HTTP, wherever it is found.
    pub fn found_http(
        endpoints: Endpoints,
        refusals_final: bool,
        codes: Codes,
        signing: Vec<SecretReference>,
    ) -> Result<Self, InvalidRegistration> {
        let registration = Self::found(endpoints, refusals_final, codes, None)?.signed(signing)?;
        Ok(Self { protocol: Protocol::Http, ..registration })
    }

    /// The same, whose requests are signed with these secrets.
    pub fn signed(self, signing: Vec<SecretReference>) -> Result<Self, InvalidRegistration> {
        if signing.len() > SIGNING_MAX {
            return Err(InvalidRegistration::TooManySecrets(signing.len()));
        }
        Ok(Self { signing, ..self })
    }

    /// The same, protected otherwise.
    #[must_use]
    pub fn with_limits(self, limits: Limits, limits_change: Option<LimitsChange>) -> Self {
        Self { limits, limits_change, ..self }
    }

    /// The same, with TLS of its own.
    pub fn with_tls(self, tls: TlsSettings) -> Result<Self, InvalidRegistration> {
        let is_set = tls != TlsSettings::default();
        if is_set && !self.endpoints.iter().any(Endpoint::is_tls) {
            return Err(InvalidRegistration::TlsWithoutHttps);
        }
        let paths = tls.ca_file.iter().chain(tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]));
        if let Some(relative) = paths.into_iter().find(|path| !path.is_absolute()) {
            return Err(InvalidRegistration::RelativePath(relative.clone()));
        }
        if let Some(name) = tls.server_name.as_ref().filter(|name| ServerName::try_from(name.as_str()).is_err()) {
            return Err(InvalidRegistration::ServerName(name.chars().take(200).collect()));
        }
        Ok(Self { tls, ..self })
    }

    /// A participant that is called by gRPC, wherever it is found. Checks the invariant of this module.
    pub fn found(
        endpoints: Endpoints,
        refusals_final: bool,
        codes: Codes,
        descriptors: Option<Bytes>,
    ) -> Result<Self, InvalidRegistration> {
        let Endpoints { fixed: endpoints, discovery } = endpoints;
        check_endpoints(&endpoints, &discovery)?;
        if let Some(descriptors) = &descriptors {
            check_descriptors(descriptors).map_err(InvalidRegistration::Descriptors)?;
        }
        Ok(Self {
            protocol: Protocol::Grpc,
            endpoints,
            discovery,
            refusals_final,
            codes,
            descriptors,
            signing: Vec::new(),
            tls: TlsSettings::default(),
            limits: Limits::default(),
            limits_change: None,
        })
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
            tls: tls_record(&self.tls),
            limits: self.limits_change.as_ref().map(|change| LimitsRecord::new(&self.limits, change)),
            sources: self.discovery.sources.iter().map(Source::to_string).collect(),
            self_registration: self.discovery.self_registration,
            balancing: balancing_number(self.discovery.balancing),
            weights: self.discovery.weights.clone(),
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
        if record.endpoints.is_empty() && record.sources.is_empty() && !record.self_registration {
            return Err(UnreadableRegistration::NoEndpoint);
        }
        let discovery = record.discovery()?;
        let endpoints = record.endpoints.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let mapping = |(code, meaning)| {
            let known = AnyCode::from_number(code, protocol).zip(meaning_of(meaning));
            known.ok_or(UnreadableRegistration::Mapping { code, meaning })
        };
        let codes = record.codes.into_iter().map(mapping).collect::<Result<_, _>>()?;
        let signing = record.signing.iter().map(|text| SecretReference::parse(text)).collect::<Result<_, _>>()?;
        let (refusals_final, descriptors) = (record.refusals_final, record.descriptors);
        let tls = record.tls.map(tls_settings).unwrap_or_default();
        let (limits, limits_change) = record.limits.map(LimitsRecord::read).unwrap_or_default();
        Ok(Self {
            protocol,
            endpoints,
            discovery,
            refusals_final,
            codes,
            descriptors,
            signing,
            tls,
            limits,
            limits_change,
        })
    }
}

fn check_endpoints(endpoints: &[Endpoint], discovery: &Discovery) -> Result<(), InvalidRegistration> {
    let Discovery { sources, self_registration, weights, .. } = discovery;
    if endpoints.is_empty() && sources.is_empty() && !self_registration {
        return Err(InvalidRegistration::NoEndpoint);
    }
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(InvalidRegistration::TooManyEndpoints(endpoints.len()));
    }
    if sources.len() > SOURCES_MAX {
        return Err(InvalidRegistration::TooManySources(sources.len()));
    }
    if let Some(twice) = twice(endpoints) {
        return Err(InvalidRegistration::EndpointTwice(twice.clone()));
    }
    if let Some(twice) = twice(sources) {
        return Err(InvalidRegistration::SourceTwice(twice.clone()));
    }
    let is_good = |(text, weight): &(&String, &u32)| {
        (1..=WEIGHT_MAX).contains(*weight) && endpoints.iter().any(|endpoint| endpoint.as_str() == text.as_str())
    };
    match weights.iter().find(|weight| !is_good(weight)) {
        Some((text, weight)) => Err(InvalidRegistration::Weight { given: format!("{text}={weight}") }),
        None => Ok(()),
    }
}

fn twice<T: Ord>(all: &[T]) -> Option<&T> {
    let mut sorted: Vec<&T> = all.iter().collect();
    sorted.sort();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
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
    #[prost(string, repeated, tag = "6")]
    signing: Vec<String>,
    #[prost(string, repeated, tag = "20")]
    sources: Vec<String>,
    #[prost(bool, tag = "21")]
    self_registration: bool,
    #[prost(uint32, tag = "22")]
    balancing: u32,
    #[prost(btree_map = "string, uint32", tag = "23")]
    weights: BTreeMap<String, u32>,
    /// Only where somebody has changed them.
    #[prost(message, optional, tag = "30")]
    limits: Option<LimitsRecord>,
    #[prost(message, optional, tag = "40")]
    tls: Option<TlsRecord>,
}

/// Empty texts where nothing is set.
#[derive(Clone, PartialEq, Eq, Message)]
struct TlsRecord {
    #[prost(string, tag = "1")]
    ca_file: String,
    #[prost(string, tag = "2")]
    certificate_file: String,
    #[prost(string, tag = "3")]
    key_file: String,
    #[prost(string, tag = "4")]
    server_name: String,
}

fn tls_record(tls: &TlsSettings) -> Option<TlsRecord> {
    let text = |path: Option<&PathBuf>| path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let (certificate, key) = tls.identity.as_ref().map(|(certificate, key)| (certificate, key)).unzip();
    (*tls != TlsSettings::default()).then(|| TlsRecord {
        ca_file: text(tls.ca_file.as_ref()),
        certificate_file: text(certificate),
        key_file: text(key),
        server_name: tls.server_name.clone().unwrap_or_default(),
    })
}

fn tls_settings(record: TlsRecord) -> TlsSettings {
    let TlsRecord { ca_file, certificate_file, key_file, server_name } = record;
    let path = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
    TlsSettings {
        ca_file: path(ca_file),
        identity: path(certificate_file).zip(path(key_file)),
        server_name: (!server_name.is_empty()).then_some(server_name),
    }
}

impl Record {
    fn discovery(&self) -> Result<Discovery, UnreadableRegistration> {
        let unreadable = |text: &String, error| UnreadableRegistration::Source(text.clone(), error);
        let source = |text: &String| match Source::parse(text) {
            Some(source) => source.map_err(|error| unreadable(text, Some(error))),
            None => Err(unreadable(text, None)),
        };
        Ok(Discovery {
            sources: self.sources.iter().map(source).collect::<Result<_, _>>()?,
            self_registration: self.self_registration,
            balancing: balancing_of(self.balancing).ok_or(UnreadableRegistration::Balancing(self.balancing))?,
            weights: self.weights.clone(),
        })
    }
}

fn balancing_number(balancing: Balancing) -> u32 {
    match balancing {
        Balancing::LeastRequest => 0,
        Balancing::RoundRobin => 1,
        Balancing::Weighted => 2,
        Balancing::SagaHash => 3,
    }
}

fn balancing_of(number: u32) -> Option<Balancing> {
    match number {
        0 => Some(Balancing::LeastRequest),
        1 => Some(Balancing::RoundRobin),
        2 => Some(Balancing::Weighted),
        3 => Some(Balancing::SagaHash),
        _ => None,
    }
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
