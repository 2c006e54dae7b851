//! Stored records: how a saga's state, its history entries and nodes become bytes, and bytes become them again.
//!
//! A record is one format byte, a CRC-32 of everything else, and a protobuf message of that format. It never guesses: an
//! unknown format, tag or a single flipped bit is a [`RecordError`], and no bytes whatever make it panic.
//! Invariant: what format 1 wrote stays readable for ever (`fixtures/`). Any change of a message (a new field as well,
//! because older binaries would drop it in silence) is a new format number with a decoder beside the old ones.
//!
//! See `state.rs`, `history.rs` and `node.rs` for the messages, `tags.rs` for the numbers of the enums.

mod history;
mod node;
mod parts;
mod registry;
mod state;
mod step;
mod tags;
mod writer;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use amends_engine::history::HistoryEntry;
use amends_engine::ids::{InvalidName, Version};
use amends_engine::saga::SagaState;
use amends_engine::time::Timestamp;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use self::writer::Writer;
use crate::contract::{DefinitionRecord, Deprecation, Epoch, NodeRecord, ParticipantRecord};

/// The format of all records but those that need a newer one.
pub const FORMAT: u8 = 1;
/// The format of a state that somebody has acknowledged: older binaries, which would drop that in silence, don't read it.
pub const ACKNOWLEDGED: u8 = 2;

/// Format byte and checksum.
const HEADER: usize = 5;

/// A record that can't be read. No retry helps: the saga is parked, and a backup or a person has to.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not even a header.
    #[error("the record is cut short: {length} bytes")]
    TooShort {
        /// How many bytes there are.
        length: usize,
    },
    /// Written by a newer version, or no record at all.
    #[error("the record has format {found}; this version reads up to {newest}: was it written by a newer one?")]
    UnknownFormat {
        /// The format byte.
        found: u8,
        /// The newest that is read.
        newest: u8,
    },
    /// The checksum doesn't fit: bits were lost or changed.
    #[error("the record is damaged: its checksum doesn't fit")]
    Damaged,
    /// Not the message that was expected.
    #[error("the record can't be decoded")]
    Malformed(#[source] prost::DecodeError),
    /// A number that stands for nothing.
    #[error("the record has {what} {found}, which this version doesn't know")]
    UnknownTag {
        /// Which enum.
        what: &'static str,
        /// The number.
        found: u32,
    },
    /// A number that is too large for what it counts.
    #[error("the record's {what} is out of range: {found}")]
    OutOfRange {
        /// Which field.
        what: &'static str,
        /// The number.
        found: u32,
    },
    /// A part that must be there.
    #[error("the record lacks its {what}")]
    Missing {
        /// Which part.
        what: &'static str,
    },
    /// A digest that isn't 32 bytes.
    #[error("the record has a digest of {length} bytes instead of 32")]
    InvalidDigest {
        /// How long it is.
        length: usize,
    },
    /// A name that breaks the rule for names.
    #[error("the record has an invalid name")]
    InvalidName(#[from] InvalidName),
}

/// A state as it is stored.
pub fn encode_state(state: &SagaState) -> Bytes {
    let format = if state.acknowledgement.is_some() { ACKNOWLEDGED } else { FORMAT };
    Writer::record(format, state::LENGTH + state.steps.len() * step::LENGTH, |to| state::write(state, to))
}

/// The state in these bytes.
pub fn decode_state(bytes: &[u8]) -> Result<SagaState, RecordError> {
    let (format, record) = open_up_to::<state::StateRecord>(ACKNOWLEDGED, bytes)?;
    record.of_format(format).try_into()
}

/// A history entry with the commit that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEntry {
    /// What happened.
    pub entry: HistoryEntry,
    /// The node that applied it.
    pub node: String,
    /// Under which epoch.
    pub epoch: Epoch,
    /// The saga's revision after it; the entries of one commit share it.
    pub revision: u64,
}

