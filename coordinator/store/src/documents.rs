//! Documents: small records that no shard owns, changed by compare-and-set.
//!
//! A store looks neither into a kind, an id nor a body. Invariant: a document's revision only rises, also when it was deleted
//! and made again in between, so that who holds an old one can't take the new document for it.

use bytes::Bytes;

/// A small record that no shard owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What kind of record it is, in its owner's words.
    pub kind: String,
    /// Its id among those of its kind.
    pub id: String,
    /// Higher than any that a document of this store had before. The first isn't 1 as a rule.
    pub revision: u64,
    /// What it says.
    pub body: Bytes,
}
