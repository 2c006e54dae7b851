//! Why something asked of a batch wasn't done.

use amends_store::{Class, StoreError};

use crate::error::RequestError;

/// Nothing was changed, unless the store left it open.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is none, or it ended longer ago than a week.
    #[error("there is no plan or batch {0}: it may have been removed, a week after its end")]
    NoSuchBatch(String),
    /// It wasn't applied in its time, or was thrown away.
    #[error("plan {0} has expired: plan again, since sagas move")]
    Expired(String),
    /// Every saga was reached.
    #[error("batch {0} is done already: plan again for what is left")]
    Done(String),
    /// It isn't being carried out.
    #[error("batch {id} isn't running, it is {status}")]
    NotRunning {
        /// Which.
        id: String,
        /// What it is.
        status: &'static str,
    },
    /// More sagas match than one plan may name.
    #[error(
        "more than {max} sagas match, the most for one plan: narrow by definition, version, stuck reason, participant, label or age, \
         and plan again for the rest"
    )]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// Others change the same record all the time.
    #[error("batch {0} is being changed by others: try again")]
    Contended(String),
    /// Its record can't be read.
    #[error("the record of batch {id} can't be read: {why}")]
    Unreadable {
        /// Which.
        id: String,
        /// What was found.
        why: String,
    },
    /// A saga or definition couldn't be read.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The store didn't answer, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BatchError {
    /// Whether a retry helps.
    pub fn class(&self) -> Class {
        match self {
            Self::Contended(_) | Self::Request(RequestError::Unavailable(_)) => Class::Retryable,
            Self::Store(error) => error.class(),
            Self::NoSuchBatch(_)
            | Self::Expired(_)
            | Self::Done(_)
            | Self::NotRunning { .. }
            | Self::TooMany { .. }
            | Self::Unreadable { .. }
            | Self::Request(_) => Class::Permanent,
        }
    }
}
