//! Why a request to the coordinator failed, and whether trying again helps.
//!
//! One enum for all requests, because callers treat them alike; the server maps it to status codes in one table. Invariant:
//! an error says that nothing was acknowledged; only [`RequestError::Unavailable`] leaves open whether it happened, and
//! repeating the same request is then safe.

use std::time::Duration;

use amends_engine::IllegalEvent;
use amends_engine::ids::{DefinitionName, SagaKey, Version};
use amends_store::StoreError;

use crate::cluster::Lost;

/// A request that wasn't carried out.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no such saga.
    #[error("there is no saga {0}")]
    NoSuchSaga(SagaKey),
    /// There is no such definition, or not this version of it.
    #[error("there is no definition {name}{}: register it first", version.map(|it| format!(" version {it}")).unwrap_or_default())]
    NoSuchDefinition {
        /// Its name.
        name: DefinitionName,
        /// The version that was asked for, if one was.
        version: Option<Version>,
    },
    /// The version takes no new sagas, or none of the definition does.
    #[error("{}", deprecated(name, *version, reason, *newest))]
    Deprecated {
        /// The definition.
        name: DefinitionName,
        /// The version that was asked for, if one was.
        version: Option<Version>,
        /// Why that version is deprecated.
        reason: String,
        /// The newest version that takes new sagas.
        newest: Option<Version>,
    },
    /// The id is taken by a saga with another definition or input.
    #[error("saga {key} exists already, with another {difference}")]
    AlreadyExists {
        /// Which.
        key: SagaKey,
        /// "definition" or "input".
        difference: &'static str,
    },
    /// The id belonged to a saga that has finished and was removed.
    #[error("the id {0} belonged to a saga that has finished and was removed; ids are not used twice")]
    Reserved(SagaKey),
    /// The input is not JSON, not what the definition's schema asks for, or too large.
    #[error("{0}")]
    BadInput(String),
    /// The step isn't part of the saga's definition.
    #[error("the definition has no step {0:?}")]
    NoSuchStep(String),
    /// The request makes no sense in the saga's state.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// The saga isn't at the expected revision.
    #[error("the saga is at revision {found}, not at {expected}: look at it again")]
    RevisionMoved {
        /// What was expected.
        expected: u64,
        /// What was found.
        found: u64,
    },
    /// What is stored can't be read, or a definition can't be compiled any more.
    #[error("{0}")]
    Unreadable(String),
    /// A saga's record can't be read.
    #[error(transparent)]
    UnreadableSaga(#[from] UnreadableSaga),
    /// Too much is waiting; nothing was accepted.
    #[error("the coordinator is at its limit; try again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full; nothing was accepted.
    #[error("the store is full; nothing was accepted")]
    StoreFull,
    /// Another node has the saga's shard, or none has it yet; nothing was done. Repeat the same request.
    #[error("{0} is with another node just now, or is being taken over")]
    Elsewhere(SagaKey),
    /// The store has lost commits of the saga's shard; nothing was done, and nothing will be before a person looks.
    #[error("{0}")]
    Frozen(Lost),
    /// This node is stopping or has lost the shard, or the store didn't answer. Repeat the same request.
    #[error("not available now: {0}")]
    Unavailable(String),
}

fn deprecated(name: &DefinitionName, version: Option<Version>, reason: &str, newest: Option<Version>) -> String {
    let what = match version {
        Some(version) => format!("version {version} of definition {name} is deprecated ({reason})"),
        None => format!("every version of definition {name} is deprecated"),
    };
    match newest {
        Some(newest) => format!("{what}: start it on version {newest}, or name no version"),
        None => format!("{what}: register a new version, or undeprecate one"),
    }
}

/// A saga whose record can't be read, or whose definition isn't there any more. Nothing is done with it; the others run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "saga {key} can't be read at revision {revision}: {why}. It is left alone and the others run; restore the store from a \
     backup, or run the version of Amends that wrote it"
)]
pub struct UnreadableSaga {
    /// Which.
    pub key: SagaKey,
    /// Its last revision.
    pub revision: u64,
    /// What was found.
    pub why: String,
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(with_sources(&error))
    }
}

/// An error with its chain of causes, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
