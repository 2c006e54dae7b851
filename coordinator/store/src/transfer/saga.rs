//! All that a store keeps of one saga, in a form that every backend reads and writes.
//!
//! Never decoded: a state that can't be read is moved as it is. Invariants: two records are equal exactly when all their parts
//! are, and each part has one sequence of bytes, so that equal stores have equal digests.

use amends_engine::ids::{DefinitionName, ParticipantName, SagaKey, Version};
use amends_engine::payload::{Digest, Encoding, Payload, PayloadKey};
use amends_engine::time::Timestamp;
use bytes::Bytes;

use crate::contract::{IndexRow, OpId};

/// One of a saga's last commits, by which a repeat of it is recognised: its op id and half of its digest, which is plenty
/// beside a random id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The commit's op id.
    pub op: OpId,
    /// The first half of [`crate::Commit::digest`].
    pub digest: [u8; 16],
}

impl Remembered {
    /// How many bytes one has.
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn new(op: OpId, digest: &Digest) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&digest.0[..16]);
        Self { op, digest: half }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.op.0.to_be_bytes());
        bytes[16..].copy_from_slice(&self.digest);
        bytes
    }

    /// `None` for another number of bytes.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (op, digest) = bytes.split_first_chunk::<16>()?;
        Some(Self { op: OpId(u128::from_be_bytes(*op)), digest: digest.try_into().ok()? })
    }
}

/// An [`IndexRow`] as it is stored, with words that no program may know any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRecord {
    /// The status word.
    pub status: String,
    /// Why it is stuck.
    pub stuck: Option<String>,
    /// The definition's name.
    pub definition: DefinitionName,
    /// The definition's version.
    pub version: Version,
    /// Labels, sorted, each once.
    pub labels: Vec<(String, String)>,
    /// When it was started.
    pub started_at: Timestamp,
    /// Whether it is unfinished.
    pub open: bool,
    /// At which participant it is held up.
    pub held_up_at: Option<ParticipantName>,
    /// Whether somebody has acknowledged how it stands.
    pub acknowledged: bool,
}

impl From<&IndexRow> for IndexRecord {
    fn from(row: &IndexRow) -> Self {
        let mut labels = row.labels.clone();
        labels.sort();
        labels.dedup();
        Self {
            status: row.status.to_owned(),
            stuck: row.stuck.map(str::to_owned),
            definition: row.definition.clone(),
            version: row.version,
            labels,
            started_at: row.started_at,
            open: row.open,
            held_up_at: row.held_up_at.clone(),
            acknowledged: row.acknowledged,
        }
    }
}

/// All that is kept of one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaRecord {
    /// Which saga.
    pub key: SagaKey,
    /// Its revision, from 1.
    pub revision: u64,
    /// Its state as it was committed.
    pub state: Bytes,
    /// All its payloads, in the order of their keys.
    pub payloads: Vec<(PayloadKey, Payload)>,
    /// All its history, in the order of the sequence numbers.
    pub history: Vec<(u64, Bytes)>,
    /// Its last commits, the oldest first, at most [`crate::OPS_REMEMBERED`].
    pub remembered: Vec<Remembered>,
    /// When it must be looked at again.
    pub due: Option<Timestamp>,
    /// Its searchable side.
    pub index: IndexRecord,
    /// Until when it is kept once it is finished.
    pub retain_until: Option<Timestamp>,
}

/// What of a saga is counted and compared by itself, so that a difference has a name.
pub(super) const PARTS: [&str; 7] =
    ["sagas", "payloads", "history entries", "due times", "index rows", "retention", "remembered commits"];

impl SagaRecord {
    /// How many of each of [`PARTS`] there are, with their bytes.
    pub(super) fn parts(&self) -> [(u64, Vec<u8>); PARTS.len()] {
        let index = &self.index;
        let part = |count: usize, write: &dyn Fn(&mut Writer)| {
            let mut writer = Writer(Vec::new());
            writer.text(&self.key.to_string());
            write(&mut writer);
            (count as u64, writer.0)
        };
        [
            part(1, &|w| w.number(self.revision).bytes(&self.state).done()),
            part(self.payloads.len(), &|w| {
                for (key, Payload { encoding, bytes }) in &self.payloads {
                    w.text(&format!("{key:?}")).number(u64::from(*encoding == Encoding::Json)).bytes(bytes).done();
                }
            }),
            part(self.history.len(), &|w| {
                self.history.iter().for_each(|(sequence, entry)| w.number(*sequence).bytes(entry).done());
            }),
            part(usize::from(self.due.is_some()), &|w| w.time(self.due).done()),
            part(1, &|w| {
                w.text(&index.status).text(index.stuck.as_deref().unwrap_or("\0")).text(index.definition.as_str());
                w.number(index.version.0.into()).number(index.started_at.0).number(index.open.into());
                index.labels.iter().for_each(|(name, value)| w.text(name).text(value).done());
                w.text(index.held_up_at.as_ref().map_or("\0", ParticipantName::as_str))
                    .number(index.acknowledged.into());
            }),
            part(usize::from(self.retain_until.is_some()), &|w| w.time(self.retain_until).done()),
            part(self.remembered.len(), &|w| {
                self.remembered.iter().for_each(|commit| w.bytes(&commit.to_bytes()).done());
            }),
        ]
    }
}

/// Bytes in which no two values run together: each is preceded by its length.
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    fn time(&mut self, time: Option<Timestamp>) -> &mut Self {
        match time {
            Some(Timestamp(ms)) => self.number(ms),
            None => self.bytes(&[]),
        }
    }

    fn done(&mut self) {}
}
