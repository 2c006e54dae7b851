//! What is known about a participant, and its stored form: the body of a store's `ParticipantRecord`.
//!
//! The stored form is protobuf with a format number. A newer format than this program knows is refused, never guessed at;
//! unknown fields of a known format are ignored. Invariant: a [`Registration`] has between one and [`ENDPOINTS_MAX`] different
//! addresses, and its descriptors, where there are any, could be read when it was made.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool};

use super::code::Code;
use super::endpoint::{Endpoint, InvalidEndpoint};
use super::outcome::Meaning;

/// Most addresses of one participant.
pub const ENDPOINTS_MAX: usize = 64;

/// The format that is written.
const FORMAT: u32 = 1;

/// What status codes mean where it differs from the usual.
pub type Codes = BTreeMap<Code, Meaning>;

/// A participant as it was registered. Made by [`Registration::new`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// Where it answers gRPC.
    pub endpoints: Vec<Endpoint>,
    /// It promises that a refusal is final: every other copy of the key, earlier or later, is refused too (semantics A2).
    pub refusals_final: bool,
    /// What its status codes mean; an operation of a definition may say otherwise.
    pub codes: Codes,
    /// `google.protobuf.FileDescriptorSet` of its services with all imports; without one its reflection is asked.
    pub descriptors: Option<Bytes>,
}

/// A registration that can't be accepted.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRegistration {
    /// Not even one address.
    #[error("endpoints: a participant needs at least one address, http://host:port")]
    NoEndpoint,
    /// Over [`ENDPOINTS_MAX`].
    #[error("endpoints: {0} addresses; at most {ENDPOINTS_MAX} are allowed")]
    TooManyEndpoints(usize),
    /// One address twice.
    #[error("endpoints: {0} is there twice")]
    EndpointTwice(Endpoint),
    /// The descriptor set can't be read, or lacks an import.
    #[error(
        "descriptor_set: it can't be used; make it with `protoc --include_imports --descriptor_set_out` and without editions"
    )]
    Descriptors(#[source] DescriptorError),
}

/// A stored registration that this program can't read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRegistration {
    /// Not protobuf, or damaged.
    #[error("the record isn't a participant's registration")]
    Damaged(#[from] prost::DecodeError),
    /// Written by a newer program.
    #[error("the record has format {0}; this program reads formats up to {FORMAT}: use a newer one")]
    Format(u32),
    /// It has no address, or one that can't be read.
    #[error("the record's address can't be read")]
    Endpoint(#[from] InvalidEndpoint),
    /// It has no address at all.
    #[error("the record has no address")]
    NoEndpoint,
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
    /// Checks the invariant of this module.
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
            DescriptorPool::decode(descriptors.clone()).map_err(InvalidRegistration::Descriptors)?;
        }
        Ok(Self { endpoints, refusals_final, codes, descriptors })
    }

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let record = Record {
            format: FORMAT,
            endpoints: self.endpoints.iter().map(Endpoint::to_string).collect(),
            refusals_final: self.refusals_final,
            codes: self.codes.iter().map(|(code, meaning)| (code.number(), meaning_number(*meaning))).collect(),
            descriptors: self.descriptors.clone(),
        };
        record.encode_to_vec().into()
    }

    /// Reads the stored form. The descriptors were checked when they came in and aren't parsed again, so that a stricter
    /// parser in a later version can't make a participant vanish.
    pub fn decode(body: Bytes) -> Result<Self, UnreadableRegistration> {
        let record = Record::decode(body)?;
        if record.format != FORMAT {
            return Err(UnreadableRegistration::Format(record.format));
        }
        if record.endpoints.is_empty() {
            return Err(UnreadableRegistration::NoEndpoint);
        }
        let endpoints = record.endpoints.iter().map(|text| Endpoint::parse(text)).collect::<Result<_, _>>()?;
        let mapping = |(code, meaning)| {
            let known = Code::from_number(code).zip(meaning_of(meaning));
            known.ok_or(UnreadableRegistration::Mapping { code, meaning })
        };
        let codes = record.codes.into_iter().map(mapping).collect::<Result<_, _>>()?;
        Ok(Self { endpoints, refusals_final: record.refusals_final, codes, descriptors: record.descriptors })
    }
}

/// Format 1.
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
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    fn registration() -> Registration {
        let codes = [
            (Code::Aborted, Meaning::Rejected),
            (Code::FailedPrecondition, Meaning::Pending),
            (Code::AlreadyExists, Meaning::Succeeded),
            (Code::NotFound, Meaning::Unknown),
        ];
        let descriptors = Bytes::new();
        Registration::new(vec![endpoint("http://a:1"), endpoint("http://b:2")], true, codes.into(), Some(descriptors))
            .unwrap()
    }

    #[test]
    fn the_stored_form_is_read_back() {
        assert_eq!(Registration::decode(registration().encode()).unwrap(), registration());
        let small = Registration::new(vec![endpoint("http://a:1")], false, Codes::new(), None).unwrap();
        assert_eq!(Registration::decode(small.encode()).unwrap(), small);
    }

    /// As released: must be readable, and be what is written, for as long as format 1 is.
    #[test]
    fn format_1_stays_what_it_was() {
        let golden = b"\x08\x01\x12\x0ahttp://a:1\x12\x0ahttp://b:2\x18\x01\
            \x22\x04\x08\x05\x10\x04\x22\x04\x08\x06\x10\x01\x22\x04\x08\x09\x10\x03\x22\x04\x08\x0a\x10\x02\x2a\x00";
        assert_eq!(registration().encode().as_ref(), golden);
        assert_eq!(Registration::decode(Bytes::from_static(golden)).unwrap(), registration());
    }

    #[test]
    fn what_cant_be_read_is_refused_and_says_why() {
        let read = |record: Record| Registration::decode(record.encode_to_vec().into()).unwrap_err().to_string();
        let good = Record { format: 1, endpoints: vec!["http://a:1".to_owned()], ..Record::default() };
        assert!(read(Record { format: 2, ..good.clone() }).contains("format 2"));
        assert!(read(Record { endpoints: vec![], ..good.clone() }).contains("no address"));
        assert!(read(Record { endpoints: vec!["a".to_owned()], ..good.clone() }).contains("address can't be read"));
        assert!(read(Record { codes: [(0, 1)].into(), ..good.clone() }).contains("maps code 0"));
        assert!(read(Record { codes: [(1, 9)].into(), ..good }).contains("meaning 9"));
        assert!(Registration::decode(Bytes::from_static(b"\xff\xff")).is_err());
        assert!(matches!(Registration::decode(Bytes::new()), Err(UnreadableRegistration::Format(0))));
    }

    #[test]
    fn a_registration_is_checked() {
        let new = |endpoints: Vec<Endpoint>| Registration::new(endpoints, false, Codes::new(), None);
        assert!(matches!(new(vec![]), Err(InvalidRegistration::NoEndpoint)));
        let many = (1..=65).map(|port| endpoint(&format!("http://a:{port}"))).collect();
        assert!(matches!(new(many), Err(InvalidRegistration::TooManyEndpoints(65))));
        let twice = vec![endpoint("http://a:1"), endpoint("http://b:1"), endpoint("http://A:1/")];
        assert_eq!(new(twice).unwrap_err().to_string(), "endpoints: http://a:1 is there twice");
        let bad =
            Registration::new(vec![endpoint("http://a:1")], false, Codes::new(), Some(Bytes::from_static(b"\xff")));
        assert!(bad.unwrap_err().to_string().starts_with("descriptor_set:"));
    }
}