/// A history entry as it is stored, with the node that applied it, under which epoch, and the revision that it led to.
pub fn encode_history(entry: &HistoryEntry, node: &str, epoch: Epoch, revision: u64) -> Bytes {
    Writer::record(FORMAT, history::LENGTH, |to| history::write(entry, (node, epoch, revision), to))
}

/// The history entry in these bytes.
pub fn decode_history(bytes: &[u8]) -> Result<RecordedEntry, RecordError> {
    open::<history::HistoryRecord>(bytes)?.try_into()
}

/// A node's record as it is stored, without when it was heard: the store keeps that beside it.
pub fn encode_node(node: &NodeRecord) -> Bytes {
    seal(&node::NodeMessage::from(node))
}

/// The node's record in these bytes, heard then.
pub fn decode_node(bytes: &[u8], heard_at: Timestamp) -> Result<NodeRecord, RecordError> {
    Ok(open::<node::NodeMessage>(bytes)?.heard(heard_at))
}

/// A definition's version as it is stored, without its number and its deprecation.
pub fn encode_definition(definition: &DefinitionRecord) -> Bytes {
    seal(&registry::DefinitionMessage::from(definition))
}

/// The definition in these bytes, as this version.
pub fn decode_definition(
    bytes: &[u8],
    version: Version,
    deprecated: Option<Deprecation>,
) -> Result<DefinitionRecord, RecordError> {
    open::<registry::DefinitionMessage>(bytes)?.of_version(version, deprecated)
}

/// A deprecation as it is stored.
pub fn encode_deprecation(deprecation: &Deprecation) -> Bytes {
    seal(&registry::DeprecationMessage::from(deprecation))
}

/// The deprecation in these bytes.
pub fn decode_deprecation(bytes: &[u8]) -> Result<Deprecation, RecordError> {
    Ok(open::<registry::DeprecationMessage>(bytes)?.into())
}

/// A participant as it is stored, without its revision.
pub fn encode_participant(participant: &ParticipantRecord) -> Bytes {
    seal(&registry::ParticipantMessage::from(participant))
}

/// The participant in these bytes, at this revision.
pub fn decode_participant(bytes: &[u8], revision: u64) -> Result<ParticipantRecord, RecordError> {
    open::<registry::ParticipantMessage>(bytes)?.at_revision(revision)
}

/// CRC-32 of the format byte and the message: finds every burst of up to 32 bits, so every single flipped one.
fn checksum(format: u8, message: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(message);
    hasher.finalize()
}

fn seal(message: &impl Message) -> Bytes {
    seal_as(FORMAT, message)
}

fn seal_as(format: u8, message: &impl Message) -> Bytes {
    let mut buffer = BytesMut::with_capacity(HEADER + message.encoded_len());
    buffer.put_u8(format);
    buffer.put_u32_le(0);
    message.encode(&mut buffer).expect("a BytesMut grows as far as it must");
    let sum = checksum(format, &buffer[HEADER..]);
    buffer[1..HEADER].copy_from_slice(&sum.to_le_bytes());
    buffer.freeze()
}

fn open<M: Message + Default>(bytes: &[u8]) -> Result<M, RecordError> {
    open_up_to(FORMAT, bytes).map(|(_, message)| message)
}

/// A record of any format up to `newest`, and which it is.
fn open_up_to<M: Message + Default>(newest: u8, bytes: &[u8]) -> Result<(u8, M), RecordError> {
    let Some((header, message)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(RecordError::TooShort { length: bytes.len() });
    };
    let [format, sum @ ..] = *header;
    // Before the checksum: a newer format may well have another kind of checksum.
    if !(FORMAT..=newest).contains(&format) {
        return Err(RecordError::UnknownFormat { found: format, newest });
    }
    if u32::from_le_bytes(sum) != checksum(format, message) {
        return Err(RecordError::Damaged);
    }
    Ok((format, M::decode(message).map_err(RecordError::Malformed)?))
}
