//! How our values stand in SQLite columns, and how they are read back.
//!
//! Knows no table. Invariant: every number here is part of the file format and never changes within a schema version.

use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::{Digest, Encoding, PayloadKey};
use amends_engine::time::Timestamp;

use crate::contract::{Nonce, OPS_REMEMBERED, OpId};
use crate::transfer::Remembered;

/// SQLite's integers are signed: what is larger than they hold means "never" and stays the largest that they hold.
pub(super) fn from_u64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The inverse for every number that was stored; a negative one can only be damage.
pub(super) fn to_u64(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

pub(super) fn from_time(time: Timestamp) -> i64 {
    from_u64(time.0)
}

pub(super) fn to_time(column: i64) -> Timestamp {
    Timestamp(to_u64(column))
}

pub(super) fn from_nonce(nonce: Nonce) -> [u8; 16] {
    nonce.0.to_be_bytes()
}

/// `None` for anything but 16 bytes.
pub(super) fn to_nonce(column: &[u8]) -> Option<Nonce> {
    column.try_into().ok().map(u128::from_be_bytes).map(Nonce)
}

/// How many rows to ask for.
pub(super) fn from_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn from_encoding(encoding: Encoding) -> i64 {
    match encoding {
        Encoding::Json => 1,
        Encoding::Protobuf => 2,
    }
}

pub(super) fn to_encoding(column: i64) -> Option<Encoding> {
    match column {
        1 => Some(Encoding::Json),
        2 => Some(Encoding::Protobuf),
        _ => None,
    }
}

/// The kinds of payload keys, in the upper bits of a slot.
const INPUT: i64 = 0;
const REQUEST: i64 = 1;
const OUTPUT: i64 = 2;

/// A payload key as one integer that sorts like the keys: kind, step (16 bits), operation (2 bits).
pub(super) fn to_slot(key: PayloadKey) -> i64 {
    let slot = |kind: i64, step: StepIndex, operation: Operation| {
        kind << 18 | i64::from(step.0) << 2 | from_operation(operation)
    };
    match key {
        PayloadKey::Input => INPUT,
        PayloadKey::Request(step, operation) => slot(REQUEST, step, operation),
        PayloadKey::Output(step, operation) => slot(OUTPUT, step, operation),
    }
}

/// `None` for a number that is no slot.
pub(super) fn from_slot(slot: i64) -> Option<PayloadKey> {
    if slot == INPUT {
        return Some(PayloadKey::Input);
    }
    let step = StepIndex(u16::try_from(slot >> 2 & 0xffff).ok()?);
    let operation = match slot & 3 {
        0 => Operation::Action,
        1 => Operation::Compensate,
        2 => Operation::Confirm,
        _ => Operation::Query,
    };
    match slot >> 18 {
        REQUEST => Some(PayloadKey::Request(step, operation)),
        OUTPUT => Some(PayloadKey::Output(step, operation)),
        _ => None,
    }
}

fn from_operation(operation: Operation) -> i64 {
    match operation {
        Operation::Action => 0,
        Operation::Compensate => 1,
        Operation::Confirm => 2,
        Operation::Query => 3,
    }
}

/// Bytes of one remembered commit.
const OP: usize = Remembered::BYTES;

/// Whether the commit is among those remembered in this column.
pub(super) fn ops_contain(column: &[u8], op: OpId, digest: &Digest) -> bool {
    let bytes = Remembered::new(op, digest).to_bytes();
    column.chunks(OP).any(|remembered| remembered == bytes)
}

/// The column with this commit in front and the oldest one dropped.
pub(super) fn ops_with(column: &[u8], op: OpId, digest: &Digest) -> Vec<u8> {
    let kept = &column[..column.len().min(OP * (OPS_REMEMBERED - 1))];
    [Remembered::new(op, digest).to_bytes().as_slice(), kept].concat()
}

/// The column for these commits, of which the oldest comes first.
pub(super) fn from_remembered(commits: &[Remembered]) -> Vec<u8> {
    commits.iter().rev().flat_map(|commit| commit.to_bytes()).collect()
}

/// The commits of a column, the oldest first; `None` where it holds something else.
pub(super) fn to_remembered(column: &[u8]) -> Option<Vec<Remembered>> {
    column.chunks(OP).rev().map(Remembered::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_and_sort_like_their_keys() {
        let operations = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
        let steps = [0, 1, 255, u16::MAX].map(StepIndex);
        let pairs = || steps.into_iter().flat_map(|step| operations.map(|operation| (step, operation)));
        let mut keys = vec![PayloadKey::Input];
        keys.extend(pairs().map(|(step, operation)| PayloadKey::Request(step, operation)));
        keys.extend(pairs().map(|(step, operation)| PayloadKey::Output(step, operation)));
        let slots: Vec<i64> = keys.iter().map(|key| to_slot(*key)).collect();
        assert!(slots.is_sorted_by(|a, b| a < b), "{slots:?}");
        assert_eq!(slots.iter().filter_map(|slot| from_slot(*slot)).collect::<Vec<_>>(), keys);
        assert_eq!(from_slot(3 << 18), None);
        assert_eq!(from_slot(-1), None);
    }

    #[test]
    fn the_last_commits_are_remembered_and_no_more() {
        let digest = Digest::of(b"state");
        let column = (0..6).fold(Vec::new(), |column, op| ops_with(&column, OpId(op), &digest));
        let remembered: Vec<u128> = (0..6).filter(|op| ops_contain(&column, OpId(*op), &digest)).collect();
        assert_eq!(remembered, [2, 3, 4, 5]);
        assert!(!ops_contain(&column, OpId(5), &Digest::of(b"other")));
        let commits = to_remembered(&column).unwrap();
        assert_eq!(commits.iter().map(|commit| commit.op.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(from_remembered(&commits), column);
        assert_eq!(to_remembered(&column[1..]), None);
    }

    #[test]
    fn numbers_that_are_too_large_stay_the_largest() {
        assert_eq!(from_u64(u64::MAX), i64::MAX);
        assert_eq!(to_u64(from_u64(7)), 7);
    }
}
