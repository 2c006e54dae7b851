//! The numbers that stand for enum values in records.
//!
//! They are written out one by one and never follow the order in the source. Invariant: a number that was ever released
//! keeps its meaning; 0 is never used, so that an absent field can't be mistaken for a value.

use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, OutcomeKind};
use amends_engine::saga::{Phase, SkippedBy, StuckReason};

use super::RecordError;

/// A value that is stored as a number.
pub(super) trait Tagged: Sized {
    /// Its number.
    fn tag(self) -> u32;
    /// The value with this number.
    fn from_tag(tag: u32) -> Result<Self, RecordError>;
}

macro_rules! tags {
    ($type:ident, $what:literal, { $($variant:ident = $tag:literal),+ $(,)? }) => {
        impl Tagged for $type {
            fn tag(self) -> u32 {
                match self {
                    $(Self::$variant => $tag,)+
                }
            }

            fn from_tag(tag: u32) -> Result<Self, RecordError> {
                match tag {
                    $($tag => Ok(Self::$variant),)+
                    found => Err(RecordError::UnknownTag { what: $what, found }),
                }
            }
        }
    };
}

tags!(Phase, "phase", {
    Running = 1,
    Confirming = 2,
    Compensating = 3,
    Completed = 4,
    Compensated = 5,
    ForceStopped = 6,
});

tags!(StuckReason, "stuck reason", {
    RetriesExhausted = 1,
    CompensationRefused = 2,
    ConfirmRefused = 3,
    RejectedAfterPivot = 4,
    PivotUnknown = 5,
    BarrierRowMissing = 6,
    KeyReused = 7,
    ExpressionFailed = 8,
    DefinitionOrParticipantMissing = 9,
    Misconfigured = 10,
    Poison = 11,
});

tags!(SkippedBy, "skipped by", {
    Condition = 1,
    Operator = 2,
});

tags!(Operation, "operation", {
    Action = 1,
    Compensate = 2,
    Confirm = 3,
    Query = 4,
});

tags!(Doubt, "doubt", {
    NoAnswer = 1,
    Broken = 2,
    Code = 3,
    Unreadable = 4,
    OwnerLost = 5,
    Misconfigured = 6,
    KeyReused = 7,
    RowMissing = 8,
    StaleEpoch = 9,
});

/// Unknown outcomes are stored as this plus the doubt's number.
const UNKNOWN: u32 = 16;

impl Tagged for OutcomeKind {
    fn tag(self) -> u32 {
        match self {
            Self::Succeeded => 1,
            Self::Rejected => 2,
            Self::Pending => 3,
            Self::NotFound => 4,
            Self::NotSent => 5,
            Self::Unknown(doubt) => UNKNOWN + doubt.tag(),
        }
    }

    fn from_tag(tag: u32) -> Result<Self, RecordError> {
        match tag {
            1 => Ok(Self::Succeeded),
            2 => Ok(Self::Rejected),
            3 => Ok(Self::Pending),
            4 => Ok(Self::NotFound),
            5 => Ok(Self::NotSent),
            found => match found.checked_sub(UNKNOWN) {
                Some(doubt) => Doubt::from_tag(doubt).map(Self::Unknown),
                None => Err(RecordError::UnknownTag { what: "outcome", found }),
            },
        }
    }
}
