//! The status codes: as definitions write them, gRPC's by name and HTTP's by number, and what gRPC's mean where nobody says
//! otherwise.
//!
//! The runtime reads answers by this table, and scenarios replay them by it, so that a test can't disagree with production.
//! Invariants: a status is written in one way only (`0409` is none); `OK` is not among gRPC's codes: what an `OK` means is
//! said by the reply (`rejected_when`, `pending_when`); a code that the table doesn't name is unknown, never a refusal.

use amends_engine::ids::Operation;

/// Every code that a definition may map.
pub(crate) const MAPPABLE: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Whether this is the number of an HTTP status that a definition may map. A 1xx is never the last word, so nothing below 200.
pub(crate) fn is_mappable_status(text: &str) -> bool {
    text.len() == 3
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse().is_ok_and(|number: u16| (200..600).contains(&number))
}

/// What a status code means by default (design §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsualMeaning {
    /// The participant refused, and nothing happened.
    Rejected,
    /// There is nothing there; what follows from it depends on the operation.
    NotFound,
    /// Credentials, permission or method are wrong.
    Misconfigured,
    /// It may have happened.
    Unknown,
}

/// What a status code means to an operation where neither definition nor registration says otherwise. `code` is gRPC's
/// name, `FAILED_PRECONDITION`, or the number of an HTTP status that is no success, `409`.
///
/// Of HTTP, 400, 410, 412, 422 and for an action 404 are refusals, since they say that the request as such was looked at and
/// not carried out; 401, 403, 405 and 501 need a person. Everything else is unknown: a redirect that nobody followed, a
/// conflict that may be a repeat, a 5xx of a proxy whose service did the work.
pub fn usual_meaning(operation: Operation, code: &str) -> UsualMeaning {
    match (code, operation) {
        ("FAILED_PRECONDITION" | "INVALID_ARGUMENT", _) | ("NOT_FOUND" | "404", Operation::Action) => {
            UsualMeaning::Rejected
        }
        ("400" | "410" | "412" | "422", _) => UsualMeaning::Rejected,
        ("NOT_FOUND" | "404", Operation::Compensate | Operation::Confirm | Operation::Query) => UsualMeaning::NotFound,
        ("UNAUTHENTICATED" | "PERMISSION_DENIED" | "UNIMPLEMENTED", _) => UsualMeaning::Misconfigured,
        ("401" | "403" | "405" | "501", _) => UsualMeaning::Misconfigured,
        // ALREADY_EXISTS too: a good participant says it to a repeat, so that it happened is as likely as not (A8).
        _ => UsualMeaning::Unknown,
    }
}
