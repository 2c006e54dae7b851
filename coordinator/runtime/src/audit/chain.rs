//! The chain: a log's body is the digest of the entry before it, followed by the record.
//!
//! Pure. So the SHA-256 of a body is the entry's own digest, the next one begins with it, and a log whose beginning was trimmed
//! is still checked from the first entry that is kept. Invariant: a digest depends on bytes alone, never on what they mean, so
//! that an entry that this version can't read doesn't break the chain.

use amends_engine::payload::Digest;
use bytes::Bytes;

/// What comes before the first entry.
pub const NONE: Digest = Digest([0; 32]);

/// The body that chains a record to the entry with this digest. Its own digest is [`Digest::of`] it.
pub fn chained(previous: Digest, record: &[u8]) -> Bytes {
    [&previous.0[..], record].concat().into()
}

/// The digest of the entry before, and the record; `None` where a body is too short to be one.
pub fn parts(body: &Bytes) -> Option<(Digest, Bytes)> {
    let previous: [u8; 32] = body.get(..32)?.try_into().ok()?;
    Some((Digest(previous), body.slice(32..)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers of the entries at which a chain breaks.
    fn broken(bodies: &[Bytes], before: Digest) -> Vec<usize> {
        let mut expected = before;
        let mut broken = Vec::new();
        for (number, body) in bodies.iter().enumerate() {
            if parts(body).is_none_or(|(previous, _)| previous != expected) {
                broken.push(number);
            }
            expected = Digest::of(body);
        }
        broken
    }

    fn chain(records: &[Vec<u8>]) -> Vec<Bytes> {
        let mut last = NONE;
        let link = |record: &Vec<u8>| {
            let body = chained(last, record);
            last = Digest::of(&body);
            body
        };
        records.iter().map(link).collect()
    }

    proptest! {
        #[test]
        fn a_body_comes_apart_as_it_was_put_together(previous: [u8; 32], record: Vec<u8>) {
            let body = chained(Digest(previous), &record);
            prop_assert_eq!(parts(&body), Some((Digest(previous), record.into())));
        }

        #[test]
        fn whatever_is_done_to_a_chain_breaks_it(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..24), 3..12),
            at: proptest::sample::Index,
            what in 0..4_u8,
        ) {
            let whole = chain(&records);
            prop_assert!(broken(&whole, NONE).is_empty());
            // The last one is held by nothing but a digest that is kept elsewhere.
            let at = at.index(whole.len() - 1);
            let mut bad = whole.clone();
            match what {
                0 => { bad.remove(at); }
                1 => { bad.insert(at, whole[at].clone()); }
                2 => {
                    let mut bytes = bad[at].to_vec();
                    *bytes.last_mut().unwrap() ^= 1;
                    bad[at] = bytes.into();
                }
                _ => bad.swap(at, at + 1),
            }
            prop_assert!(!broken(&bad, NONE).is_empty());
            // What was trimmed away at the beginning is no break.
            prop_assert!(broken(&whole[at..], parts(&whole[at]).unwrap().0).is_empty());
        }
    }
}
