//! Who is asking: the coordinator's metadata of one call, read and checked.
//!
//! Never guesses: a call without our metadata, or with metadata that contradicts itself, is an error that becomes
//! `INTERNAL`, since a code that reads as a refusal would tell the coordinator that nothing happened. Invariant: a
//! [`CallContext`] agrees with its idempotency key. The table of metadata is design §7; the barrier uses it in
//! [`crate::barrier`].

use std::fmt;

use tonic::Status;
use tonic::metadata::MetadataMap;

/// Longest namespace, saga id, step or element, in bytes.
pub const NAME_LENGTH_MAX: usize = 128;

/// Which of a step's operations is called. TCC's try and cancel arrive as `Action` and `Compensate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// The forward call (TCC: try).
    Action,
    /// The call that undoes the action (TCC: cancel).
    Compensate,
    /// The call that makes a tried action final (TCC only).
    Confirm,
}

impl Operation {
    /// The word used in metadata and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensate => "compensate",
            Self::Confirm => "confirm",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Action, Self::Compensate, Self::Confirm].into_iter().find(|operation| operation.as_str() == word)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What names one barrier row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// The tenant.
    pub namespace: String,
    /// The saga within the tenant.
    pub saga_id: String,
    /// The step within the saga.
    pub step: String,
    /// The element of a `for_each` step.
    pub element: Option<String>,
}

impl StepKey {
    /// The step whose outcome a query settles; `None` when anybody else asks. What another saga has done under the same
    /// business id must not settle it.
    ///
    /// # Errors
    /// When a query's metadata is missing in part, unreadable or contradictory.
    pub fn of_query(metadata: &MetadataMap) -> Result<Option<Self>, MetadataError> {
        const QUERY: &str = "query";
        if metadata.get("amends-operation").is_none_or(|operation| operation != QUERY) {
            return Ok(None);
        }
        let (saga_id, step) = (text(metadata, "amends-saga-id")?, text(metadata, "amends-step")?);
        parse_key(text(metadata, "idempotency-key")?, saga_id, step, QUERY).map(Some)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.saga_id, self.step)?;
        self.element.as_ref().map_or(Ok(()), |element| write!(f, "/{element}"))
    }
}

/// Everything the coordinator says about a call beside the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallContext {
    /// The step that is called.
    pub key: StepKey,
    /// Which of its operations.
    pub operation: Operation,
    /// Number of the attempt, from 1; for logs only, no rule hangs on it.
    pub attempt: u32,
    /// Fencing number of the coordinator node that calls.
    pub epoch: u64,
    /// The coordinator has recorded that the action succeeded.
    pub expects_succeeded: bool,
    /// The same on every attempt of this operation; pass it on to services behind this one.
    pub idempotency_key: String,
    /// Where the saga comes from, which says when its rows may be swept; absent from an older coordinator.
    pub origin: Option<Origin>,
}

/// Where a saga comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The coordinator's store; floors of other stores say nothing about this saga.
    pub store: String,
    /// When the saga began, in unix milliseconds by the coordinator's clock.
    pub begun: i64,
    /// Every saga of this store that began before this has ended and is forgotten there, in unix milliseconds.
    pub floor: i64,
}

