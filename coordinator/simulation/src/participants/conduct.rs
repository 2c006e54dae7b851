//! How the participants of a world behave, and what they promise.
//!
//! Invariant: what is promised and what is done are told apart, since a planted bug is a promise that isn't kept.

/// Which rules the participants keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// The barrier whole, and registered so.
    Barrier,
    /// The barrier without stored refusals, and registered as `refusals: not final`: a refusal says nothing about copies.
    RefusalsNotFinal,
    /// Planted: refusals aren't stored though it is promised that they are final.
    RefusalNotStored,
    /// Planted: every copy of a call runs.
    NoBarrier,
}

impl Conduct {
    /// The two that keep their promises.
    pub const HONEST: [Self; 2] = [Self::Barrier, Self::RefusalsNotFinal];

    /// What their registration promises.
    pub(crate) fn promises_final_refusals(self) -> bool {
        self != Self::RefusalsNotFinal
    }

    pub(crate) fn stores_refusals(self) -> bool {
        matches!(self, Self::Barrier | Self::NoBarrier)
    }

    pub(crate) fn has_barrier(self) -> bool {
        self != Self::NoBarrier
    }

    /// Whether one attempt may arrive twice. Without stored refusals the first copy's refusal would be taken for the whole
    /// attempt's, and nobody could know better: one attempt, one delivery is what a connection promises.
    pub(crate) fn bears_copies(self) -> bool {
        self != Self::RefusalsNotFinal
    }
}
