//! From a written reply to the outcome that the runtime would have made of the real one.
//!
//! Codes are read by the same table as in production ([`crate::usual_meaning`]), after the definition's own `codes:`; what a
//! participant's registration maps is not known here. Invariant: a reply that the definition doesn't read as its scenario says
//! is an error, so that a scenario can't pass by a misunderstanding.

use amends_engine::ids::Operation;
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use serde_json::{Map, Value};

use super::{Answer, OperationKey};
use crate::codes::{UsualMeaning, usual_meaning};
use crate::compiled::{Compiled, Judgement};
use crate::document::MappedOutcome;

/// The outcome of an attempt. `last_word`: the participant's refusals are final.
pub(super) fn outcome(
    compiled: &Compiled,
    (step, operation): OperationKey,
    answer: &Answer,
    last_word: bool,
) -> Result<Outcome, String> {
    let unknown = |doubt, message: &str| Ok(Outcome::Unknown { doubt, why: Why::new("", message) });
    match answer {
        Answer::Succeeds(reply) => {
            let empty = Value::Object(Map::new());
            let payload = compiled.reply_from_json(step, operation, reply.as_ref().unwrap_or(&empty))?;
            let judgement = match compiled.judge_reply(step, operation, &payload) {
                // What nobody has written can't be judged.
                Err(_) if reply.is_none() => Judgement::Succeeded,
                judgement => judgement.map_err(|error| error.to_string())?,
            };
            match judgement {
                Judgement::Succeeded => Ok(Outcome::Succeeded(payload)),
                Judgement::Rejected(_) => Err(not_a_success("a refusal (`rejected_when`)")),
                Judgement::Pending => Err(not_a_success("pending (`pending_when`)")),
                Judgement::NotYet => Err(not_a_success("not yet (`when`)")),
            }
        }
        Answer::Replies(reply) => {
            let payload = compiled.reply_from_json(step, operation, reply)?;
            match compiled.judge_reply(step, operation, &payload) {
                Ok(judgement) => Ok(judged(operation, payload, judgement, last_word)),
                Err(error) => unknown(Doubt::Unreadable, &error.to_string()),
            }
        }
        Answer::Rejects { code, message } => {
            Ok(rejected(operation, Why::new(code.as_str(), message.as_str()), last_word))
        }
        Answer::Code { code, message } => {
            let why = Why::new(code.as_str(), message.as_str());
            Ok(of_code(operation, compiled.code(step, operation, code), code, why, last_word))
        }
        Answer::TimesOut => unknown(Doubt::NoAnswer, "no answer within the attempt's time"),
        Answer::Breaks => unknown(Doubt::Broken, "the connection broke after the request had left"),
        Answer::NotSent => Ok(Outcome::NotSent(Why::new("", "no connection"))),
        Answer::Pending(_) => Ok(Outcome::Pending),
        // Nobody is left to hear it: the next owner counts the attempt as sent and unknown.
        Answer::Crash => unknown(Doubt::OwnerLost, "the coordinator crashed"),
    }
}

fn not_a_success(read_as: &str) -> String {
    format!("the definition reads this reply as {read_as} — write `replies:` instead of `succeeds:`")
}

fn judged(operation: Operation, payload: Payload, judgement: Judgement, last_word: bool) -> Outcome {
    match (judgement, operation) {
        (Judgement::Succeeded, _) => Outcome::Succeeded(payload),
        (Judgement::Pending, _) => Outcome::Pending,
        (Judgement::Rejected(why), _) => rejected(operation, why, last_word),
        (Judgement::NotYet, _) => Outcome::NotFound(Why::new("", "by its reply the effect doesn't stand yet (`when`)")),
    }
}

fn of_code(operation: Operation, mapped: Option<MappedOutcome>, code: &str, why: Why, last_word: bool) -> Outcome {
    match (mapped, usual_meaning(operation, code)) {
        (Some(MappedOutcome::Succeeded), _) => Outcome::Succeeded(Payload::json("{}")),
        (Some(MappedOutcome::Pending), _) => Outcome::Pending,
        (Some(MappedOutcome::Rejected), _) | (None, UsualMeaning::Rejected) => rejected(operation, why, last_word),
        (None, UsualMeaning::NotFound) => Outcome::NotFound(why),
        (None, UsualMeaning::Misconfigured) => Outcome::Unknown { doubt: Doubt::Misconfigured, why },
        (Some(MappedOutcome::Unknown), _) | (None, UsualMeaning::Unknown) => {
            Outcome::Unknown { doubt: Doubt::Code, why }
        }
    }
}

/// A query asks; it never refuses.
fn rejected(operation: Operation, why: Why, last_word: bool) -> Outcome {
    match operation {
        Operation::Query => Outcome::Unknown { doubt: Doubt::Code, why },
        Operation::Action | Operation::Compensate | Operation::Confirm => Outcome::Rejected { why, last_word },
    }
}