/// Why a call's metadata can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It isn't there: most likely somebody other than the coordinator called.
    #[error("metadata {0} is missing: this method is a step of a saga and takes calls from the coordinator only")]
    Missing(&'static str),
    /// It is there but can't be read.
    #[error("metadata {name} is {given:?}; expected {expected}")]
    Invalid {
        /// The metadata key.
        name: &'static str,
        /// Its value, cut to a length that is safe to show.
        given: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// The idempotency key names another saga, step or operation than the other metadata do.
    #[error("metadata idempotency-key {given:?} contradicts {name}")]
    Contradiction {
        /// The metadata key that it contradicts.
        name: &'static str,
        /// The idempotency key.
        given: String,
    },
}

impl From<MetadataError> for Status {
    fn from(error: MetadataError) -> Self {
        Status::internal(error.to_string())
    }
}

impl CallContext {
    /// Reads the metadata of a call.
    ///
    /// # Errors
    /// When any of it is missing, unreadable or contradictory.
    pub fn from_metadata(metadata: &MetadataMap) -> Result<Self, MetadataError> {
        let saga_id = text(metadata, "amends-saga-id")?;
        let step = text(metadata, "amends-step")?;
        let word = text(metadata, "amends-operation")?;
        let operation =
            Operation::parse(word).ok_or_else(|| invalid("amends-operation", word, "action, compensate or confirm"))?;
        let attempt = number(metadata, "amends-attempt")?;
        let epoch = number(metadata, "amends-epoch")?;
        let expects_succeeded = match metadata.get("amends-expects").map(|value| value.to_str()) {
            None => false,
            Some(Ok("succeeded")) => true,
            Some(other) => return Err(invalid("amends-expects", other.unwrap_or_default(), "succeeded, or nothing")),
        };
        let idempotency_key = text(metadata, "idempotency-key")?.to_owned();
        let key = parse_key(&idempotency_key, saga_id, step, operation.as_str())?;
        let origin = origin(metadata);
        Ok(Self { key, operation, attempt, epoch, expects_succeeded, idempotency_key, origin })
    }
}

/// From `amends-saga-begun: MS` and `amends-floor: MS;store=ID`. What can't be read is as good as absent: the saga's rows
/// are then never swept, and no saga has to stop for that.
fn origin(metadata: &MetadataMap) -> Option<Origin> {
    let begun: i64 = metadata.get("amends-saga-begun")?.to_str().ok()?.parse().ok()?;
    let (floor, store) = metadata.get("amends-floor")?.to_str().ok()?.split_once(";store=")?;
    let floor = floor.parse().ok()?;
    // A saga that is called and over at once: whichever of the two is wrong, its rows stay.
    let makes_sense = begun >= floor && (1..=NAME_LENGTH_MAX).contains(&store.len());
    makes_sense.then(|| Origin { store: store.to_owned(), begun, floor })
}

/// `<namespace>/<saga>/<step>[/<element>]/<operation>`; no name may hold a slash, so that this is unambiguous.
fn parse_key(given: &str, saga_id: &str, step: &str, operation: &str) -> Result<StepKey, MetadataError> {
    const EXPECTED: &str = "<namespace>/<saga>/<step>[/<element>]/<operation>";
    let parts: Vec<&str> = given.split('/').collect();
    let (namespace, key_saga, key_step, element, key_operation) = match parts.as_slice() {
        [namespace, saga, step, operation] => (*namespace, *saga, *step, None, *operation),
        [namespace, saga, step, element, operation] => (*namespace, *saga, *step, Some(*element), *operation),
        _ => return Err(invalid("idempotency-key", given, EXPECTED)),
    };
    if parts.iter().any(|part| !(1..=NAME_LENGTH_MAX).contains(&part.len())) {
        return Err(invalid("idempotency-key", given, EXPECTED));
    }
    let pairs = [
        ("amends-saga-id", key_saga, saga_id),
        ("amends-step", key_step, step),
        ("amends-operation", key_operation, operation),
    ];
    for (name, in_key, stated) in pairs {
        if in_key != stated {
            return Err(MetadataError::Contradiction { name, given: shown(given) });
        }
    }
    Ok(StepKey {
        namespace: namespace.to_owned(),
        saga_id: saga_id.to_owned(),
        step: step.to_owned(),
        element: element.map(str::to_owned),
    })
}

fn text<'m>(metadata: &'m MetadataMap, name: &'static str) -> Result<&'m str, MetadataError> {
    let value = metadata.get(name).ok_or(MetadataError::Missing(name))?;
    value.to_str().map_err(|_| invalid(name, "(not ASCII)", "visible ASCII"))
}

fn number<N: std::str::FromStr>(metadata: &MetadataMap, name: &'static str) -> Result<N, MetadataError> {
    let given = text(metadata, name)?;
    given.parse().map_err(|_| invalid(name, given, "a whole number"))
}

fn invalid(name: &'static str, given: &str, expected: &'static str) -> MetadataError {
    MetadataError::Invalid { name, given: shown(given), expected }
}

fn shown(given: &str) -> String {
    given.chars().take(4 * NAME_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests;
