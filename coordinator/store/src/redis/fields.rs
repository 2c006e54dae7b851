//! How our values stand in Redis: fields of a saga's hash, members of the indexes, and back.
//!
//! Knows no key and no command. Invariant: all that is written here is part of the format in `meta`, and never changes within it.

use amends_engine::ids::{Namespace, Operation, SagaId, SagaKey, StepIndex};
use amends_engine::payload::{Digest, Encoding, Payload, PayloadKey};
use amends_engine::time::Timestamp;
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::contract::{Commit, Nonce};
use crate::transfer::Remembered;

/// A time that sorts as text.
pub(super) fn from_time(time: Timestamp) -> String {
    format!("{:016x}", time.0)
}

pub(super) fn to_time(text: &str) -> Option<Timestamp> {
    u64::from_str_radix(text, 16).ok().map(Timestamp)
}

pub(super) fn from_nonce(nonce: Nonce) -> String {
    format!("{:032x}", nonce.0)
}

pub(super) fn to_nonce(text: &str) -> Option<Nonce> {
    u128::from_str_radix(text, 16).ok().map(Nonce)
}

/// What a commit is remembered by.
pub(super) fn op_of(commit: &Commit) -> [u8; Remembered::BYTES] {
    Remembered::new(commit.op, &commit.digest()).to_bytes()
}

/// The last commits of a saga, the oldest first; `None` where the bytes are something else.
pub(super) fn to_remembered(ops: &[u8]) -> Option<Vec<Remembered>> {
    ops.chunks(Remembered::BYTES).map(Remembered::read).collect()
}

/// By what sagas with this label are found: half a digest in hexadecimal, whatever the label holds.
pub(super) fn label((name, value): &(String, String)) -> String {
    // The length keeps ("a", "bc") and ("ab", "c") apart.
    let text = format!("{}:{name}{value}", name.len());
    Digest::of(text.as_bytes()).to_string()[..32].to_owned()
}

/// All labels of a saga, in one field.
pub(super) fn labels(labels: &[(String, String)]) -> String {
    labels.iter().map(label).collect::<Vec<_>>().join(",")
}

/// All labels of a saga as they are, in one field, for whoever copies the store.
pub(super) fn label_texts(labels: &[(String, String)]) -> String {
    let text = |text: &String| format!("{}:{text}", text.len());
    labels.iter().map(|(name, value)| text(name) + &text(value)).collect()
}

/// The inverse, sorted, each label once; `None` where it can't be read.
pub(super) fn to_label_texts(mut texts: &str) -> Option<Vec<(String, String)>> {
    let mut next = || {
        let (length, rest) = texts.split_once(':')?;
        let (text, rest) = rest.split_at_checked(length.parse().ok()?)?;
        texts = rest;
        Some((text.to_owned(), rest.is_empty()))
    };
    let mut labels = Vec::new();
    let mut ended = false;
    while !ended {
        let (name, _) = next()?;
        let (value, last) = next()?;
        labels.push((name, value));
        ended = last;
    }
    labels.sort();
    labels.dedup();
    Some(labels)
}

/// The field of a payload in its saga's hash.
pub(super) fn payload_field(key: PayloadKey) -> String {
    match key {
        PayloadKey::Input => "pi".to_owned(),
        PayloadKey::Request(step, operation) => format!("pr{}.{}", step.0, from_operation(operation)),
        PayloadKey::Output(step, operation) => format!("po{}.{}", step.0, from_operation(operation)),
    }
}

fn to_payload_key(field: &str) -> Option<PayloadKey> {
    if field == "pi" {
        return Some(PayloadKey::Input);
    }
    let (kind, place) = field.split_at_checked(2)?;
    let (step, operation) = place.split_once('.')?;
    let (step, operation) = (StepIndex(step.parse().ok()?), to_operation(operation)?);
    match kind {
        "pr" => Some(PayloadKey::Request(step, operation)),
        "po" => Some(PayloadKey::Output(step, operation)),
        _ => None,
    }
}

fn from_operation(operation: Operation) -> u8 {
    match operation {
        Operation::Action => 0,
        Operation::Compensate => 1,
        Operation::Confirm => 2,
        Operation::Query => 3,
    }
}

fn to_operation(text: &str) -> Option<Operation> {
    match text {
        "0" => Some(Operation::Action),
        "1" => Some(Operation::Compensate),
        "2" => Some(Operation::Confirm),
        "3" => Some(Operation::Query),
        _ => None,
    }
}

