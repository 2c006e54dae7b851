//! What a webhook can be told of: a closed list. Pure.

use std::fmt;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A saga got stuck, or stuck in another place or for another reason as well.
    SagaStuck,
    /// A saga isn't stuck any more.
    SagaUnstuck,
    /// A saga has ended, however.
    SagaEnded,
    /// A saga was started, or its status has changed.
    SagaChanged,
    /// The store has lost confirmed commits of a shard, or has them again.
    ShardFrozen,
    /// The store must not be used as it is, or can be used again.
    StoreUnsafe,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::SagaStuck, Self::SagaUnstuck, Self::SagaEnded, Self::SagaChanged, Self::ShardFrozen, Self::StoreUnsafe];

    /// The word in the configuration and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SagaStuck => "saga.stuck",
            Self::SagaUnstuck => "saga.unstuck",
            Self::SagaEnded => "saga.ended",
            Self::SagaChanged => "saga.changed",
            Self::ShardFrozen => "shard.frozen",
            Self::StoreUnsafe => "store.unsafe",
        }
    }

    /// The event of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }

    /// Whether it is about one saga, and so kept in its shard's outbox.
    pub fn is_of_saga(self) -> bool {
        !matches!(self, Self::ShardFrozen | Self::StoreUnsafe)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
