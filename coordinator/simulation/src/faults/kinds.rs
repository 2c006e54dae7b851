//! What can go wrong, and where: the rows and columns of the table that every run fills.
//!
//! Only names: `faults.rs` gives them out, `wire.rs`, `request.rs` and `strike.rs` carry them out. Invariants: each fault is
//! something that happens to a real process, wire, clock or store; a fault that can't happen somewhere says why.

use std::fmt;

macro_rules! listed {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every one, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In a few letters, for tables and files.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

listed! {
    /// What can go wrong.
    Fault {
        /// The process is killed before anything leaves; of a request, the one that would get it.
        CrashBefore = "crash before",
        /// The process is killed while it is on its way; it arrives.
        CrashDuring = "crash during",
        /// The process is killed after the answer came and before it is heard.
        CrashAfter = "crash after",
        /// The process stands still before anything leaves, for longer than a lease, and then goes on.
        Pause = "pause",
        /// The machine's clock is set, and the process is started again under it.
        NodeClock = "node's clock",
        /// The store's clock is set.
        StoreClock = "store's clock",
        /// Somebody else acquires the shard at this moment: whatever its owner does from now on is fenced.
        Fenced = "fenced",
        /// The store fails over and loses everything that wasn't durable yet.
        LostTail = "lost tail",
        /// The store can't be reached by anybody for a while.
        StoreDown = "store down",
        /// This side and that one are cut off from each other for a while.
        Partition = "partition",
        /// It is lost.
        Drop = "drop",
        /// It arrives, and its answer is lost: nobody knows.
        DropAnswer = "drop answer",
        /// It takes much longer than usual, and may arrive behind what was sent later.
        Delay = "delay",
        /// It arrives twice, one copy behind the other.
        Twice = "twice",
        /// A second copy arrives much later.
        LateCopy = "late copy",
        /// It certainly never leaves, or nothing of it is done: no connection, a full disk.
        Refused = "refused",
        /// It is done, and what is heard says otherwise: a proxy's `UNAVAILABLE`, a re-sent commit that is told it is stale, a caller
        /// that goes away in the middle.
        Misled = "misled",
    }
}

listed! {
    /// Where something can go wrong.
    Boundary {
        /// A client asks for a saga.
        StartRequest = "start request",
        /// Somebody asks something of a saga.
        VerbRequest = "verb request",
        /// A participant tells what became of a pending operation.
        FinishRequest = "finish request",
        /// A saga's first commit.
        BeginCommit = "begin commit",
        /// A commit that only asks for an attempt.
        IntentCommit = "intent commit",
        /// A commit with what came of an attempt, and the next intent.
        ResultCommit = "result commit",
        /// A commit by which a saga turns back or begins to confirm.
        DecisionCommit = "decision commit",
        /// A commit because time has passed.
        TimerCommit = "timer commit",
        /// A commit of what an operator asked for.
        VerbCommit = "verb commit",
        /// A commit of what became of a pending operation.
        FinishCommit = "finish commit",
        /// A saga's last commit.
        EndCommit = "end commit",
        /// A call of an action, or of a try.
        ActionCall = "action call",
        /// A call of a compensation, or of a cancel.
        CompensateCall = "compensate call",
        /// A call of a confirm.
        ConfirmCall = "confirm call",
        /// A question whether an effect stands.
        QueryCall = "query call",
        /// A node takes a shard.
        Acquire = "acquire",
        /// An owner renews its lease.
        Renew = "renew",
        /// An owner gives a shard back.
        Release = "release",
        /// A node says in the store that it is there.
        Heartbeat = "heartbeat",
        /// A saga is read.
        Load = "load",
        /// Anything else is read.
        Look = "look",
        /// A log or a document is written.
        Note = "note",
        /// A word between two nodes.
        Word = "word",
    }
}

/// Between whom something travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    /// Clients, operators and participants to a node.
    Request,
    /// A node to the store.
    Store,
    /// A node to a participant.
    Call,
    /// A node to another.
    Peer,
}

impl Boundary {
    pub(crate) fn channel(self) -> Channel {
        match self {
            Self::StartRequest | Self::VerbRequest | Self::FinishRequest => Channel::Request,
            Self::ActionCall | Self::CompensateCall | Self::ConfirmCall | Self::QueryCall => Channel::Call,
            Self::Word => Channel::Peer,
            _ => Channel::Store,
        }
    }

    /// A commit of a saga.
    pub(crate) fn is_commit(self) -> bool {
        (Self::BeginCommit..=Self::EndCommit).contains(&self)
    }

    fn is_read(self) -> bool {
        matches!(self, Self::Load | Self::Look)
    }

    /// Happens again and again while nothing changes, so that faults are rarer there.
    pub(crate) fn is_housekeeping(self) -> bool {
        matches!(self, Self::Renew | Self::Heartbeat | Self::Load | Self::Look | Self::Word)
    }

    /// Happens once in a run or not at all, so that faults are more common there.
    pub(crate) fn is_rare(self) -> bool {
        matches!(
            self,
            Self::DecisionCommit
                | Self::TimerCommit
                | Self::VerbCommit
                | Self::FinishCommit
                | Self::ConfirmCall
                | Self::QueryCall
                | Self::Note
        )
    }
}

impl Fault {
    /// Why this fault can't happen there; `None` where it can.
    pub fn excluded(self, at: Boundary) -> Option<&'static str> {
        match (self, at) {
            (Self::DropAnswer, at) if at.is_read() => Some("a read that goes unanswered is `drop`"),
            (Self::Twice | Self::LateCopy, at) if at.is_read() => Some("reading twice changes nothing"),
            (Self::CrashDuring, at) if at.is_read() => Some("a read changes nothing: it is `crash before`"),
            (Self::Misled, at) if at.channel() == Channel::Store && !at.is_commit() => {
                Some("only commits are known by an id, so that a copy can be told something else")
            }
            (Self::Refused | Self::Misled, Boundary::Word) => {
                Some("a word has no error: it is `drop` or `drop answer`")
            }
            _ => None,
        }
    }

    /// Ends a life of a node.
    pub(crate) fn ends_process(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashDuring | Self::CrashAfter | Self::Pause | Self::NodeClock)
    }

    /// Strikes more than what is just travelling.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::StoreClock | Self::Fenced | Self::LostTail | Self::StoreDown | Self::Partition)
    }

    /// Brings a second copy of one thing.
    pub(crate) fn is_copy(self) -> bool {
        matches!(self, Self::Twice | Self::LateCopy)
    }
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
        /// Must be able to happen there, else nothing happens.
        fault: Fault,
    },
    /// By the seed: each run has its own swarm, in which some faults are common and others don't occur.
    Random,
}
