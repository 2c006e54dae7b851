//! An entry of the audit log, and its bytes: the message `amends.v1.AuditRecord`, which anybody can read.
//!
//! Pure. Texts that are too long are cut when an entry is made, and never again. Invariant: field numbers and meanings never
//! change; fields are only added (a test of the server holds this message to the published one).

use amends_engine::time::Timestamp;
use amends_store::ShardId;
use bytes::Bytes;
use prost::Message;

use super::Call;

/// Longest name: a principal's, a method's, a tenant's, a node's, a batch's.
const NAME_BYTES_MAX: usize = 128;
/// Longest target.
const TARGET_BYTES_MAX: usize = 256;
/// Longest reason, and longest message.
const TEXT_BYTES_MAX: usize = 1024;
/// Longest request.
const REQUEST_BYTES_MAX: usize = 4096;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It was refused and nothing was changed.
    Refused,
    /// Whether it was done isn't known.
    Unknown,
}

impl AuditResult {
    fn tag(self) -> i32 {
        match self {
            Self::Done => 1,
            Self::Refused => 2,
            Self::Unknown => 3,
        }
    }

    fn of_tag(tag: i32) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Unknown].into_iter().find(|result| result.tag() == tag)
    }
}

/// What somebody called, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The call.
    pub call: Call,
    /// When it was carried out or refused.
    pub at: Timestamp,
    /// What became of it.
    pub result: AuditResult,
    /// Why it was refused; else what changed, in words.
    pub message: String,
    /// The saga's revision after it; 0: it changed no saga.
    pub revision: u64,
    /// The node that carried it out.
    pub node: String,
}

/// A note in its place in a shard's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The shard.
    pub shard: ShardId,
    /// Counts from 1 in its shard.
    pub number: u64,
    /// What it says.
    pub note: Note,
    /// How many attempts before it have no entry because there were too many.
    pub left_out: u64,
}

/// Bytes that are no entry.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableEntry {
    /// They are no such message.
    #[error("the entry can't be decoded")]
    Malformed(#[from] prost::DecodeError),
    /// A field has a value that this version doesn't know.
    #[error("the entry has an unknown {0}: was it written by a newer version?")]
    Unknown(&'static str),
}

/// As published in audit.proto.
#[derive(Clone, PartialEq, Eq, Message)]
struct Record {
    /// From 1.
    #[prost(uint32, tag = "1")]
    shard: u32,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(uint64, tag = "3")]
    time_ms: u64,
    #[prost(string, tag = "4")]
    principal: String,
    #[prost(string, tag = "5")]
    method: String,
    #[prost(string, tag = "6")]
    namespace: String,
    #[prost(string, tag = "7")]
    target: String,
    #[prost(string, tag = "8")]
    reason: String,
    #[prost(int32, tag = "9")]
    result: i32,
    #[prost(string, tag = "10")]
    message: String,
    #[prost(string, tag = "11")]
    request: String,
    #[prost(uint64, tag = "12")]
    revision: u64,
    #[prost(string, tag = "13")]
    batch: String,
    #[prost(string, tag = "14")]
    node: String,
    #[prost(uint64, tag = "15")]
    left_out: u64,
    #[prost(bytes = "bytes", tag = "16")]
    call: Bytes,
}

impl Note {
    /// The same with texts that are no longer than an entry may hold.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let call = &mut self.call;
        for name in [&mut call.principal, &mut call.method, &mut call.namespace, &mut call.batch, &mut self.node] {
            shorten(name, NAME_BYTES_MAX);
        }
        shorten(&mut call.target, TARGET_BYTES_MAX);
        shorten(&mut call.reason, TEXT_BYTES_MAX);
        shorten(&mut self.message, TEXT_BYTES_MAX);
        if call.request.len() > REQUEST_BYTES_MAX {
            // Half of it would be no JSON.
            call.request = format!("{{\"left_out\":\"it has {} bytes\"}}", call.request.len());
        }
        self
    }
}

fn shorten(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max - '…'.len_utf8()));
        text.push('…');
    }
}

impl Entry {
    /// Its record: what is chained.
    pub fn encode(&self) -> Bytes {
        let Note { call, at, result, message, revision, node } = &self.note;
        let record = Record {
            shard: u32::from(self.shard.0) + 1,
            number: self.number,
            time_ms: at.0,
            principal: call.principal.clone(),
            method: call.method.clone(),
            namespace: call.namespace.clone(),
            target: call.target.clone(),
            reason: call.reason.clone(),
            result: result.tag(),
            message: message.clone(),
            request: call.request.clone(),
            revision: *revision,
            batch: call.batch.clone(),
            node: node.clone(),
            left_out: self.left_out,
            call: call.id.to_be_bytes().to_vec().into(),
        };
        record.encode_to_vec().into()
    }

    /// The entry of a record.
    pub fn decode(record: &[u8]) -> Result<Self, UnreadableEntry> {
        let record = Record::decode(record)?;
        let shard = record.shard.checked_sub(1).and_then(|shard| u16::try_from(shard).ok());
        let id = <[u8; 16]>::try_from(&record.call[..]).map_err(|_| UnreadableEntry::Unknown("call"))?;
        let call = Call {
            id: u128::from_be_bytes(id),
            principal: record.principal,
            method: record.method,
            namespace: record.namespace,
            target: record.target,
            reason: record.reason,
            request: record.request,
            batch: record.batch,
        };
        let note = Note {
            call,
            at: Timestamp(record.time_ms),
            result: AuditResult::of_tag(record.result).ok_or(UnreadableEntry::Unknown("result"))?,
            message: record.message,
            revision: record.revision,
            node: record.node,
        };
        let shard = ShardId(shard.ok_or(UnreadableEntry::Unknown("shard"))?);
        Ok(Self { shard, number: record.number, note, left_out: record.left_out })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let text = || any::<String>();
        let call = (any::<u128>(), text(), text(), text(), text(), text(), text(), text()).prop_map(
            |(id, principal, method, namespace, target, reason, request, batch)| Call {
                id,
                principal,
                method,
                namespace,
                target,
                reason,
                request,
                batch,
            },
        );
        let result = prop_oneof![Just(AuditResult::Done), Just(AuditResult::Refused), Just(AuditResult::Unknown)];
        let note = (call, any::<u64>(), result, text(), any::<u64>(), text()).prop_map(
            |(call, at, result, message, revision, node)| Note {
                call,
                at: Timestamp(at),
                result,
                message,
                revision,
                node,
            },
        );
        (any::<u16>(), any::<u64>(), note, any::<u64>()).prop_map(|(shard, number, note, left_out)| Entry {
            shard: ShardId(shard),
            number,
            note,
            left_out,
        })
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was_written(entry in entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()).unwrap(), entry);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
        }

        #[test]
        fn what_is_cut_fits_and_stays_cut(text in ".{0,6000}") {
            let call = Call {
                principal: text.clone(), target: text.clone(), reason: text.clone(), request: text.clone(),
                ..Call::default()
            };
            let result = AuditResult::Refused;
            let note = Note {
                call, at: Timestamp(0), result, message: text.clone(), revision: 0, node: text.clone(),
            };
            let cut = note.cut();
            prop_assert!(cut.call.principal.len() <= 128 && cut.node.len() <= 128 && cut.call.target.len() <= 256);
            prop_assert!(cut.call.reason.len() <= 1024 && cut.message.len() <= 1024);
            prop_assert!(cut.call.request.len() <= 4096);
            prop_assert_eq!(cut.clone().cut(), cut);
        }
    }
}
