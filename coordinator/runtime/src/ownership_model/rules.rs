//! What must never be, and what must have been seen.
//!
//! Invariant: a rule looks at what is noted beside the product's own state, never at what the rule's subject has worked out.

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The store accepts commits of its last acquisition only.
    OneOwnerCommits,
    /// What is confirmed is in the store, or a fail-over has lost it.
    ConfirmedIsKept,
    /// An owner that knows of a confirmed commit which was lost before gets none of its own confirmed.
    LossIsNoticed,
    /// A shard is frozen only where the store lost something, or until the store is looked at.
    NoFalseAlarm,
    /// No effect happens twice.
    NoEffectTwice,
    /// No action takes effect after its compensation, and none is confirmed and undone.
    NothingAfterItsUndoing,
    /// No call takes effect after one of a newer owner has come.
    ReplacedOwnerIsBarred,
    /// An owner that a participant calls replaced goes on no longer.
    ReplacedOwnerStops,
    /// No rows of a saga are swept that isn't over.
    OpenSagaKeepsItsRows,
}

impl Rule {
    /// In words.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::OneOwnerCommits => "the store accepted a commit of an owner that was replaced",
            Self::ConfirmedIsKept => "what was confirmed isn't in the store, and no fail-over has lost it",
            Self::LossIsNoticed => "confirmed commits were lost, its owner knew of them, and worked on",
            Self::NoFalseAlarm => "a shard was frozen though nothing was lost",
            Self::NoEffectTwice => "an effect happened twice",
            Self::NothingAfterItsUndoing => "an action took effect after it had been undone",
            Self::ReplacedOwnerIsBarred => "a replaced owner's call took effect after one of its successor had come",
            Self::ReplacedOwnerStops => "an owner was told that it is replaced, and went on",
            Self::OpenSagaKeepsItsRows => "a participant's rows were swept though their saga isn't over",
        }
    }
}

macro_rules! seen {
    ($($name:ident $words:literal,)*) => {
        /// What happened in a step: each must happen somewhere, or the run shows nothing about it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Seen { $($name,)* }

        impl Seen {
            /// All of them.
            pub(super) const ALL: [Self; [$($words,)*].len()] = [$(Self::$name,)*];

            /// In words.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

seen! {
    Completed "a saga was completed",
    Compensated "a saga was compensated",
    TakenOver "a shard was taken over while its owner still worked",
    Held "a shard was asked for and is held",
    Fenced "a replaced owner's commit was fenced",
    LateCommit "a commit came after its owner's tenure had ended, and was accepted",
    CameTwice "a commit came a second time and was known",
    Moved "a commit found that the saga had moved",
    Reserved "a saga was started whose id had been that of one which is over",
    Doubtful "a commit got no answer",
    LostConfirmed "a fail-over lost confirmed commits",
    LostAcquisition "a fail-over lost an acquisition",
    EpochAgain "an epoch was given a second time",
    Behind "an owner found the store behind by a revision",
    FrozenAtAcquisition "a loss was noticed at the acquisition",
    FrozenForAMoment "an acquisition was heard of only after its successor, and the shard frozen until the next look",
    FrozenForAnAcquisition "a loss was noticed by word where an acquisition was lost, and no commit",
    FrozenByWord "a loss was noticed by another node's word",
    FrozenByLook "a loss was noticed by looking at the store",
    FrozenByNumber "a loss was noticed by the number of a commit",
    Followed "an owner that had heard of its successor acted on nothing more",
    Overlooked "a loss was overlooked: nobody had a word with the first tenure after it (the limit of the method)",
    StaleEpoch "the barrier barred a replaced owner's call",
    Overtaken "an owner gave up because a participant had seen a newer one",
    Replayed "the barrier repeated an answer",
    SealedFirst "a compensation came before its action",
    BarredAfterUndoing "an action that came after its compensation was barred",
    RefusedForGood "a refusal was repeated to a later copy",
    Swept "a participant swept a saga's rows",
    CameTooLate "a copy came after the rows were swept, and was barred",
}
