//! Writes the protobuf messages that every commit writes, straight from the engine's values.
//!
//! prost writes from a struct that owns all it writes: for a state of three steps that is thirty allocations that live for a
//! microsecond. So what is written at each commit is written here, field by field, and read by prost (`state.rs`, `step.rs`,
//! `history.rs`). Invariant: the bytes are those that prost would write of the same message; a test compares them.

use amends_engine::payload::Digest;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::{HEADER, checksum};

/// A message in the making, behind the place of its record's header.
pub(super) struct Writer(BytesMut);

impl Writer {
    /// A record's bytes: the header, and what is written.
    pub(super) fn record(format: u8, capacity: usize, write: impl FnOnce(&mut Self)) -> Bytes {
        let mut buffer = BytesMut::with_capacity(HEADER + capacity);
        buffer.put_u8(format);
        buffer.put_u32_le(0);
        let mut writer = Self(buffer);
        write(&mut writer);
        let mut buffer = writer.0;
        let sum = checksum(format, &buffer[HEADER..]);
        buffer[1..HEADER].copy_from_slice(&sum.to_le_bytes());
        buffer.freeze()
    }

    /// A number, which isn't written where it is 0.
    pub(super) fn number(&mut self, tag: u32, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 {
            self.some_number(tag, Some(value));
        }
    }

    /// A number that may be there, 0 too.
    pub(super) fn some_number(&mut self, tag: u32, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            encode_key(tag, WireType::Varint, &mut self.0);
            encode_varint(value.into(), &mut self.0);
        }
    }

    /// A text, which isn't written where it is empty.
    pub(super) fn text(&mut self, tag: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(tag, text.as_bytes());
        }
    }

    /// A digest that may be there.
    pub(super) fn digest(&mut self, tag: u32, digest: Option<&Digest>) {
        if let Some(digest) = digest {
            self.bytes(tag, &digest.0);
        }
    }

    fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        encode_varint(bytes.len() as u64, &mut self.0);
        self.0.put_slice(bytes);
    }

    /// A message that prost knows, where it is there.
    pub(super) fn message(&mut self, tag: u32, message: Option<&impl Message>) {
        if let Some(message) = message {
            prost::encoding::message::encode(tag, message, &mut self.0);
        }
    }

    /// A message that is written here. Its length stands before it and is known after it: most are short enough for the one byte that
    /// is left for it.
    pub(super) fn nested(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        let place = self.0.len();
        self.0.put_u8(0);
        write(self);
        let (begin, end) = (place + 1, self.0.len());
        let length = (end - begin) as u64;
        let more = encoded_len_varint(length) - 1;
        if more > 0 {
            self.0.put_bytes(0, more);
            self.0.copy_within(begin..end, begin + more);
        }
        let mut head = &mut self.0[place..=place + more];
        encode_varint(length, &mut head);
    }
}
