//! Deliberate bugs, one at a time, so that the tests can prove that they would notice (`make mutants`).
//!
//! Only with feature `planted`; without it `is` is a constant `false` and the compiler removes the branch. The engine reads
//! no environment: the shell chooses. Invariant: with no bug chosen, a planted build behaves like any other.

/// A bug of the state machine that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A time-out is taken for a refusal (semantics: "unknown read as rejected").
    UnknownReadAsRejected,
    /// An attempt that was outstanding when the owner was lost counts as never sent (A1).
    AttemptForgottenAtTakeOver,
    /// A late refusal of one attempt clears the doubt about the others, though refusals aren't final (A1, H12).
    LateRefusalClears,
    /// A step is compensated before the steps that depend on it (A17).
    PredecessorCompensatedFirst,
    /// A step is compensated while a copy of its action may still be on its way.
    CompensationNotWaiting,
    /// A cancel acts while the pivot is in doubt (A3).
    CancelActsInDoubt,
    /// A saga is moved to a version in which what was done means something else (A12).
    RepinUnchecked,
    /// An acknowledgement changes more than that it was made.
    AcknowledgeGivesAttempts,
    /// A saga turns back, and nothing says that this was decided.
    CompensatedWithoutDecision,
    /// A policy's most attempts are no limit.
    RetryLimitIgnored,
    /// A new owner counts failures from nothing, so that it calls as often as in the beginning.
    BackoffForgottenAtTakeOver,
    /// The deadline of a saga that has completed turns it back.
    DeadlineOutlivesEnd,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Bug; 12] = [
        Self::UnknownReadAsRejected,
        Self::AttemptForgottenAtTakeOver,
        Self::LateRefusalClears,
        Self::PredecessorCompensatedFirst,
        Self::CompensationNotWaiting,
        Self::CancelActsInDoubt,
        Self::RepinUnchecked,
        Self::AcknowledgeGivesAttempts,
        Self::CompensatedWithoutDecision,
        Self::RetryLimitIgnored,
        Self::BackoffForgottenAtTakeOver,
        Self::DeadlineOutlivesEnd,
    ];

    /// The word by which a shell chooses it and a report names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownReadAsRejected => "unknown_read_as_rejected",
            Self::AttemptForgottenAtTakeOver => "attempt_forgotten_at_take_over",
            Self::LateRefusalClears => "late_refusal_clears",
            Self::PredecessorCompensatedFirst => "predecessor_compensated_first",
            Self::CompensationNotWaiting => "compensation_not_waiting",
            Self::CancelActsInDoubt => "cancel_acts_in_doubt",
            Self::RepinUnchecked => "repin_unchecked",
            Self::AcknowledgeGivesAttempts => "acknowledge_gives_attempts",
            Self::CompensatedWithoutDecision => "compensated_without_decision",
            Self::RetryLimitIgnored => "retry_limit_ignored",
            Self::BackoffForgottenAtTakeOver => "backoff_forgotten_at_take_over",
            Self::DeadlineOutlivesEnd => "deadline_outlives_end",
        }
    }
}

#[cfg(feature = "planted")]
mod chosen {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Bug;

    static CHOSEN: AtomicUsize = AtomicUsize::new(0);

    fn number(bug: Bug) -> usize {
        Bug::ALL.iter().take_while(|other| **other != bug).count() + 1
    }

    /// Switches one bug on, or all off.
    pub fn choose(bug: Option<Bug>) {
        CHOSEN.store(bug.map_or(0, number), Ordering::SeqCst);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        CHOSEN.load(Ordering::SeqCst) == number(bug)
    }
}

#[cfg(feature = "planted")]
pub use chosen::choose;
#[cfg(feature = "planted")]
pub(crate) use chosen::is;

/// Whether this bug is switched on: never, in this build.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