/// A payload as a field's value: one byte of encoding, then its bytes.
pub(super) fn from_payload(payload: &Payload) -> Bytes {
    let mut value = BytesMut::with_capacity(1 + payload.bytes.len());
    value.put_u8(match payload.encoding {
        Encoding::Json => b'j',
        Encoding::Protobuf => b'p',
    });
    value.put_slice(&payload.bytes);
    value.freeze()
}

/// A field of a saga's hash that isn't one of the fixed ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A payload.
    Payload(PayloadKey, Payload),
    /// A payload that can't be read.
    Damaged,
    /// A history entry.
    History(u64, Bytes),
    /// None of them.
    Other,
}

impl Field {
    /// What a field and its value are.
    pub(super) fn read(name: &str, value: Bytes) -> Self {
        match name.as_bytes().first() {
            Some(b'p') => to_payload(name, value).map_or(Self::Damaged, |(key, payload)| Self::Payload(key, payload)),
            Some(b'h') => name[1..].parse().map_or(Self::Other, |sequence| Self::History(sequence, value)),
            _ => Self::Other,
        }
    }
}

fn to_payload(name: &str, mut value: Bytes) -> Option<(PayloadKey, Payload)> {
    let key = to_payload_key(name)?;
    let encoding = match value.first()? {
        b'j' => Encoding::Json,
        b'p' => Encoding::Protobuf,
        _ => return None,
    };
    Some((key, Payload { encoding, bytes: value.split_off(1) }))
}

/// The field of a history entry in its saga's hash.
pub(super) fn history_field(sequence: u64) -> String {
    format!("h{sequence}")
}

/// A saga's key in the two parts that members end with.
pub(super) fn to_key(namespace: &str, id: &str) -> Option<SagaKey> {
    Some(SagaKey { namespace: Namespace::parse(namespace).ok()?, id: SagaId::parse(id).ok()? })
}

/// `<ns>,<id>`, as `due` has it.
pub(super) fn to_member(member: &str) -> Option<SagaKey> {
    let (namespace, id) = member.split_once(',')?;
    to_key(namespace, id)
}

/// `<time>,<ns>,<id>`, as `ended` has it.
pub(super) fn to_timed(member: &str) -> Option<(Timestamp, SagaKey)> {
    let (time, member) = member.split_once(',')?;
    Some((to_time(time)?, to_member(member)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let operations = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
        let steps = [StepIndex(0), StepIndex(7), StepIndex(u16::MAX)];
        let pairs = || steps.into_iter().flat_map(|step| operations.map(|operation| (step, operation)));
        let keys = std::iter::once(PayloadKey::Input)
            .chain(pairs().map(|(step, operation)| PayloadKey::Request(step, operation)))
            .chain(pairs().map(|(step, operation)| PayloadKey::Output(step, operation)));
        for key in keys {
            for payload in [Payload::json("{}"), Payload::protobuf(vec![0, 255]), Payload::json("")] {
                let read = Field::read(&payload_field(key), from_payload(&payload));
                assert_eq!(read, Field::Payload(key, payload));
            }
        }
        let entry = Bytes::from("entry");
        assert_eq!(Field::read(&history_field(u64::MAX), entry.clone()), Field::History(u64::MAX, entry.clone()));
        assert_eq!(Field::read("rev", entry.clone()), Field::Other);
        for damaged in ["p", "pi2", "pr1", "pr1.9", "px1.0"] {
            assert_eq!(Field::read(damaged, entry.clone()), Field::Damaged, "{damaged}");
        }
        assert_eq!(Field::read("pi", Bytes::new()), Field::Damaged);
    }

    #[test]
    fn times_sort_as_text() {
        let times = [0, 9, 10, 255, 256, 1_700_000_000_000, u64::MAX].map(Timestamp);
        let texts = times.map(from_time);
        assert!(texts.is_sorted());
        assert_eq!(texts.map(|text| to_time(&text)), times.map(Some));
    }

    #[test]
    fn labels_that_run_together_differ() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_ne!(label(&pair("a", "bc")), label(&pair("ab", "c")));
        assert_eq!(labels(&[pair("a", "b"), pair("c", "d")]).len(), 65);
        let odd = vec![pair("", ""), pair("a:1", "3:x"), pair("b", "ü")];
        assert_eq!(to_label_texts(&label_texts(&odd)), Some(odd));
        for damaged in ["", "1:a", "1:a2:b", "x", "1:a1:b1:c"] {
            assert_eq!(to_label_texts(damaged), None, "{damaged}");
        }
    }
}
