//! What records must never do: change a value on the way, guess, or panic.

use bytes::Bytes;
use proptest::prelude::*;

use super::arbitrary::{entry, node, state};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_state_comes_back_as_it_went_in(state in state()) {
        let bytes = encode_state(&state);
        prop_assert_eq!(decode_state(&bytes).expect("own bytes"), state);
    }

    #[test]
    fn what_is_written_by_hand_is_what_prost_would_write(state in state(), entry in entry(), node in any::<String>()) {
        let format = if state.acknowledgement.is_some() { ACKNOWLEDGED } else { FORMAT };
        prop_assert_eq!(encode_state(&state), seal_as(format, &state::StateRecord::from(&state)));
        let record = history::HistoryRecord::new(&entry, &node, Epoch(7), 9);
        prop_assert_eq!(encode_history(&entry, &node, Epoch(7), 9), seal(&record));
    }

    #[test]
    fn a_history_entry_comes_back_as_it_went_in(
        entry in entry(),
        node in any::<String>(),
        epoch in any::<u64>().prop_map(Epoch),
        revision in any::<u64>(),
    ) {
        let bytes = encode_history(&entry, &node, epoch, revision);
        let recorded = RecordedEntry { entry, node, epoch, revision };
        prop_assert_eq!(decode_history(&bytes).expect("own bytes"), recorded);
    }

    #[test]
    fn a_node_comes_back_as_it_went_in(node in node()) {
        let bytes = encode_node(&node);
        prop_assert_eq!(decode_node(&bytes, node.heard_at).expect("own bytes"), node);
    }

    #[test]
    fn a_truncated_record_is_an_error(state in state(), entry in entry(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_state(&state);
        prop_assert!(decode_state(&bytes[..cut.index(bytes.len())]).is_err());
        let bytes = encode_history(&entry, "node", Epoch(1), 1);
        prop_assert!(decode_history(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_flipped_bit_is_an_error(state in state(), entry in entry(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let flipped = flip(encode_state(&state), at, bit);
        prop_assert!(decode_state(&flipped).is_err());
        let flipped = flip(encode_history(&entry, "node", Epoch(1), 1), at, bit);
        prop_assert!(decode_history(&flipped).is_err());
    }

    /// Behind a right checksum as well: what a bug or an attacker could write.
    #[test]
    fn no_bytes_make_decoding_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_state(&bytes);
        let _ = decode_history(&bytes);
        let _ = decode_node(&bytes, Timestamp(0));
        let sum = checksum(FORMAT, &bytes);
        bytes.splice(0..0, [FORMAT].into_iter().chain(sum.to_le_bytes()));
        let _ = decode_state(&bytes);
        let _ = decode_history(&bytes);
        let _ = decode_node(&bytes, Timestamp(0));
    }

    /// Damage inside a message of the right shape, with a checksum that fits.
    #[test]
    fn a_resealed_flip_never_panics(state in state(), entry in entry(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let _ = decode_state(&reseal(flip(encode_state(&state), at, bit)));
        let _ = decode_history(&reseal(flip(encode_history(&entry, "node", Epoch(1), 1), at, bit)));
    }
}

fn flip(bytes: Bytes, at: prop::sample::Index, bit: i32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= 1 << bit;
    bytes
}

fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] = FORMAT;
    let sum = checksum(FORMAT, &bytes[HEADER..]);
    bytes[1..HEADER].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let mut bytes = encode_state(&fixtures::full_state()).to_vec();
    bytes[0] = ACKNOWLEDGED + 1;
    let error = decode_state(&bytes).expect_err("newer");
    assert!(matches!(error, RecordError::UnknownFormat { found, .. } if found == ACKNOWLEDGED + 1));
    let mut bytes = encode_history(&fixtures::full_entry(), "node", Epoch(1), 1).to_vec();
    bytes[0] = FORMAT + 1;
    let error = decode_history(&bytes).expect_err("newer");
    assert!(matches!(error, RecordError::UnknownFormat { found, newest: FORMAT } if found == FORMAT + 1));
}

#[test]
fn an_empty_record_is_refused() {
    assert!(matches!(decode_state(&[]), Err(RecordError::TooShort { length: 0 })));
}

/// What format 1 never had isn't read out of one either.
#[test]
fn an_acknowledgement_needs_the_newer_format() {
    let acknowledged = fixtures::acknowledged_state();
    let bytes = encode_state(&acknowledged);
    assert_eq!(bytes[0], ACKNOWLEDGED);
    let older = reseal(bytes.to_vec());
    let expected = SagaState { acknowledgement: None, ..acknowledged };
    assert_eq!(decode_state(&older).expect("format 1"), expected);
}

#[test]
fn a_history_record_is_no_state() {
    let bytes = encode_history(&fixtures::full_entry(), "node", Epoch(1), 1);
    assert!(matches!(decode_state(&bytes), Err(RecordError::Malformed(_))));
}
