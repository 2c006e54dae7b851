//! One call: method, request, limits, and how its answers read.
//!
//! Invariant: what leaves here has limits that the engine accepts, and a query reads only what a query can answer (the
//! effect stands, or not yet), so that it can never turn an unknown outcome into a refusal (design §4).

use std::collections::BTreeMap;

use amends_engine::definition::Policy;
use amends_engine::ids::Operation;

use super::Reader;
use super::step::STEP_ROOTS;
use crate::codes;
use crate::document::{Call, CallText, Located, MappedOutcome, OperationText, Protocol};
use crate::expression::path::Root;
use crate::finding::{did_you_mean, shown, shown_duration};
use crate::rules;
use crate::template::Template;
use crate::tree::{Node, NodeValue};

const KNOWN: &[&str] =
    &["call", "request", "timeout", "retry", "codes", "rejected_when", "pending_when", "http", "headers"];
const KNOWN_QUERY: &[&str] = &["call", "request", "timeout", "retry", "when", "http", "headers"];
const REPLY: &[Root] = &[Root::Reply];
const OUTCOMES: [(&str, MappedOutcome); 4] = [
    ("succeeded", MappedOutcome::Succeeded),
    ("rejected", MappedOutcome::Rejected),
    ("pending", MappedOutcome::Pending),
    ("unknown", MappedOutcome::Unknown),
];

impl Reader {
    pub(super) fn operation(&mut self, node: &Node, word: &'static str, operation: Operation) -> Option<OperationText> {
        let (what, known) = match operation {
            Operation::Query => ("a query", KNOWN_QUERY),
            Operation::Action => ("an action", KNOWN),
            Operation::Compensate => ("a compensation", KNOWN),
            Operation::Confirm => ("a confirm", KNOWN),
        };
        if let NodeValue::Text(text) = &node.value {
            let mend = match text.text.split_once('/') {
                Some((before, _)) if before.contains('.') => {
                    format!("write `{word}: {{ call: {} }}`", shown(&text.text))
                }
                _ => format!("write the call itself: `{word}: {{ call: package.Service/Method, request: {{ … }} }}`"),
            };
            return self.wrong_kind(node, what, "a map", &mend);
        }
        let fields = self.fields(node, what, known)?;
        let call = if fields.get("http").is_some() || fields.get("headers").is_some() {
            self.http(&fields)
        } else {
            let is_there = fields.has_or_means("http");
            let call =
                if is_there { None } else { self.required(&fields, "call", "call: inventory.v1.Inventory/Reserve") };
            call.and_then(|node| self.call(node)).map(CallText::Grpc)
        };
        let protocol = if fields.get("http").is_some() { Protocol::Http } else { Protocol::Grpc };
        let request = self.optional(&fields, "request", |reader, node| reader.request(node, protocol));
        let mut policy = match operation {
            Operation::Action | Operation::Query => Policy::action(),
            Operation::Compensate | Operation::Confirm => Policy::finishing(),
        };
        let timeout = self.optional(&fields, "timeout", Self::duration);
        let retry = self.optional(&fields, "retry", |reader, node| reader.retry(node, &mut policy));
        let codes = self.optional(&fields, "codes", |reader, node| reader.codes(node, protocol));
        let rejected_when = self.optional(&fields, "rejected_when", |reader, node| reader.condition(node, REPLY));
        let pending_when = self.optional(&fields, "pending_when", |reader, node| reader.condition(node, REPLY));
        let when = self.optional(&fields, "when", |reader, node| reader.condition(node, REPLY));
        retry?;
        let timeout = timeout?;
        if let Some(timeout) = &timeout {
            policy.attempt_timeout = timeout.value;
        }
        Some(OperationText {
            word,
            call: call?,
            request: request?.unwrap_or_else(|| Template::empty(fields.place)),
            policy,
            timeout_place: timeout.map(|timeout| timeout.place),
            codes: codes?.unwrap_or_default(),
            rejected_when: rejected_when?,
            pending_when: pending_when?,
            when: when?,
        })
    }

