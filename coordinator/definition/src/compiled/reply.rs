//! Reads replies: protobuf to JSON, and what the definition makes of them.
//!
//! A reply is kept as JSON, since expressions and people read it. Invariant: a reply that can't be read or judged is an
//! error, which the runtime takes for an unknown outcome (the effect most likely happened), never for a refusal.

use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::Why;
use amends_engine::payload::{Encoding, Payload};

use super::{Compiled, CompiledOperation, Target};
use crate::expression::variables::Variables;
use crate::expression::{EvaluateError, Expression};
use crate::input::{InputError, read_json};
use crate::transcode::{UnreadableReply, to_json};

/// What an `OK` reply means by the definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The effect stands.
    Succeeded,
    /// `rejected_when` is true: the participant refused, and nothing happened.
    Rejected(Why),
    /// `pending_when` is true: it will tell us later.
    Pending,
    /// The query's `when` is false: no effect found yet.
    NotYet,
}

/// A reply that can't be read or judged: its outcome is unknown.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// The step has no such operation.
    #[error("the step has no {0}")]
    NoOperation(Operation),
    /// Not a message of the method's reply type, or one without a JSON form.
    #[error("{0}")]
    Unreadable(String, #[source] Option<prost::DecodeError>),
    /// A recorded output that isn't JSON.
    #[error("the recorded reply can't be read")]
    NotJson(#[source] Option<InputError>),
    /// A condition on the reply has no value.
    #[error("{message}")]
    Expression {
        /// What went wrong; holds no value.
        message: String,
    },
}

impl Compiled {
    /// An operation's reply as JSON. Of HTTP it is the body as it came, if that is JSON. Of gRPC: 64-bit integers as numbers,
    /// fields with their names in the .proto file, defaults written out. The same bytes give the same JSON.
    pub fn decode_reply(&self, step: StepIndex, operation: Operation, bytes: &[u8]) -> Result<Payload, ReplyError> {
        let method = match &self.reply_of(step, operation)?.target {
            Target::Grpc { method, .. } => method,
            Target::Http { .. } => return read_body(bytes),
        };
        match to_json(&method.output, method.output_has_maps, bytes) {
            Ok(json) => Ok(Payload::json(json)),
            Err(error) => {
                let text = error.to_string();
                let source = match error {
                    UnreadableReply::Undecodable(_, source) => Some(source),
                    UnreadableReply::NoJson(_) => None,
                };
                Err(ReplyError::Unreadable(text, source))
            }
        }
    }

    /// What the definition makes of an `OK` reply that [`Self::decode_reply`] gave. Free where it says nothing about it.
    pub fn judge_reply(&self, step: StepIndex, operation: Operation, reply: &Payload) -> Result<Judgement, ReplyError> {
        let compiled = self.reply_of(step, operation)?;
        let CompiledOperation { rejected_when, pending_when, when, .. } = compiled;
        if rejected_when.is_none() && pending_when.is_none() && when.is_none() {
            return Ok(Judgement::Succeeded);
        }
        if reply.encoding != Encoding::Json {
            return Err(ReplyError::NotJson(None));
        }
        let value = read_json(&reply.bytes).map_err(|error| ReplyError::NotJson(Some(error)))?;
        let variables = Variables { reply: Some(&value), ..Variables::default() };
        let holds = |condition: &Option<Expression>| {
            condition.as_ref().map(|condition| condition.is_true(&variables)).transpose().map_err(no_value)
        };
        if holds(rejected_when)? == Some(true) {
            let condition = rejected_when.as_ref().map_or("", Expression::source);
            return Ok(Judgement::Rejected(Why::new("REJECTED_WHEN", format!("the reply says so: {condition}"))));
        }
        if holds(pending_when)? == Some(true) {
            return Ok(Judgement::Pending);
        }
        if holds(when)? == Some(false) {
            return Ok(Judgement::NotYet);
        }
        Ok(Judgement::Succeeded)
    }

    fn reply_of(&self, step: StepIndex, operation: Operation) -> Result<&CompiledOperation, ReplyError> {
        self.operation(step, operation).ok_or(ReplyError::NoOperation(operation))
    }
}

fn no_value(error: EvaluateError) -> ReplyError {
    ReplyError::Expression { message: error.message }
}

/// The body of an HTTP reply, which must be JSON with integers that can be kept.
fn read_body(bytes: &[u8]) -> Result<Payload, ReplyError> {
    let unreadable = |error| {
        let text = match error {
            InputError::TooManyDigits { .. } => "the reply has an integer of more than 64 bits",
            InputError::TooDeep { .. } => "the reply is nested too deeply",
            InputError::NotJson { .. } | InputError::Schema { .. } => "the reply's body is not JSON",
        };
        ReplyError::Unreadable(text.to_owned(), None)
    };
    read_json(bytes).map_err(unreadable)?;
    Ok(Payload::json(bytes.to_vec()))
}
