//! Redis answers as our values: for the few shapes that our commands and scripts answer with.
//!
//! Knows no command. Invariant: an answer of another shape is an error, never a default.

use bytes::Bytes;
use redis::{FromRedisValue, Value};

use super::failure::Failure;

/// An answer as a value of that type.
pub(super) fn read<T: FromRedisValue>(value: Value) -> Result<T, Failure> {
    T::from_redis_value(value).map_err(|_| Failure::Nonsense("an answer of another type"))
}

/// A number that a script answers, as an integer or written out.
pub(super) fn number(value: Value) -> Result<u64, Failure> {
    read(value)
}

/// Bytes, without a copy.
pub(super) fn bytes(value: Value) -> Result<Option<Bytes>, Failure> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        Value::Nil => Ok(None),
        _ => Err(Failure::Nonsense("an answer that is no bytes")),
    }
}

/// The parts of an answer.
pub(super) fn parts(value: Value) -> Result<std::vec::IntoIter<Value>, Failure> {
    match value {
        Value::Array(parts) => Ok(parts.into_iter()),
        _ => Err(Failure::Nonsense("an answer that is no list")),
    }
}

/// The next part, which must be there.
pub(super) fn next(parts: &mut impl Iterator<Item = Value>) -> Result<Value, Failure> {
    parts.next().ok_or(Failure::Nonsense("an answer that is too short"))
}
