//! What a refusal looks like outside: the one table from our errors to gRPC codes with `google.rpc` details.
//!
//! Invariants: every refusal has an `ErrorInfo` reason that programs can rely on; a bad field is named in `BadRequest`, with
//! the mend; what may be retried says when in `RetryInfo`; no refusal holds a payload.

use std::collections::HashMap;
use std::time::Duration;

use amends_engine::IllegalEvent;
use amends_engine::standing::StatusWord;
use amends_runtime::RequestError;
use amends_runtime::batch::BatchError;
use amends_runtime::participant::TooManyInstances;
use amends_store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// The domain of our reasons.
pub(crate) const DOMAIN: &str = "amends";
/// The reason of a refusal that says that nothing was done because the shard isn't here.
pub(crate) const ELSEWHERE: &str = "ELSEWHERE";
/// When to try again where a person has to look first.
const FROZEN_RETRY: Duration = Duration::from_secs(30);
/// When to try again after a pause of the coordinator: a shard is taken over within seconds.
pub(crate) const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
/// When to try again after the disk was full: somebody has to make room first.
const FULL_RETRY: Duration = Duration::from_secs(10);

/// Longest text of a refusal.
const TEXT_BYTES_MAX: usize = 1024;
/// Most that is said about fields, in all.
const VIOLATIONS_BYTES_MAX: usize = 4096;

/// A field of a request that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its path, as in the .proto file.
    pub(crate) field: String,
    /// What is wrong with it, and the mend.
    pub(crate) problem: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// A request that isn't carried out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Fields that can't be taken; `summary` where they are many.
    Invalid { summary: Option<String>, violations: Vec<Violation> },
    /// What the runtime says.
    Request(RequestError),
    /// The request makes no sense in this state of the saga.
    Illegal { error: IllegalEvent, status: StatusWord },
    /// There is no such participant.
    NoSuchParticipant(String),
    /// Its instances may not register themselves.
    NoSelfRegistration(String),
    /// No more of its instances are taken.
    TooManyInstances(TooManyInstances),
    /// There is no such node.
    NoSuchNode(String),
    /// There is no such webhook.
    NoSuchWebhook(String),
    /// A node can't be asked.
    NodeUnreachable(String),
    /// No other node could take the shards of this one.
    NoHeir,
    /// The record isn't at the expected revision.
    RevisionMoved { expected: u64, found: u64 },
    /// Work that was carried out elsewhere broke down.
    Broken,
    /// The bytes are no message of this method.
    Unreadable(String),
    /// It isn't known who asks.
    Unauthenticated(&'static str),
    /// Whoever asks may not.
    Denied { caller: String, method: String, needed: String },
    /// Whoever asks does so too often.
    TooOften { after: Duration },
    /// What batches say.
    Batch(BatchError),
    /// There is too much to do.
    Crowded { after: Duration },
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::Invalid { summary: None, violations: vec![violation] }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { expected, found } => Self::RevisionMoved { expected, found },
            other => Self::Request(other.into()),
        }
    }
}

impl From<BatchError> for Refusal {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Request(error) => error.into(),
            BatchError::Store(error) => Self::Request(error.into()),
            BatchError::TooMany { .. } => Violation::new("filter", error.to_string()).into(),
            other => Self::Batch(other),
        }
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        crate::http::problem(self.into())
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let Row { code, reason, message, about, mend } = row(refusal);
        let mut details = ErrorDetails::new();
        let about: HashMap<String, String> =
            about.into_iter().map(|(key, value)| (key.to_owned(), shortened(value))).collect();
        details.set_error_info(reason, DOMAIN, about);
        if let Some(delay) = mend.after {
            details.set_retry_info(Some(delay));
        }
        if !mend.violations.is_empty() {
            details.set_bad_request(that_fit(mend.violations));
        }
        Status::with_error_details(code, shortened(message), details)
    }
}

