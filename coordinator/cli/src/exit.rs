//! How a command ends: the exit codes, and the failures with what the user reads about them.
//!
//! Never prints; `main` does. Invariant: scripts may rely on the numbers of [`Exit`], and `--help` lists them all. A
//! failure names what went wrong and, where there is one, the mend.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::connect::Address;

/// The exit codes, for the end of `amends --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  refused or failed; nothing was changed unless the message says so
  2  wrong usage: flags, files or values
  3  not found
  4  no answer: the coordinator isn't there, is overloaded, or the connection broke
  5  the saga that was waited for has not completed (compensated, stuck, force-stopped, still open)";

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Refused or failed.
    Refused = 1,
    /// Wrong usage; also what clap exits with.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// No answer that says what happened.
    Unavailable = 4,
    /// Waited for a saga that has not completed.
    NotCompleted = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file can't be read.
    #[error("{}: {source}{}", path.display(), mend_of(source))]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Nobody listens, so certainly nothing was sent.
    #[error("nothing answers at {address} — is `amends serve` running? ({})", root_cause(source))]
    NobodyAnswers {
        address: Box<Address>,
        #[source]
        source: tonic::transport::Error,
    },
    /// The coordinator said no, or nothing.
    #[error("{}", explain(status))]
    Status {
        #[source]
        status: Box<Status>,
    },
    /// A start without an answer.
    #[error("{source}\nThe saga may have been accepted. Repeat the command with {repeat}: it can't start twice.")]
    MaybeAccepted {
        repeat: String,
        #[source]
        source: Box<Failure>,
    },
    /// A saga that was waited for.
    #[error("saga {id} has not completed: it is {standing}")]
    NotCompleted { id: String, standing: String },
    /// A definition or a store with errors.
    #[error("{0}")]
    Findings(String),
    /// Sagas of a batch that were left alone.
    #[error("{0}")]
    LeftAlone(String),
    /// The user was asked and said no.
    #[error("nothing was changed")]
    Declined,
    /// An answer of the coordinator that this program doesn't understand.
    #[error("the answer can't be shown ({0}); this program may be older than the coordinator, `-o table` shows more")]
    Answer(#[source] serde_json::Error),
    /// Stdout is closed or full, or the process can't begin.
    #[error("{0}")]
    Process(#[source] std::io::Error),
}

impl Failure {
    /// With which code the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::File { .. } => Exit::Usage,
            Self::NobodyAnswers { .. } => Exit::Unavailable,
            Self::Status { status } => exit_of(status),
            Self::MaybeAccepted { source, .. } => source.exit(),
            Self::NotCompleted { .. } => Exit::NotCompleted,
            Self::Findings(_) | Self::LeftAlone(_) | Self::Declined | Self::Answer(_) | Self::Process(_) => {
                Exit::Refused
            }
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status { status: Box::new(status) }
    }
}

/// `Unknown` is what a broken connection turns into; a coordinator never sends it on purpose. Where tonic says what broke, it is that
/// under any code: a connection that was being closed is `Internal`.
fn exit_of(status: &Status) -> Exit {
    match status.code() {
        _ if status.source().is_some() => Exit::Unavailable,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Exit::Unavailable
        }
        _ => Exit::Refused,
    }
}

/// The message, the fields it is about, and when to try again.
fn explain(status: &Status) -> String {
    use fmt::Write as _;

    let code = words_of(status.code());
    let mut text = match status.message() {
        "" => format!("the coordinator answered {code}"),
        message => format!("{message} ({code})"),
    };
    if status.source().is_some() {
        text = format!("no answer from the coordinator: {text}");
    }
    let details = status.get_error_details();
    for violation in details.bad_request().iter().flat_map(|request| &request.field_violations) {
        // Writing to a String can't fail.
        let _ = write!(text, "\n  {}: {}", violation.field, violation.description);
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        let _ = write!(text, "\n  try again in {}", crate::time::span(delay));
    }
    text
}

/// `FAILED_PRECONDITION`, as the API documentation has it.
fn words_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// What to do about a file that can't be read.
fn mend_of(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::IsADirectory => " — name the files in it",
        _ => "",
    }
}

/// The innermost error: "Connection refused (os error 111)" says more than "transport error".
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn every_exit_code_is_in_the_help() {
        let codes = [Exit::Ok, Exit::Refused, Exit::Usage, Exit::NotFound, Exit::Unavailable, Exit::NotCompleted]
            .map(|e| e as u8);
        for code in codes {
            assert!(HELP.contains(&format!("\n  {code}  ")), "{code}");
        }
    }

    #[test]
    fn a_refusal_names_the_fields_and_when_to_try_again() {
        let mut details = ErrorDetails::with_bad_request_violation("reason", "is required");
        details.set_retry_info(Some(std::time::Duration::from_millis(1500)));
        let failure = Failure::from(Status::with_error_details(Code::InvalidArgument, "bad request", details));
        assert_eq!(failure.to_string(), "bad request (INVALID_ARGUMENT)\n  reason: is required\n  try again in 1.5s");
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn a_connection_that_broke_is_no_refusal_whatever_its_code() {
        let mut closing = Status::internal("h2 protocol error: http2 error");
        closing.set_source(std::sync::Arc::new(std::io::Error::other("GOAWAY")));
        let failure = Failure::from(closing);
        assert_eq!(failure.exit(), Exit::Unavailable);
        assert!(failure.to_string().starts_with("no answer from the coordinator"), "{failure}");
    }
}
