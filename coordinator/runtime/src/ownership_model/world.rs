//! The state of the modelled world: store and replica, two nodes, packets, the participant, and what is noted beside it.
//!
//! Plain data. Fields that are `noted` are seen by no rule of the product, only by those of `rules.rs`. Invariant: two worlds that
//! are equal have the same future.

use std::collections::VecDeque;
use std::time::Duration;

use amends_engine::ids::{Operation, StepIndex};
use amends_engine::time::Timestamp;
use amends_store::{Lease, Nonce};

use crate::cluster::marks::Marks;
use crate::shard::overtaken::Overtaken;

use super::desk::Desk;
use super::packet::Packet;

/// The names of the nodes.
pub(super) const NODES: [&str; 2] = ["a", "b"];
/// How long a lease lasts: less than a tick.
pub(super) const LEASE: Duration = Duration::from_secs(5);
/// The clock moves only so far at once: leases, attempts and the floor's lag are over then.
pub(super) const TICK: u64 = 2 * 3_600_000;

/// What a store's clock does at a fail-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Clocks {
    /// It goes on.
    GoOn,
    /// It shows the same time: two machines' clocks differ by as much as the fail-over took.
    Stand,
}

/// How far to explore: how often each thing may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Bounds {
    /// How many sagas there may be.
    pub(super) sagas: u8,
    /// How many steps each has.
    pub(super) steps: u8,
    /// Whether they are done beside each other.
    pub(super) parallel: bool,
    /// The shard is asked for.
    pub(super) asks: u8,
    /// Somebody asks a node to start a saga.
    pub(super) starts: u8,
    /// Somebody cancels a saga.
    pub(super) cancels: u8,
    /// The clock moves.
    pub(super) ticks: u8,
    /// An owner waits for an answer no longer.
    pub(super) lapses: u8,
    /// A packet to store or participant comes twice.
    pub(super) copies: u8,
    /// The participant refuses an action.
    pub(super) refusals: u8,
    /// A node is killed, and begins anew.
    pub(super) crashes: u8,
    /// The replica becomes the store.
    pub(super) fail_overs: u8,
    /// Whether participants are called at all; without, a saga stands at its first intent.
    pub(super) calls: bool,
    /// Whether finished sagas and old rows are swept.
    pub(super) floor: bool,
    /// What clocks do at a fail-over.
    pub(super) clocks: Clocks,
}

impl Bounds {
    /// One saga of one step, and nothing happens.
    pub(super) const NONE: Self = Self {
        sagas: 1,
        steps: 1,
        parallel: false,
        asks: 0,
        starts: 0,
        cancels: 0,
        ticks: 0,
        lapses: 0,
        copies: 0,
        refusals: 0,
        crashes: 0,
        fail_overs: 0,
        calls: true,
        floor: false,
        clocks: Clocks::GoOn,
    };
}

/// Names a saga's state, a store's content, a commit, a participant's row: see `memo.rs`.
pub(super) type Id = u32;

/// Commits, each one bit: see [`Made::bit`].
pub(super) type Set = u128;

/// A store and what it has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Copy {
    /// Its content.
    pub(super) store: Id,
    /// Noted: which acquisition was its last.
    pub(super) grant: Option<u8>,
    /// Noted: the commits that led to it.
    pub(super) made: Set,
    /// Noted: since commits were lost, the first acquisition under which it accepted one.
    pub(super) first: Option<u8>,
}

/// Noted: a commit that a store accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Made {
    /// Its number.
    pub(super) number: u64,
    /// Under which acquisition.
    pub(super) grant: u8,
    /// After how many fail-overs.
    pub(super) era: u8,
}

impl Made {
    /// Its place in a [`Set`].
    pub(super) fn bit(self) -> Set {
        assert!(self.number < 16 && self.grant < 4 && self.era < 2, "the bounds are too wide for a set: {self:?}");
        1 << (self.number + 16 * (u64::from(self.grant) + 4 * u64::from(self.era)))
    }
}

/// Names a call.
pub(super) type CallId = (StepIndex, Operation, u32);

/// A saga in an owner's memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Resident {
    /// As the store has it; `None` before its first commit.
    pub(super) saga: Option<Id>,
    /// The commit under way, and what the saga becomes by it.
    pub(super) staged: Option<(Id, Id)>,
    /// Calls under way.
    pub(super) calls: Vec<CallId>,
}

/// A commit that a node was to make: see `committer.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Write {
    /// Of which tenure.
    pub(super) nonce: Nonce,
    pub(super) saga: u8,
    pub(super) commit: Id,
    /// Noted: under which acquisition.
    pub(super) grant: u8,
}

/// One tenure of the shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Tenure {
    pub(super) lease: Lease,
    /// Noted: which acquisition it is.
    pub(super) grant: u8,
    /// By saga; `None`: not in memory.
    pub(super) residents: Vec<Option<Resident>>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Node {
    /// How often it was killed.
    pub(super) life: u8,
    /// The shard was asked for with this nonce.
    pub(super) asking: Option<Nonce>,
    pub(super) tenure: Option<Tenure>,
    /// The commit under way; one at a time.
    pub(super) committing: Option<Write>,
    /// Those that wait for it.
    pub(super) writes: VecDeque<Write>,
    pub(super) marks: Marks,
    pub(super) overtaken: Overtaken,
    /// The floor that it tells participants.
    pub(super) floor: Timestamp,
    /// Noted: commits that were confirmed to it or that it heard of.
    pub(super) knows: Set,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// What may still happen.
    pub(super) left: Bounds,
    pub(super) now: Timestamp,
    pub(super) store: Copy,
    /// What the store's replica has.
    pub(super) replica: Copy,
    pub(super) nodes: [Node; 2],
    /// In order, since it makes no difference in which they were sent.
    pub(super) net: Vec<Packet>,
    pub(super) desk: Desk,
    /// Noted: acquisitions.
    pub(super) grants: u8,
    /// Noted: fail-overs.
    pub(super) era: u8,
    /// Noted: confirmed or not, commits that fail-overs lost.
    pub(super) lost: Set,
    /// Noted: whether a fail-over lost an acquisition.
    pub(super) lost_grant: bool,
}

impl World {
    /// Sends a packet on its way.
    pub(super) fn send(&mut self, packet: Packet) {
        self.net.push(packet);
        self.net.sort();
    }

    /// Packets that nobody would hear are forgotten, so that they tell no worlds apart.
    pub(super) fn tidy(&mut self) {
        let nodes = &self.nodes;
        self.net.retain(|packet| packet.is_awaited(nodes));
    }
}
