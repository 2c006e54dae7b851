//! What must come of a scenario: its end, its calls, outputs, residue and time.
//!
//! Invariant: a word that isn't known is an error, never an expectation that nothing can fail.

use std::collections::BTreeMap;

use amends_engine::facts::StepEffect;
use amends_engine::ids::StepIndex;
use amends_engine::saga::StuckReason;
use amends_engine::standing::WaitingReason;
use serde_json::Value;

use super::scenarios::Bound;
use crate::finding::{did_you_mean, shown};
use crate::rules;
use crate::scenario::{End, Expect, ExpectedCall, OperationKey};
use crate::tree::{Node, NodeValue};

const KNOWN_EXPECT: &[&str] = &["ends", "calls", "outputs", "residue", "took_less_than"];
const KNOWN_CALL: &[&str] = &["call", "attempts", "request"];
const ENDS: [&str; 5] = ["completed", "compensated", "force_stopped", "stuck", "waiting"];

impl Bound<'_> {
    pub(super) fn expect(&mut self, node: &Node) -> Option<Expect> {
        let fields = self.reader.fields(node, "`expect`", KNOWN_EXPECT)?;
        let ends = self.reader.required(&fields, "ends", "ends: completed");
        let ends = ends.and_then(|node| self.end(node));
        let calls = fields.get("calls").map(|node| self.calls(node));
        let outputs = fields.get("outputs").map_or(Some(Vec::new()), |node| self.outputs(node));
        let residue = fields.get("residue").map(|node| self.residue(node));
        let took = fields.get("took_less_than").map(|node| self.reader.duration(node));
        Some(Expect {
            ends: ends?,
            calls: calls.map_or(Some(None), |calls| calls.map(Some))?,
            outputs: outputs?,
            residue: residue.map_or(Some(None), |residue| residue.map(Some))?,
            took_less_than: took.map_or(Some(None), |took| took.map(|took| Some(took.value)))?,
        })
    }

    /// `completed`, or `{ stuck: REASON }`.
    fn end(&mut self, node: &Node) -> Option<End> {
        if let NodeValue::Map(_) = node.value {
            let fields = self.reader.fields(node, "`ends`", &["stuck", "waiting"])?;
            let word = self.one_of(&fields, "`ends`", &["stuck", "waiting"])?;
            let reason = fields.get(word)?;
            return match word {
                "stuck" => self.among(reason, StuckReason::ALL, StuckReason::as_str).map(|it| End::Stuck(Some(it))),
                _ => self.among(reason, WaitingReason::ALL, WaitingReason::as_str).map(|it| End::Waiting(Some(it))),
            };
        }
        let all = [End::Completed, End::Compensated, End::ForceStopped, End::Stuck(None), End::Waiting(None)];
        let text = self.reader.text(node, "`ends`")?;
        let found = ENDS.into_iter().zip(all).find(|(word, _)| *word == text);
        if found.is_none() {
            let message = format!("{:?} is no way for a saga to end or rest", shown(text));
            self.reader.findings.error(rules::WRONG_SHAPE, node.place, message, did_you_mean(text, ENDS));
        }
        found.map(|(_, end)| end)
    }

    fn among<T: Copy, const N: usize>(&mut self, node: &Node, all: [T; N], word: fn(T) -> &'static str) -> Option<T> {
        let text = self.reader.text(node, "a reason")?;
        let found = all.into_iter().find(|one| word(*one) == text);
        if found.is_none() {
            let message = format!("{:?} is no such reason", shown(text));
            self.reader.findings.error(rules::WRONG_SHAPE, node.place, message, did_you_mean(text, all.map(word)));
        }
        found
    }

    fn calls(&mut self, node: &Node) -> Option<Vec<ExpectedCall>> {
        let items = self.reader.list(node, "`calls`")?;
        let calls: Vec<_> = items.iter().map(|item| self.call(item)).collect();
        calls.into_iter().collect()
    }

    fn call(&mut self, node: &Node) -> Option<ExpectedCall> {
        if let NodeValue::Text(_) = node.value {
            return Some(ExpectedCall { key: self.key(node)?, attempts: 1, request: None });
        }
        let fields = self.reader.fields(node, "a call", KNOWN_CALL)?;
        let key = self.reader.required(&fields, "call", "call: charge.action").and_then(|node| self.key(node));
        let attempts = fields.get("attempts").map_or(Some(1), |node| self.reader.count(node, "`attempts`", 1, 10_000));
        let request = fields.get("request").map(Node::to_json);
        Some(ExpectedCall { key: key?, attempts: attempts?, request })
    }

    /// `STEP.OPERATION`.
    fn key(&mut self, node: &Node) -> Option<OperationKey> {
        let text = self.reader.text(node, "a call")?;
        let Some((step, word)) = text.rsplit_once('.') else {
            let message = format!("{:?} names no operation of a step", shown(text));
            let mend = "write step and operation: `charge.action`";
            self.reader.findings.error(rules::WRONG_SHAPE, node.place, message, mend);
            return None;
        };
        let step = self.step(step, node.place)?;
        Some((step, self.operation(step, word, node.place)?))
    }

    fn outputs(&mut self, node: &Node) -> Option<Vec<(StepIndex, Value)>> {
        let entries = self.entries(node, "`outputs`", "outputs: { charge: { charge_id: c-1 } }")?;
        let outputs: Vec<_> =
            entries.iter().map(|(key, value)| Some((self.step(&key.text, key.place)?, value.to_json()))).collect();
        outputs.into_iter().collect()
    }

    fn residue(&mut self, node: &Node) -> Option<BTreeMap<StepIndex, StepEffect>> {
        let entries = self.entries(node, "`residue`", "residue: { charge: possible }, or {} for none")?;
        let mut residue = BTreeMap::new();
        for (key, value) in entries {
            let word = |effect| if effect == StepEffect::Stands { "stands" } else { "possible" };
            let effect = self.among(value, [StepEffect::Stands, StepEffect::Possible], word)?;
            residue.insert(self.step(&key.text, key.place)?, effect);
        }
        Some(residue)
    }
}
