//! What a shard has open, counted by kind: the values of the contract that gauges are made of.
//!
//! A census is taken once when a shard is acquired; from then on its owner counts along with its own commits. Invariant: the
//! counts are those of the moment at which the shard's commit number was [`Census::commits`], no commit more and none less, so
//! that whoever counts along knows which of its commits are in it already.

use amends_engine::ids::{DefinitionName, Namespace};

/// How many unfinished sagas of one kind there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenCount {
    /// Whose.
    pub namespace: Namespace,
    /// Of which definition, all versions.
    pub definition: DefinitionName,
    /// With which status word.
    pub status: String,
    /// Why they are stuck; absent where they aren't.
    pub stuck: Option<String>,
    /// How many, at least 1.
    pub count: u64,
}

/// What a shard has open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// The shard's commit number at that moment.
    pub commits: u64,
    /// In the order of namespace, definition, status and reason; each kind once.
    pub open: Vec<OpenCount>,
}
