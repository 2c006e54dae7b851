//! What can go wrong, as types, and whether a repeat helps.
//!
//! The one place that reads gRPC codes and `google.rpc` details. Invariant: an answer that says nothing about what happened
//! is [`Class::Transient`], never a refusal.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such saga, definition, version or step; `reason` is `SAGA_NOT_FOUND`, `DEFINITION_NOT_FOUND` or
    /// `STEP_NOT_FOUND`.
    #[error("{message}")]
    NotFound {
        /// Which of them.
        reason: String,
        /// For people.
        message: String,
    },
    /// The id belongs to a saga of another definition or with another input.
    #[error("{message}")]
    AlreadyExists {
        /// What differs, where the saga is still there: `definition`, `version` or `input`.
        difference: Option<String>,
        /// For people.
        message: String,
    },
    /// The saga's state doesn't allow it, now or ever.
    #[error("{message}")]
    Refused {
        /// For programs: `NOT_IN_THIS_STATE`.
        reason: String,
        /// For people.
        message: String,
    },
    /// The request can't be taken; each violation names a field and the mend.
    #[error("{message}")]
    Invalid {
        /// For people.
        message: String,
        /// What is wrong with which field.
        violations: Vec<Violation>,
    },
    /// Somebody else has changed it in the meantime.
    #[error("{message}")]
    Conflict {
        /// For people.
        message: String,
    },
    /// The coordinator has too much to do, or no room.
    #[error("the coordinator is busy: {message}")]
    Busy {
        /// When it may go better.
        retry_after: Option<Duration>,
        /// For people.
        message: String,
    },
    /// No answer that says what happened: the request may have been carried out.
    #[error("no answer from the coordinator: {}", .source.message())]
    Unavailable {
        /// When it may go better.
        retry_after: Option<Duration>,
        /// What came instead.
        source: Box<Status>,
    },
    /// The caller may not do this.
    #[error("{message}")]
    Denied {
        /// For people.
        message: String,
    },
    /// The coordinator or its record of the saga is broken, or it doesn't know this method.
    #[error("the coordinator failed: {} ({:?})", .source.message(), .source.code())]
    Broken {
        /// What it said.
        source: Box<Status>,
    },
    /// An input or output that can't be turned into JSON; nothing was sent.
    #[error("{what} can't be written as JSON")]
    Encode {
        /// Which.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A step's output isn't what the caller expects.
    #[error("the output of step {step} can't be read as the type that was asked for")]
    Output {
        /// The step.
        step: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// A field that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its path, as in the API: `input`, `labels`.
    pub field: String,
    /// What is wrong, and the mend.
    pub problem: String,
}

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The same request may succeed later, and can do no harm: it was tried until the time limit already.
    Transient,
    /// Look at the saga again, then decide: its state is not what the request supposes.
    Conflict,
    /// The same request will never succeed: the caller, its rights or the coordinator must be mended.
    Permanent,
}

impl Error {
    /// Whether a repeat helps.
    pub fn class(&self) -> Class {
        match self {
            Self::Busy { .. } | Self::Unavailable { .. } => Class::Transient,
            Self::Conflict { .. } | Self::Refused { .. } => Class::Conflict,
            Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Invalid { .. }
            | Self::Denied { .. }
            | Self::Broken { .. }
            | Self::Encode { .. }
            | Self::Output { .. } => Class::Permanent,
        }
    }

    /// How long the coordinator asks callers to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn invalid(field: &str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        let message = format!("{field}: {problem}");
        Self::Invalid { message, violations: vec![Violation { field: field.to_owned(), problem }] }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        // Only a status that was made on this side, of a connection that broke, has a source.
        if std::error::Error::source(&status).is_some() {
            return Self::Unavailable { retry_after, source: Box::new(status) };
        }
        let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        let message = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound { reason, message },
            Code::AlreadyExists => {
                let about = details.error_info().map(|info| &info.metadata);
                Self::AlreadyExists { difference: about.and_then(|about| about.get("difference").cloned()), message }
            }
            Code::FailedPrecondition => Self::Refused { reason, message },
            Code::InvalidArgument | Code::OutOfRange => {
                let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
                let named = |it: FieldViolation| Violation { field: it.field, problem: it.description };
                let violations = fields.into_iter().map(named).collect();
                Self::Invalid { message, violations }
            }
            Code::Aborted => Self::Conflict { message },
            Code::ResourceExhausted => Self::Busy { retry_after, message },
            // The last three are what a connection that is cut off turns into; a coordinator never means them.
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Ok => {
                Self::Unavailable { retry_after, source: Box::new(status) }
            }
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied { message },
            Code::Unimplemented | Code::Internal | Code::DataLoss => Self::Broken { source: Box::new(status) },
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn the_coordinators_details_are_read() {
        let mut details = ErrorDetails::with_bad_request_violation("reason", "it is empty; say why");
        details.set_retry_info(Some(Duration::from_millis(700)));
        let with = |code| Error::from(Status::with_error_details(code, "no", details.clone()));
        let Error::Invalid { violations, .. } = with(Code::InvalidArgument) else { panic!() };
        assert_eq!((violations[0].field.as_str(), violations[0].problem.as_str()), ("reason", "it is empty; say why"));
        for code in [Code::ResourceExhausted, Code::Unavailable] {
            assert_eq!(with(code).retry_after(), Some(Duration::from_millis(700)));
        }
    }

    #[test]
    fn only_what_says_nothing_about_what_happened_is_transient() {
        let is_transient = |code: &Code| Error::from(Status::new(*code, "")).class() == Class::Transient;
        let transient: Vec<_> = (1..=16).map(Code::from).filter(is_transient).collect();
        use Code::{Cancelled, DeadlineExceeded, ResourceExhausted, Unavailable, Unknown};
        assert_eq!(transient, [Cancelled, Unknown, DeadlineExceeded, ResourceExhausted, Unavailable]);
        // Whatever code a broken connection is given on this side.
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert_eq!(Error::from(broken).class(), Class::Transient);
    }
}
