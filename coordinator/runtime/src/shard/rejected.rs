//! What a commit that wasn't made means for its owner.
//!
//! Pure; `owner.rs` carries it out. Invariant: nothing is concluded about a saga from a commit that wasn't made. At worst the whole
//! tenure ends, and what the store has is the truth.

use amends_store::CommitError;

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rejected {
    /// The store has less than it had confirmed: the whole shard is in doubt, and is compared when it is acquired again.
    Behind,
    /// Whether its entries are in the log isn't known: the log's end is read again, with everything else.
    LogMoved,
    /// An earlier attempt did it: what the store has of this saga is the truth.
    Moved,
    /// The id was that of a saga which is over.
    Reserved,
    /// There is no room.
    Full,
    /// Our own mistake: this saga is left alone and reported, the others go on.
    Wrong,
    /// Another owner has the shard.
    Fenced,
    /// It may have been made: start again from what the store has.
    Open,
}

impl Rejected {
    /// `is_audited`: the commit holds entries of the audit log.
    pub(crate) fn of(error: &CommitError, is_audited: bool) -> Self {
        match error {
            CommitError::Stale { expected, found } if found < expected => Self::Behind,
            CommitError::StaleLog { .. } | CommitError::Stale { .. } if is_audited => Self::LogMoved,
            CommitError::Stale { .. } | CommitError::StaleLog { .. } => Self::Moved,
            CommitError::Reserved => Self::Reserved,
            CommitError::Full => Self::Full,
            CommitError::WrongShard | CommitError::Overwrite { .. } => Self::Wrong,
            CommitError::Fenced => Self::Fenced,
            CommitError::Ambiguous(_) => Self::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_has_less_is_told_from_one_that_has_more() {
        let stale = |expected, found| CommitError::Stale { expected, found };
        assert_eq!(Rejected::of(&stale(5, 4), true), Rejected::Behind, "whatever else there was in it");
        assert_eq!(Rejected::of(&stale(4, 5), false), Rejected::Moved);
        assert_eq!(Rejected::of(&stale(4, 5), true), Rejected::LogMoved);
    }
}
