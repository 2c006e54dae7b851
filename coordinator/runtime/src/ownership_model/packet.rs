//! What is on its way between nodes, store and participant.
//!
//! Plain data. Invariant: an answer carries what the store or the participant decided when the question came, never later.

use amends_engine::ids::Operation;
use amends_store::{Lease, Nonce};

use crate::shard::rejected::Rejected;

use super::world::{CallId, Id, Made, Node, Set};

/// A call of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Call {
    pub(super) node: u8,
    pub(super) nonce: Nonce,
    pub(super) saga: u8,
    pub(super) id: CallId,
    pub(super) epoch: u64,
    pub(super) expects_succeeded: bool,
    /// When the saga began, and the floor; `None`: nothing is said.
    pub(super) origin: Option<(u64, u64)>,
    /// Noted: under which acquisition.
    pub(super) grant: u8,
}

impl Call {
    /// What is called.
    pub(super) fn operation(&self) -> Operation {
        self.id.1
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ended {
    Succeeded,
    Refused,
    StaleEpoch,
    RowMissing,
    /// Anything that says nothing.
    Unclear,
}

/// What the store said to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Told {
    /// Made now. Noted: which it is, what had been lost before it, and whether it is of the first tenure since then.
    Now {
        made: Made,
        lost: Set,
        is_first: bool,
    },
    /// Made before.
    Before {
        number: u64,
    },
    Not(Rejected),
}

/// Something on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Packet {
    /// A node asks for the shard.
    Acquire { node: u8, nonce: Nonce },
    /// It has it: under this epoch, at this commit number. Noted: which acquisition it is.
    Acquired { node: u8, nonce: Nonce, epoch: u64, commits: u64, grant: u8 },
    /// Somebody else has it.
    Held { node: u8, nonce: Nonce },
    /// An owner gives it back.
    Release { lease: Lease },
    /// An owner commits.
    Commit { node: u8, nonce: Nonce, saga: u8, commit: Id, grant: u8 },
    /// What became of this commit.
    Committed { node: u8, commit: Id, told: Told },
    /// An owner calls.
    Call(Call),
    /// What became of it.
    Reply { node: u8, nonce: Nonce, saga: u8, id: CallId, ended: Ended },
}

impl Packet {
    /// Whether it may still change something.
    pub(super) fn is_awaited(&self, nodes: &[Node; 2]) -> bool {
        let in_tenure = |node: u8, nonce: Nonce| {
            nodes[usize::from(node)].tenure.as_ref().filter(|tenure| tenure.lease.nonce == nonce)
        };
        match *self {
            Self::Acquire { .. } | Self::Release { .. } | Self::Commit { .. } | Self::Call(_) => true,
            Self::Acquired { node, nonce, .. } | Self::Held { node, nonce } => {
                nodes[usize::from(node)].asking == Some(nonce)
            }
            Self::Committed { node, commit, .. } => {
                nodes[usize::from(node)].committing.is_some_and(|write| write.commit == commit)
            }
            Self::Reply { node, nonce, saga, id, .. } => in_tenure(node, nonce)
                .and_then(|tenure| tenure.residents[usize::from(saga)].as_ref())
                .is_some_and(|resident| resident.calls.contains(&id)),
        }
    }
}
