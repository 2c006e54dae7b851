//! The table: what a reply means for a saga (design §7). One pure function, and nowhere else.
//!
//! HTTP's part of the table is in `outcome/http.rs`. It never calls anybody and keeps no state; what the definition and the registration say comes in. Order of precedence: our
//! own error reasons, then the operation's mapping, then the participant's, then the usual meaning of the code. Invariants:
//! only a refusal that somebody agreed on reads as [`Outcome::Rejected`], whatever is not in the table is unknown (semantics
//! A8), and a query is never rejected: it asks, and the call that it asks about may still be on its way.

use amends_definition::{Judgement, UsualMeaning, usual_meaning};
use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use bytes::Bytes;

use super::code::AnyCode;
use super::registration::Codes;
use super::{ERROR_DOMAIN, Reply, Status};
use crate::planted;

/// What a status code says where it doesn't have its usual meaning.
pub use amends_definition::MappedOutcome as Meaning;

/// How a definition reads the answers to one operation.
pub trait Reading {
    /// The reply as the step's output, and what the definition's expressions say about it. The error says what can't be read.
    fn read(&self, reply: &Bytes) -> Result<(Payload, Judgement), String>;

    /// What the operation says that this code means; `None` where it says nothing. `code` is gRPC's name or an HTTP status.
    fn meaning(&self, code: &str) -> Option<Meaning>;
}

/// What a reply means. `codes` and `refusals_final` are the participant's, from its registration.
pub fn classify(
    operation: Operation,
    reply: &Reply,
    reading: &dyn Reading,
    codes: &Codes,
    refusals_final: bool,
) -> Outcome {
    let outcome = match reply {
        Reply::Http(reply) => http::of_reply(operation, reply, reading, codes, refusals_final),
        Reply::Ok { pending: true, .. } => Outcome::Pending,
        Reply::Ok { bytes, pending: false } => of_message(operation, bytes, reading, refusals_final),
        Reply::Status(status) => of_status(operation, status, reading, codes, refusals_final),
        Reply::NoAnswer => unknown(Doubt::NoAnswer, Why::new("", "no answer within the attempt's time")),
        Reply::Broken(why) => unknown(Doubt::Broken, Why::new("", why)),
        Reply::TooLarge { limit } => {
            unknown(Doubt::Unreadable, Why::new("", format!("the reply is longer than the limit of {limit} bytes")))
        }
        Reply::Unreadable(why) => unknown(Doubt::Unreadable, Why::new("", why)),
        Reply::NotSent(why) => Outcome::NotSent(Why::new("", why)),
    };
    plant(operation, outcome)
}

fn of_message(operation: Operation, bytes: &Bytes, reading: &dyn Reading, refusals_final: bool) -> Outcome {
    let (output, judgement) = match reading.read(bytes) {
        Ok(read) => read,
        Err(why) => return unknown(Doubt::Unreadable, Why::new("", why)),
    };
    match (judgement, operation) {
        (Judgement::Succeeded, _) => Outcome::Succeeded(output),
        (Judgement::Pending, _) => Outcome::Pending,
        (Judgement::Rejected(why), _) => rejected(operation, why, refusals_final),
        (Judgement::NotYet, Operation::Query) => {
            Outcome::NotFound(Why::new("", "by its reply the effect doesn't stand yet (`when`)"))
        }
        (Judgement::NotYet, _) => unknown(Doubt::Code, Why::new("", "by its reply it hasn't happened yet")),
    }
}

fn of_status(
    operation: Operation,
    status: &Status,
    reading: &dyn Reading,
    codes: &Codes,
    refusals_final: bool,
) -> Outcome {
    let why = said(status);
    if let Some(doubt) = our_doubt(status) {
        return unknown(doubt, why);
    }
    let mapped = reading.meaning(status.code.name()).or_else(|| codes.get(&AnyCode::Grpc(status.code)).copied());
    match mapped {
        Some(Meaning::Succeeded) => Outcome::Succeeded(Payload::json("{}")),
        Some(Meaning::Rejected) => rejected(operation, why, refusals_final),
        Some(Meaning::Pending) => Outcome::Pending,
        Some(Meaning::Unknown) => unknown(Doubt::Code, why),
        None => usual(operation, status.code.name(), why, refusals_final),
    }
}

/// The default of the table: of a gRPC code by its name, of an HTTP status by its number.
fn usual(operation: Operation, code: &str, why: Why, refusals_final: bool) -> Outcome {
    match usual_meaning(operation, code) {
        UsualMeaning::Rejected => rejected(operation, why, refusals_final),
        UsualMeaning::NotFound => Outcome::NotFound(why),
        UsualMeaning::Misconfigured => unknown(Doubt::Misconfigured, why),
        UsualMeaning::Unknown => unknown(Doubt::Code, why),
    }
}

/// The doubt that our own barrier raises, whatever code it came with.
fn our_doubt(status: &Status) -> Option<Doubt> {
    doubt_of(status.info.as_ref().filter(|info| info.domain == ERROR_DOMAIN)?.reason.as_str())
}

fn doubt_of(reason: &str) -> Option<Doubt> {
    match reason {
        "AMENDS_KEY_REUSED" => Some(Doubt::KeyReused),
        "AMENDS_ROW_MISSING" => Some(Doubt::RowMissing),
        "AMENDS_STALE_EPOCH" => Some(Doubt::StaleEpoch),
        _ => None,
    }
}

/// The participant's own reason where it gives one, else the code's name.
fn said(status: &Status) -> Why {
    let code = status.info.as_ref().map_or(status.code.name(), |info| info.reason.as_str());
    Why::new(code, status.message.as_str())
}

fn rejected(operation: Operation, why: Why, refusals_final: bool) -> Outcome {
    match operation {
        Operation::Query => unknown(Doubt::Code, why),
        Operation::Action | Operation::Compensate | Operation::Confirm => {
            Outcome::Rejected { why, last_word: refusals_final }
        }
    }
}

fn unknown(doubt: Doubt, why: Why) -> Outcome {
    Outcome::Unknown { doubt, why }
}

/// Where `make mutants` plants the oldest mistake of all: taking "I don't know" for "no".
fn plant(operation: Operation, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { doubt: Doubt::NoAnswer | Doubt::Broken | Doubt::Code, why }
            if operation != Operation::Query && planted::is("unknown_read_as_rejected") =>
        {
            Outcome::Rejected { why, last_word: false }
        }
        other => other,
    }
}

mod http;

#[cfg(test)]
mod tests;