/// The first ones, as many as fit; at least one.
fn that_fit(violations: Vec<FieldViolation>) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let shorter = violations.into_iter().map(|it| FieldViolation::new(shortened(it.field), shortened(it.description)));
    let fits = |it: &FieldViolation| {
        bytes += it.field.len() + it.description.len();
        bytes <= VIOLATIONS_BYTES_MAX
    };
    shorter.take_while(fits).collect()
}

/// What a caller sent may be repeated in a refusal, which travels in headers: larger ones break the answer.
fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

/// What one refusal becomes.
struct Row {
    code: Code,
    reason: &'static str,
    message: String,
    about: Vec<(&'static str, String)>,
    mend: Mend,
}

/// What the caller can do about it.
#[derive(Default)]
struct Mend {
    after: Option<Duration>,
    violations: Vec<FieldViolation>,
}

fn row(refusal: Refusal) -> Row {
    let plain = |code, reason, message: String| Row { code, reason, message, about: vec![], mend: Mend::default() };
    match refusal {
        Refusal::Invalid { summary, violations } => invalid(summary, violations),
        Refusal::Illegal { error: IllegalEvent::NoSuchOperation, .. } => {
            plain(Code::NotFound, "STEP_NOT_FOUND", IllegalEvent::NoSuchOperation.to_string())
        }
        Refusal::Illegal { error, status } => Row {
            about: vec![("status", status.to_string())],
            ..plain(Code::FailedPrecondition, "NOT_IN_THIS_STATE", format!("{error}; the saga is {status}"))
        },
        Refusal::NoSuchParticipant(name) => Row {
            about: vec![("participant", name.clone())],
            ..plain(
                Code::NotFound,
                "PARTICIPANT_NOT_FOUND",
                format!("there is no participant {name}: register it first"),
            )
        },
        Refusal::NoSelfRegistration(name) => plain(
            Code::FailedPrecondition,
            "NO_SELF_REGISTRATION",
            format!("participant {name} is registered without self-registration: put it with self_registration"),
        ),
        Refusal::TooManyInstances(error) => Row {
            mend: Mend { after: Some(FULL_RETRY), violations: vec![] },
            ..plain(Code::ResourceExhausted, "TOO_MANY_INSTANCES", error.to_string())
        },
        Refusal::NoSuchWebhook(name) => Row {
            about: vec![("webhook", name.clone())],
            ..plain(
                Code::NotFound,
                "WEBHOOK_NOT_FOUND",
                format!(
                    "there is no webhook {name:?}: those that there are stand in the configuration, under alerts.webhooks"
                ),
            )
        },
        Refusal::NoSuchNode(name) => Row {
            about: vec![("node", name.clone())],
            ..plain(
                Code::NotFound,
                "NODE_NOT_FOUND",
                format!("there is no node {name}: list the nodes to see who is there"),
            )
        },
        Refusal::NodeUnreachable(name) => Row {
            about: vec![("node", name.clone())],
            mend: Mend { after: Some(UNAVAILABLE_RETRY), violations: vec![] },
            ..plain(Code::Unavailable, "NODE_UNREACHABLE", format!("node {name} can't be reached from here"))
        },
        Refusal::NoHeir => plain(
            Code::FailedPrecondition,
            "NO_OTHER_NODE",
            "no other node could take its shards: start one first, or stop this one".to_owned(),
        ),
        Refusal::RevisionMoved { expected, found } => revision_moved(expected, found),
        Refusal::Broken => plain(
            Code::Internal,
            "BROKEN",
            "this request broke down inside the coordinator; its log says more, please report it".to_owned(),
        ),
        Refusal::Request(error) => request_row(error),
        Refusal::Batch(error) => batch_row(&error),
        Refusal::Unreadable(problem) => {
            plain(Code::InvalidArgument, "UNREADABLE", format!("the request can't be read: {problem}"))
        }
        Refusal::Unauthenticated(why) => plain(Code::Unauthenticated, "UNAUTHENTICATED", why.to_owned()),
        Refusal::Denied { caller, method, needed } => Row {
            about: vec![("caller", caller.clone()), ("needed", needed.clone())],
            ..plain(
                Code::PermissionDenied,
                "DENIED",
                format!("{caller} may not {method} this: it needs one of {needed}; grant it in the access file"),
            )
        },
        Refusal::TooOften { after } => later(after, "TOO_OFTEN", "you ask too often; ask again later"),
        Refusal::Crowded { after } => {
            later(after, "OVERLOADED", "there is too much to do, and ending sagas comes first; ask again later")
        }
    }
}

fn later(after: Duration, reason: &'static str, message: &str) -> Row {
    Row {
        code: Code::ResourceExhausted,
        reason,
        message: message.to_owned(),
        about: vec![],
        mend: Mend { after: Some(after), violations: vec![] },
    }
}

fn batch_row(error: &BatchError) -> Row {
    let (code, reason, after) = match error {
        BatchError::NoSuchBatch(_) => (Code::NotFound, "BATCH_NOT_FOUND", None),
        BatchError::Expired(_) => (Code::FailedPrecondition, "BATCH_EXPIRED", None),
        BatchError::Done(_) => (Code::FailedPrecondition, "BATCH_DONE", None),
        BatchError::NotRunning { .. } => (Code::FailedPrecondition, "BATCH_NOT_RUNNING", None),
        BatchError::Contended(_) => (Code::Unavailable, "CONTENDED", Some(UNAVAILABLE_RETRY)),
        BatchError::Unreadable { .. } => (Code::DataLoss, "UNREADABLE", None),
        // Said as what they are; see `From<BatchError>`.
        BatchError::TooMany { .. } | BatchError::Request(_) | BatchError::Store(_) => {
            (Code::Unavailable, "UNAVAILABLE", Some(UNAVAILABLE_RETRY))
        }
    };
    let mend = Mend { after, violations: vec![] };
    Row { code, reason, message: error.to_string(), about: vec![], mend }
}

fn request_row(error: RequestError) -> Row {
    let message = error.to_string();
    let (code, reason, after) = match &error {
        RequestError::NoSuchSaga(_) => (Code::NotFound, "SAGA_NOT_FOUND", None),
        RequestError::NoSuchDefinition { .. } => (Code::NotFound, "DEFINITION_NOT_FOUND", None),
        RequestError::Deprecated { .. } => (Code::FailedPrecondition, "DEFINITION_DEPRECATED", None),
        RequestError::NoSuchStep(_) => (Code::NotFound, "STEP_NOT_FOUND", None),
        RequestError::AlreadyExists { .. } => (Code::AlreadyExists, "SAGA_EXISTS", None),
        RequestError::Reserved(_) => (Code::AlreadyExists, "SAGA_ID_RESERVED", None),
        RequestError::BadInput(_) => return invalid(None, vec![Violation::new("input", message)]),
        RequestError::Illegal(_) => (Code::FailedPrecondition, "NOT_IN_THIS_STATE", None),
        RequestError::RevisionMoved { expected, found } => return revision_moved(*expected, *found),
        RequestError::Unreadable(_) | RequestError::UnreadableSaga(_) => (Code::DataLoss, "UNREADABLE", None),
        RequestError::Overloaded { retry_after } => (Code::ResourceExhausted, "OVERLOADED", Some(*retry_after)),
        RequestError::StoreFull => (Code::ResourceExhausted, "STORE_FULL", Some(FULL_RETRY)),
        RequestError::Elsewhere(_) => (Code::Unavailable, ELSEWHERE, Some(UNAVAILABLE_RETRY)),
        RequestError::Frozen(_) => (Code::Unavailable, "SHARD_FROZEN", Some(FROZEN_RETRY)),
        RequestError::Unavailable(_) => (Code::Unavailable, "UNAVAILABLE", Some(UNAVAILABLE_RETRY)),
    };
    let about = match error {
        RequestError::AlreadyExists { difference, .. } => vec![("difference", difference.to_owned())],
        RequestError::Deprecated { newest: Some(newest), .. } => vec![("newest_usable_version", newest.to_string())],
        _ => vec![],
    };
    Row { code, reason, message, about, mend: Mend { after, violations: vec![] } }
}

fn revision_moved(expected: u64, found: u64) -> Row {
    Row {
        code: Code::Aborted,
        reason: "REVISION_MOVED",
        message: format!("it is at revision {found}, not at {expected}: look at it again"),
        about: vec![("expected", expected.to_string()), ("found", found.to_string())],
        mend: Mend::default(),
    }
}

fn invalid(summary: Option<String>, violations: Vec<Violation>) -> Row {
    let first = || violations.first().map(|violation| format!("{}: {}", violation.field, violation.problem));
    let message = summary.or_else(first).unwrap_or_default();
    let violations = violations.into_iter().map(|it| FieldViolation::new(it.field, it.problem)).collect();
    Row {
        code: Code::InvalidArgument,
        reason: "INVALID",
        message,
        about: vec![],
        mend: Mend { after: None, violations },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amends_engine::ids::{Namespace, SagaId, SagaKey};

    fn key() -> SagaKey {
        SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() }
    }

    fn shown(refusal: impl Into<Refusal>) -> (Code, String, String) {
        let status = Status::from(refusal.into());
        let reason = status.get_error_details().error_info().unwrap().reason.clone();
        (status.code(), reason, status.message().to_owned())
    }

    #[test]
    fn a_bad_field_is_named_with_the_mend() {
        let status = Status::from(Refusal::from(Violation::new("reason", "it is empty; say why")));
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "reason: it is empty; say why"));
        let violations = status.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(
            (violations[0].field.as_str(), violations[0].description.as_str()),
            ("reason", "it is empty; say why")
        );
    }

    #[test]
    fn a_refusal_repeats_only_so_much_of_what_was_sent() {
        let status = Status::from(Refusal::NoSuchNode("é".repeat(100_000)));
        assert!(status.message().len() < 3000 && status.details().len() < 6000);
    }

    #[test]
    fn what_may_be_retried_says_when() {
        let overloaded = RequestError::Overloaded { retry_after: Duration::from_millis(500) };
        let unavailable = RequestError::Unavailable("stopping".to_owned());
        for (error, code) in [
            (overloaded, Code::ResourceExhausted),
            (RequestError::StoreFull, Code::ResourceExhausted),
            (unavailable, Code::Unavailable),
        ] {
            let status = Status::from(Refusal::from(error));
            assert_eq!(status.code(), code);
            assert!(status.get_error_details().retry_info().unwrap().retry_delay.is_some());
        }
        assert!(
            Status::from(Refusal::from(RequestError::NoSuchSaga(key()))).get_error_details().retry_info().is_none()
        );
    }

    #[test]
    fn every_refusal_has_its_code_and_reason() {
        let moved = RequestError::RevisionMoved { expected: 2, found: 3 };
        assert_eq!(shown(moved).0, Code::Aborted);
        assert_eq!(shown(StoreError::Conflict { expected: 2, found: 3 }).1, "REVISION_MOVED");
        let exists = RequestError::AlreadyExists { key: key(), difference: "input" };
        assert_eq!(
            (shown(exists).0, shown(RequestError::Reserved(key())).0),
            (Code::AlreadyExists, Code::AlreadyExists)
        );
        let illegal = Refusal::Illegal { error: IllegalEvent::Ended, status: StatusWord::Compensated };
        let (code, reason, message) = shown(illegal);
        assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "NOT_IN_THIS_STATE"));
        assert!(message.ends_with("the saga is compensated"), "{message}");
        assert_eq!(shown(RequestError::NoSuchStep("x".to_owned())).1, "STEP_NOT_FOUND");
        assert_eq!(shown(RequestError::BadInput("the input is not JSON".to_owned())).2, "input: the input is not JSON");
        assert_eq!(shown(Refusal::Broken).0, Code::Internal);
    }
}
