//! The faults by name, and which of them a run has.
//!
//! Only names: `faults.rs` gives them out, `store.rs` and `network.rs` carry them out. Invariant: each is something that
//! happens to a real process, wire or store.

/// What can go wrong with a group of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The process is killed before it is sent.
    CrashBefore,
    /// The process is killed while it is on its way; it arrives.
    CrashDuring,
    /// The process is killed after the answer came and before it is heard.
    CrashAfter,
    /// The process stands still before it is sent, for longer than a lease.
    Freeze,
    /// It is lost, and the store doesn't answer.
    Lost,
    /// The disk is full: nothing is written.
    Full,
    /// It is made, and the store's answer is lost.
    Unanswered,
    /// It is made, and a repeat of it is told that it is stale.
    Stale,
    /// It is sent a second time at once.
    Twice,
    /// It is sent a second time much later.
    LateCopy,
}

/// What can go wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFault {
    /// The process is killed before it leaves.
    CrashBefore,
    /// The process is killed while it is on its way; it arrives.
    CrashDuring,
    /// The process is killed after the answer came and before it is heard.
    CrashAfter,
    /// The process stands still before it leaves, for longer than a lease.
    Freeze,
    /// No connection: it certainly never leaves.
    NotSent,
    /// It is lost.
    RequestLost,
    /// It is carried out, and its answer is lost.
    ReplyLost,
    /// It arrives after the caller has given up.
    Late,
    /// It arrives a second time, later.
    Twice,
    /// It is carried out, and something between answers `UNAVAILABLE`.
    Unavailable,
}

impl StoreFault {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::CrashBefore,
        Self::CrashDuring,
        Self::CrashAfter,
        Self::Freeze,
        Self::Lost,
        Self::Full,
        Self::Unanswered,
        Self::Stale,
        Self::Twice,
        Self::LateCopy,
    ];

    pub(super) fn ends_process(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashDuring | Self::CrashAfter | Self::Freeze)
    }
}

impl CallFault {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::CrashBefore,
        Self::CrashDuring,
        Self::CrashAfter,
        Self::Freeze,
        Self::NotSent,
        Self::RequestLost,
        Self::ReplyLost,
        Self::Late,
        Self::Twice,
        Self::Unavailable,
    ];

    pub(super) fn ends_process(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashDuring | Self::CrashAfter | Self::Freeze)
    }
}

/// Where a fault can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// A group of commits reaches the store.
    Commit,
    /// A call leaves for a participant.
    Call,
}

/// A fault for a boundary of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// For a group of commits.
    Store(StoreFault),
    /// For a call.
    Call(CallFault),
}

/// Which faults a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPlan {
    /// None.
    None,
    /// This one, at the boundary with this number (from 0), and no other.
    Once {
        /// The boundary's number.
        at: usize,
        /// Must be of the boundary's kind, else nothing happens.
        fault: Fault,
    },
    /// By the seed: each run has its own mixture, in which some faults are common and others don't occur.
    Random,
}
