//! How a store stands: in use, being filled from another one, or moved to another one.
//!
//! Stored as one line of text, the same in every backend. Invariant: a store that doesn't stand [`Standing::InUse`] is served
//! from by nobody, because of two copies of one store only one may ever call participants.

use std::fmt;

use crate::contract::Epoch;

/// From what a store is being filled. A copy that was broken off goes on only under the same: a source that was served from
/// since then has given higher epochs, and is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filling {
    /// The source's store id.
    pub source: String,
    /// The highest epoch that the source has given.
    pub epoch: Epoch,
}

/// Where a store has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The target's store id.
    pub to: String,
    /// The target's address, without a password.
    pub address: String,
}

/// Whether work may be taken from a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    InUse,
    /// It is an unfinished copy.
    Filling(Filling),
    /// It has gone elsewhere.
    Moved(Moved),
}

impl Standing {
    /// Reads what [`fmt::Display`] writes; empty is in use. `None` for anything else: a newer version's, or damage.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        match (words.next().unwrap_or_default(), words.next(), words.next()) {
            ("", None, None) => Some(Self::InUse),
            ("filling", Some(source), Some(epoch)) => {
                Some(Self::Filling(Filling { source: source.to_owned(), epoch: Epoch(epoch.parse().ok()?) }))
            }
            ("moved", Some(to), Some(address)) => {
                Some(Self::Moved(Moved { to: to.to_owned(), address: address.to_owned() }))
            }
            _ => None,
        }
    }

    /// Why no work may be taken, and the mend.
    pub fn explain(&self) -> String {
        match self {
            Self::InUse => "it is in use".to_owned(),
            Self::Filling(Filling { source, .. }) => format!(
                "it is an unfinished copy of the store {source}: run that `amends store copy` again, it goes on where it was"
            ),
            Self::Moved(Moved { to, address }) => format!(
                "it was moved to {address}, as the store {to}: serve from there. Only if nobody has served from there, \
                 `amends store reopen --data <folder>` takes the mark away; two live copies would do everything twice"
            ),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => Ok(()),
            Self::Filling(Filling { source, epoch }) => write!(f, "filling {source} {}", epoch.0),
            Self::Moved(Moved { to, address }) => write!(f, "moved {to} {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_is_read_as_it_was_written() {
        let moved = |address: &str| Standing::Moved(Moved { to: "id".into(), address: address.into() });
        let filling = Standing::Filling(Filling { source: "id".into(), epoch: Epoch(u64::MAX) });
        for standing in [Standing::InUse, filling, moved("redis://h:6379"), moved("/a folder/of mine")] {
            assert_eq!(Standing::read(&standing.to_string()), Some(standing));
        }
        for damaged in ["filling", "filling id", "filling id x", "moved id", "gone id there", " "] {
            assert_eq!(Standing::read(damaged), None, "{damaged:?}");
        }
    }
}