    fn call(&mut self, node: &Node) -> Option<Located<Call>> {
        let text = self.text(node, "`call`")?;
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        };
        match text.strip_prefix('/').unwrap_or(text).split_once('/') {
            Some((service, method)) if word(service) && word(method) && !method.contains('.') => {
                let value = Call { service: service.to_owned(), method: method.to_owned() };
                Some(Located { value, place: node.place })
            }
            _ => {
                let mend = "write package, service and method: `inventory.v1.Inventory/Reserve`";
                self.findings.error(rules::WRONG_SHAPE, node.place, format!("{:?} names no method", shown(text)), mend);
                None
            }
        }
    }

    fn request(&mut self, node: &Node, protocol: Protocol) -> Option<Template> {
        match &node.value {
            NodeValue::List(_) if protocol == Protocol::Http => Template::read(node, STEP_ROOTS, &mut self.findings),
            NodeValue::Map(_) | NodeValue::Text(_) => Template::read(node, STEP_ROOTS, &mut self.findings),
            _ => self.wrong_kind(
                node,
                "`request`",
                "a map",
                "write its fields: `request: { order_id: \"${input.order_id}\" }`",
            ),
        }
    }

    fn retry(&mut self, node: &Node, policy: &mut Policy) -> Option<()> {
        if let NodeValue::Number(number) = &node.value {
            let mend = format!("write `retry: {{ max_attempts: {number} }}`");
            return self.wrong_kind(node, "`retry`", "a map", &mend);
        }
        let fields = self.fields(node, "`retry`", &["max_attempts", "initial", "max", "multiplier"])?;
        let attempts =
            self.optional(&fields, "max_attempts", |reader, node| reader.count(node, "`max_attempts`", 1, 1000));
        let initial = self.optional(&fields, "initial", Self::duration);
        let max = self.optional(&fields, "max", Self::duration);
        let multiplier = self.optional(&fields, "multiplier", Self::multiplier);
        let (initial, max) = (initial?, max?);
        policy.max_attempts = attempts?.unwrap_or(policy.max_attempts);
        policy.multiplier = multiplier?.unwrap_or(policy.multiplier);
        policy.initial_delay = initial.as_ref().map_or(policy.initial_delay, |delay| delay.value);
        policy.max_delay = max.as_ref().map_or(policy.max_delay, |delay| delay.value);
        if policy.initial_delay > policy.max_delay {
            let at = initial.or(max).map_or(fields.place, |delay| delay.place);
            let message = format!(
                "the first delay ({}) is longer than the longest ({})",
                shown_duration(policy.initial_delay),
                shown_duration(policy.max_delay)
            );
            self.findings.error(rules::OUT_OF_RANGE, at, message, "make `max` at least as long as `initial`");
            return None;
        }
        Some(())
    }

    fn multiplier(&mut self, node: &Node) -> Option<f64> {
        let value = match &node.value {
            NodeValue::Number(number) => number.as_f64(),
            _ => None,
        };
        let value = value.filter(|value| (1.0..=100.0).contains(value));
        if value.is_none() {
            let message = "`multiplier` must be a number from 1 to 100";
            self.findings.error(rules::OUT_OF_RANGE, node.place, message, "2 doubles the delay each time");
        }
        value
    }

    fn codes(&mut self, node: &Node, protocol: Protocol) -> Option<BTreeMap<String, Located<MappedOutcome>>> {
        let NodeValue::Map(entries) = &node.value else {
            let example = match protocol {
                Protocol::Grpc => "codes: { ABORTED: rejected }",
                Protocol::Http => "codes: { 409: rejected }",
            };
            return self.wrong_kind(node, "`codes`", "a map", example);
        };
        let mut codes = BTreeMap::new();
        for (key, value) in entries {
            if let Err(mend) = check_code(&key.text, protocol) {
                let message = format!("`{}` is no status code that can be mapped", shown(&key.text));
                self.findings.error(rules::BAD_CODE, key.place, message, mend);
                continue;
            }
            let text = self.text(value, "what a code means")?;
            let words = OUTCOMES.map(|(word, _)| word);
            match OUTCOMES.into_iter().find(|(word, _)| *word == text) {
                Some((_, outcome)) => {
                    codes.insert(key.text.clone(), Located { value: outcome, place: value.place });
                }
                None => {
                    let message = format!("{:?} is nothing that a code can mean", shown(text));
                    self.findings.error(rules::BAD_CODE, value.place, message, did_you_mean(text, words));
                }
            }
        }
        Some(codes)
    }
}

/// The mend, where it is no code that can be mapped.
fn check_code(code: &str, protocol: Protocol) -> Result<(), String> {
    match protocol {
        Protocol::Grpc if codes::MAPPABLE.contains(&code) => Ok(()),
        Protocol::Grpc if code == "OK" => {
            Err("say by the reply what it means: `rejected_when`, `pending_when`".to_owned())
        }
        Protocol::Grpc => Err(did_you_mean(code, codes::MAPPABLE)),
        Protocol::Http if codes::is_mappable_status(code) => Ok(()),
        Protocol::Http => Err("an HTTP operation maps status numbers from 200 to 599: `409: rejected`".to_owned()),
    }
}
