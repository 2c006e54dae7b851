//! One reply of a scenario.
//!
//! A reply is a word (`times_out`) or a map with one such word and what belongs to it. Invariant: a query is never given a
//! refusal: it asks, and what it asks about may still be on its way.

use std::time::Duration;

use amends_engine::ids::Operation;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::scenarios::Bound;
use crate::codes;
use crate::document::Protocol;
use crate::finding::{did_you_mean, shown};
use crate::rules;
use crate::scenario::{Answer, DEFAULT_TAKES, Later, OperationKey, Reply};
use crate::tree::{Node, NodeValue};

const KNOWN_REPLY: &[&str] = &[
    "succeeds",
    "replies",
    "rejects",
    "code",
    "message",
    "times_out",
    "breaks",
    "not_sent",
    "pending",
    "crash",
    "takes",
    "then",
];
const ANSWERS: [&str; 9] =
    ["succeeds", "replies", "rejects", "code", "times_out", "breaks", "not_sent", "pending", "crash"];
const WORDS: [&str; 7] = ["succeeds", "rejects", "times_out", "breaks", "not_sent", "pending", "crash"];
const KNOWN_PENDING: &[&str] = &["completes_after", "rejects_after", "output", "code", "message"];
/// What a refusal says where a scenario gives no code.
const REFUSED: &str = "FAILED_PRECONDITION";
impl Bound<'_> {
    pub(super) fn reply(&mut self, node: &Node, key: OperationKey) -> Option<Reply> {
        let (step, operation) = key;
        if let NodeValue::Text(text) = &node.value {
            let answer = self.word(&text.text, node)?;
            return self.fits(answer, node, operation, DEFAULT_TAKES, false);
        }
        let fields = self.reader.fields(node, "a reply", KNOWN_REPLY)?;
        let takes = fields.get("takes").map_or(Some(DEFAULT_TAKES), |node| self.time(node));
        let then_crash = fields.get("then").map_or(Some(false), |node| self.then_crash(node));
        let word = self.one_of(&fields, "a reply", &ANSWERS)?;
        let value = fields.get(word)?;
        let answer = match word {
            "succeeds" => Answer::Succeeds(Some(body(value))),
            "replies" => Answer::Replies(body(value)),
            "rejects" => {
                let code = self.reader.text(value, "`rejects`")?.to_owned();
                Answer::Rejects { code, message: self.message(&fields)? }
            }
            "code" => Answer::Code {
                code: self.code(value, self.compiled.protocol(step, operation))?,
                message: self.message(&fields)?,
            },
            "pending" => Answer::Pending(self.later(value)?),
            plain => {
                self.reader.flag(value, &format!("`{plain}`"))?;
                self.word(plain, value)?
            }
        };
        self.fits(answer, node, operation, takes?, then_crash?)
    }

    fn fits(
        &mut self,
        answer: Answer,
        node: &Node,
        operation: Operation,
        takes: Duration,
        then_crash: bool,
    ) -> Option<Reply> {
        if operation == Operation::Query && matches!(answer, Answer::Rejects { .. } | Answer::Pending(_)) {
            let message = "a query asks whether the effect stands: it neither refuses nor is pending";
            let mend = "write `code: NOT_FOUND` for \"nothing found\", or `succeeds: {…}` for \"it stands\"";
            self.reader.findings.error(rules::WRONG_SHAPE, node.place, message, mend);
            return None;
        }
        Some(Reply { answer, takes, then_crash })
    }

    fn word(&mut self, word: &str, node: &Node) -> Option<Answer> {
        Some(match word {
            "succeeds" => Answer::Succeeds(None),
            "rejects" => Answer::Rejects { code: REFUSED.to_owned(), message: String::new() },
            "times_out" => Answer::TimesOut,
            "breaks" => Answer::Breaks,
            "not_sent" => Answer::NotSent,
            "pending" => Answer::Pending(None),
            "crash" => Answer::Crash,
            other => {
                let message = format!("{:?} is no reply", shown(other));
                self.reader.findings.error(rules::WRONG_SHAPE, node.place, message, did_you_mean(other, WORDS));
                return None;
            }
        })
    }

    fn message(&mut self, fields: &Fields<'_>) -> Option<String> {
        fields.get("message").map_or(Some(String::new()), |node| self.reader.text(node, "`message`").map(str::to_owned))
    }

    fn then_crash(&mut self, node: &Node) -> Option<bool> {
        let text = self.reader.text(node, "`then`")?;
        if text != "crash" {
            let message = format!("{:?} is nothing that can follow a reply", shown(text));
            self.reader.findings.error(rules::WRONG_SHAPE, node.place, message, "write `then: crash`, or leave it out");
            return None;
        }
        Some(true)
    }

    /// A code of the protocol that the operation is called by: gRPC's by name, HTTP's by number.
    fn code(&mut self, node: &Node, protocol: Option<Protocol>) -> Option<String> {
        let text = match &node.value {
            NodeValue::Number(number) => number.to_string(),
            _ => self.reader.text(node, "`code`")?.to_owned(),
        };
        let mend = match protocol {
            Some(Protocol::Http) if text.starts_with('2') => "write `replies: {…}`".to_owned(),
            Some(Protocol::Http) if codes::is_mappable_status(&text) => return Some(text),
            Some(Protocol::Http) => "the operation is called by HTTP: write a status number, `code: 503`".to_owned(),
            _ if codes::MAPPABLE.contains(&text.as_str()) => return Some(text),
            _ if text == "OK" => "write `replies: {…}`".to_owned(),
            _ => did_you_mean(&text, codes::MAPPABLE),
        };
        let message = format!("`{}` is no status code of this operation", shown(&text));
        self.reader.findings.error(rules::BAD_CODE, node.place, message, mend);
        None
    }

    /// `true`: nothing more is ever heard. The outer `None`: it is wrong.
    fn later(&mut self, node: &Node) -> Option<Option<Later>> {
        if let NodeValue::Bool(true) = node.value {
            return Some(None);
        }
        let fields = self.reader.fields(node, "`pending`", KNOWN_PENDING)?;
        let word = self.one_of(&fields, "`pending`", &["completes_after", "rejects_after"])?;
        let after = fields.get(word).and_then(|node| self.time(node))?;
        let verdict = match word {
            "completes_after" => Ok(fields.get("output").map_or_else(|| Value::Object(Map::new()), body)),
            _ => {
                let code =
                    fields.get("code").map_or(Some(REFUSED), |node| self.reader.text(node, "`code`"))?.to_owned();
                Err((code, self.message(&fields)?))
            }
        };
        Some(Some(Later { after, verdict }))
    }
}

/// A body; nothing is an empty one.
fn body(node: &Node) -> Value {
    match node.value {
        NodeValue::Null | NodeValue::Bool(true) => Value::Object(Map::new()),
        _ => node.to_json(),
    }
}
