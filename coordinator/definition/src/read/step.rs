//! One step: its name, its place in the order, and which of the two spellings it uses.
//!
//! A step is written in saga words (`action`, `compensate`) or in TCC words (`try`, `confirm`, `cancel`), never in both: a
//! `confirm` beside an `action` would leave open whether the action is final. Invariant: what leaves here has an action,
//! and a `try` has its confirm and its cancel.

use amends_engine::ids::{Operation, ParticipantName, StepName};

use super::Reader;
use super::fields::Fields;
use crate::document::{CompensateText, Located, StepText};
use crate::expression::path::Root;
use crate::finding::shown;
use crate::rules;
use crate::tree::{Node, NodeValue};

const KNOWN: [&str; 12] = [
    "step",
    "participant",
    "after",
    "pivot",
    "when",
    "within",
    "action",
    "compensate",
    "try",
    "confirm",
    "cancel",
    "query",
];
/// What requests and conditions of a step can see.
pub(super) const STEP_ROOTS: &[Root] = &[Root::Input, Root::Steps, Root::Saga];
/// Most steps that one step may name in its `after`.
const AFTER_MAX: usize = 64;

impl Reader {
    pub(super) fn step(&mut self, node: &Node) -> Option<StepText> {
        self.findings.about(None);
        let about = match &node.value {
            NodeValue::Map(entries) => entries.iter().find(|(key, _)| key.text == "step").map(|(_, name)| name),
            _ => None,
        };
        if let Some(NodeValue::Text(name)) = about.map(|name| &name.value) {
            self.findings.about(Some(&name.text));
        }
        if let NodeValue::Map(entries) = &node.value
            && let [(key, Node { value: NodeValue::Map(_), .. })] = entries.as_slice()
            && !KNOWN.contains(&key.text.as_str())
        {
            let message = "a step has its name in the field `step`, and its other fields beside it";
            let mend = format!("write `- step: {}`", shown(&key.text));
            self.findings.error(rules::WRONG_SHAPE, key.place, message, mend);
            return None;
        }
        let fields = self.fields(node, "a step", &KNOWN)?;
        let name = self.required(&fields, "step", "step: reserve-stock");
        let name = name.and_then(|node| self.name(node, "step", StepName::parse));
        let participant = self.required(&fields, "participant", "participant: inventory");
        let participant = participant.and_then(|node| self.name(node, "participant", ParticipantName::parse));
        let after = self.optional(&fields, "after", Self::after);
        let pivot = self.optional(&fields, "pivot", |reader, node| Some((reader.flag(node, "`pivot`")?, node.place)));
        let when = self.optional(&fields, "when", |reader, node| reader.condition(node, STEP_ROOTS));
        let within = self.optional(&fields, "within", Self::duration);
        self.check_spelling(&fields);
        let action_word = if fields.get("try").is_some() { "try" } else { "action" };
        let action = fields.get(action_word).and_then(|node| self.operation(node, action_word, Operation::Action));
        let compensate = self.optional(&fields, "compensate", |reader, node| reader.compensate(node, "compensate"));
        let cancel = self.optional(&fields, "cancel", |reader, node| reader.compensate(node, "cancel"));
        let confirm =
            self.optional(&fields, "confirm", |reader, node| reader.operation(node, "confirm", Operation::Confirm));
        let query = self.optional(&fields, "query", |reader, node| reader.operation(node, "query", Operation::Query));
        Some(StepText {
            place: fields.place,
            name: name?.value,
            participant: participant?,
            after: after?,
            pivot: pivot?.and_then(|(is_pivot, place)| is_pivot.then_some(place)),
            when: when?,
            within: within?,
            action: action?,
            compensate: compensate?.or(cancel?),
            confirm: confirm?,
            query: query?,
        })
    }

    fn after(&mut self, node: &Node) -> Option<Vec<Located<StepName>>> {
        if let NodeValue::Text(text) = &node.value {
            return self.wrong_kind(node, "`after`", "a list", &format!("write `after: [{}]`", shown(&text.text)));
        }
        let items = self.list(node, "`after`")?;
        if items.len() > AFTER_MAX {
            let message = format!("`after` names {} steps: at most {AFTER_MAX} are allowed", items.len());
            self.findings.error(rules::OUT_OF_RANGE, node.place, message, "put a step in between");
        }
        let names: Vec<_> = items.iter().map(|item| self.name(item, "step", StepName::parse)).collect();
        names.into_iter().collect()
    }

    fn check_spelling(&mut self, fields: &Fields<'_>) {
        let tcc = ["try", "confirm", "cancel"].into_iter().find_map(|word| fields.key_and_value(word));
        let saga = ["action", "compensate"].into_iter().find_map(|word| fields.key_and_value(word));
        let (tcc, saga) = match (tcc, saga) {
            (Some((tcc, _)), Some((saga, _))) => (tcc, saga),
            (Some(_), None) => return self.check_tcc(fields),
            (None, Some(_)) if fields.get("action").is_some() => return,
            _ if fields.has_or_means("action") || fields.has_or_means("try") => return,
            _ => {
                let mend = "add it: `action: { call: package.Service/Method, request: { … } }`, or `try` with `confirm` and `cancel`";
                return self.findings.error(rules::WRONG_SHAPE, fields.place, "a step needs an `action`", mend);
            }
        };
        let message = format!("`{}` (TCC) and `{}` (saga) in one step", tcc.text, saga.text);
        let mend = "write `action` and `compensate`, or `try`, `confirm` and `cancel`";
        self.findings.error(rules::MIXED_SPELLING, tcc.place.max(saga.place), message, mend);
    }

    fn check_tcc(&mut self, fields: &Fields<'_>) {
        let missing: Vec<&str> =
            ["try", "confirm", "cancel"].into_iter().filter(|word| !fields.has_or_means(word)).collect();
        if missing.is_empty() {
            return;
        }
        let at = fields.key_and_value("try").map_or(fields.place, |(key, _)| key.place);
        let message =
            format!("a TCC step needs `try`, `confirm` and `cancel`; missing here: `{}`", missing.join("`, `"));
        let mend = "add what is missing, or write `action` and `compensate` if the first call is final at once";
        self.findings.error(rules::INCOMPLETE_TCC, at, message, mend);
    }

    /// `{ call: … }` or `{ none: "reason" }`.
    fn compensate(&mut self, node: &Node, word: &'static str) -> Option<CompensateText> {
        let reason = match &node.value {
            NodeValue::Text(text) if text.text == "none" => None,
            NodeValue::Map(entries) => match entries.iter().find(|(key, _)| key.text == "none") {
                Some((_, reason)) => {
                    self.fields(node, "a step without compensation", &["none"])?;
                    match &reason.value {
                        NodeValue::Text(text) if !text.text.trim().is_empty() => Some(text.text.clone()),
                        _ => None,
                    }
                }
                None => {
                    return self
                        .operation(node, word, Operation::Compensate)
                        .map(|text| CompensateText::Call(Box::new(text)));
                }
            },
            _ => {
                return self
                    .operation(node, word, Operation::Compensate)
                    .map(|text| CompensateText::Call(Box::new(text)));
            }
        };
        if reason.is_none() {
            let message = format!("`{word}: none` says that an effect may stay when the saga turns back, and not why");
            let mend = format!("give the reason: `{word}: {{ none: \"a reading has no effect\" }}`");
            self.findings.error(rules::NO_REASON, node.place, message, mend);
        }
        reason.map(CompensateText::None)
    }
}
