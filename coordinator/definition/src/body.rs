//! What a registered definition version is stored as: the text and the pinned descriptors.
//!
//! It holds all that compiling needs, so that a version means the same for ever, whatever its participants do later. The
//! name of the file isn't in it: the same text is the same version wherever it lay. Invariant: equal content has equal
//! bytes (descriptors are pruned and sorted), since the store knows a version again by its digest.

use std::collections::BTreeMap;

use amends_engine::ids::{ParticipantName, Version};
use bytes::Bytes;
use prost::Message as _;

use crate::compiled::Compiled;
use crate::descriptors::{DescriptorsError, prune};
use crate::document::{Document, Format};
use crate::finding::Finding;
use crate::read::parse;

/// The format of the stored bytes that this code writes.
const FORMAT_VERSION: u32 = 1;
/// What findings about a stored definition give as their file.
const FILE_NAME: &str = "definition";

/// A definition version as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// What the team wrote.
    pub source: String,
    /// How to read it.
    pub format: Format,
    /// Serialized file descriptor sets by participant, cut down to what is called.
    pub descriptors: BTreeMap<ParticipantName, Bytes>,
}

/// Stored bytes that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not a body at all.
    #[error("the stored definition is damaged")]
    Damaged(#[source] prost::DecodeError),
    /// Written by a newer version of Amends, or damaged.
    #[error("the stored definition has format {found}; this version of Amends reads {FORMAT_VERSION}")]
    UnknownFormat {
        /// The format that it says it has.
        found: u32,
    },
    /// A field has a value that is never written.
    #[error("the stored definition is damaged: {0}")]
    Invalid(String),
}

impl Body {
    /// Pins the descriptors that a document needs. `source` and `format` are what the document was read from.
    pub fn new(
        source: &str,
        format: Format,
        document: &Document,
        descriptors: &BTreeMap<ParticipantName, Bytes>,
    ) -> Result<Self, DescriptorsError> {
        let mut pruned = BTreeMap::new();
        for (participant, calls) in document.calls() {
            if let Some(set) = descriptors.get(&participant) {
                pruned.insert(participant, prune(set, &calls)?);
            }
        }
        Ok(Self { source: source.to_owned(), format, descriptors: pruned })
    }

    /// The bytes to store.
    pub fn encode(&self) -> Bytes {
        let descriptors = self
            .descriptors
            .iter()
            .map(|(participant, set)| StoredDescriptors { participant: participant.to_string(), set: set.clone() });
        let format = match self.format {
            Format::Yaml => StoredFormat::Yaml,
            Format::Json => StoredFormat::Json,
        };
        StoredBody {
            format_version: FORMAT_VERSION,
            source: self.source.clone(),
            format: format.into(),
            descriptors: descriptors.collect(),
        }
        .encode_to_vec()
        .into()
    }

    /// Reads stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let stored = StoredBody::decode(bytes).map_err(BodyError::Damaged)?;
        if stored.format_version != FORMAT_VERSION {
            return Err(BodyError::UnknownFormat { found: stored.format_version });
        }
        let format = match StoredFormat::try_from(stored.format) {
            Ok(StoredFormat::Yaml) => Format::Yaml,
            Ok(StoredFormat::Json) => Format::Json,
            Ok(StoredFormat::Unspecified) | Err(_) => {
                return Err(BodyError::Invalid("its text has no format".to_owned()));
            }
        };
        let mut descriptors = BTreeMap::new();
        for entry in stored.descriptors {
            let name =
                ParticipantName::parse(&entry.participant).map_err(|error| BodyError::Invalid(error.to_string()))?;
            descriptors.insert(name, entry.set);
        }
        Ok(Self { source: stored.source, format, descriptors })
    }

    /// Reads and compiles it. The lint judged it when it was registered.
    pub fn compile(&self, version: Version) -> Result<Compiled, Vec<Finding>> {
        let document = parse(&self.source, self.format, FILE_NAME)?;
        Compiled::reload(&document, version, &self.descriptors)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredBody {
    #[prost(uint32, tag = "1")]
    format_version: u32,
    #[prost(string, tag = "2")]
    source: String,
    #[prost(enumeration = "StoredFormat", tag = "3")]
    format: i32,
    /// Sorted by participant.
    #[prost(message, repeated, tag = "4")]
    descriptors: Vec<StoredDescriptors>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredDescriptors {
    #[prost(string, tag = "1")]
    participant: String,
    #[prost(bytes = "bytes", tag = "2")]
    set: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum StoredFormat {
    Unspecified = 0,
    Yaml = 1,
    Json = 2,
}
