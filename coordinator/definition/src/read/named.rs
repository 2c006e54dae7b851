//! What scenario files say in several places: steps and operations by name, times, events.
//!
//! Invariant: a step or an operation that leaves here is one of the definition's.

use std::time::Duration;

use amends_engine::ids::{Operation, StepIndex};

use super::fields::Fields;
use super::scenarios::Bound;
use crate::finding::{Place, did_you_mean, shown};
use crate::rules;
use crate::scenario::{Happening, Planned};
use crate::tree::{Key, Node, NodeValue};

const KNOWN_EVENT: &[&str] = &["at", "cancel", "retry", "pause", "resume", "force_stop", "crash", "refused"];
const HAPPENINGS: [&str; 6] = ["cancel", "retry", "pause", "resume", "force_stop", "crash"];

impl Bound<'_> {
    pub(super) fn events(&mut self, node: &Node) -> Option<Vec<Planned>> {
        let items = self.reader.list(node, "`events`")?;
        let events: Vec<_> = items.iter().map(|item| self.event(item)).collect();
        events.into_iter().collect()
    }

    fn event(&mut self, node: &Node) -> Option<Planned> {
        let fields = self.reader.fields(node, "an event", KNOWN_EVENT)?;
        let at = self.reader.required(&fields, "at", "at: 2s");
        let at = at.and_then(|node| self.time(node));
        let refused = fields.get("refused").map_or(Some(false), |node| self.reader.flag(node, "`refused`"));
        let word = self.one_of(&fields, "an event", &HAPPENINGS)?;
        let value = fields.get(word)?;
        if word == "crash" {
            self.reader.flag(value, "`crash`")?;
            return Some(Planned { at: at?, what: Happening::Crash, refused: refused? });
        }
        let reason = self.reader.text(value, "the reason")?.to_owned();
        let what = match word {
            "cancel" => Happening::Cancel(reason),
            "retry" => Happening::Retry(reason),
            "pause" => Happening::Pause(reason),
            "resume" => Happening::Resume(reason),
            _ => Happening::ForceStop(reason),
        };
        Some(Planned { at: at?, what, refused: refused? })
    }

    /// Exactly one of these fields.
    pub(super) fn one_of(&mut self, fields: &Fields<'_>, what: &str, words: &[&'static str]) -> Option<&'static str> {
        let there: Vec<&'static str> = words.iter().copied().filter(|word| fields.get(word).is_some()).collect();
        match there.as_slice() {
            [one] => Some(one),
            [] if words.iter().any(|word| fields.has_or_means(word)) => None,
            [] => {
                let (message, mend) =
                    (format!("{what} says nothing"), format!("write one of `{}`", words.join("`, `")));
                self.reader.findings.error(rules::WRONG_SHAPE, fields.place, message, mend);
                None
            }
            many => {
                let message = format!("{what} can be only one of `{}`", many.join("`, `"));
                self.reader.findings.error(rules::WRONG_SHAPE, fields.place, message, "keep one of them");
                None
            }
        }
    }

    /// The entries of a map with names of its own.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, what: &str, mend: &str) -> Option<&'n [(Key, Node)]> {
        match &node.value {
            NodeValue::Map(entries) => Some(entries),
            _ => self.reader.wrong_kind(node, what, "a map", mend),
        }
    }

    /// A duration, or 0.
    pub(super) fn time(&mut self, node: &Node) -> Option<Duration> {
        if matches!(&node.value, NodeValue::Text(text) if text.text == "0s" || text.text == "0ms") {
            return Some(Duration::ZERO);
        }
        self.reader.duration(node).map(|duration| duration.value)
    }

    pub(super) fn step(&mut self, name: &str, place: Place) -> Option<StepIndex> {
        let engine = self.compiled.engine();
        let found = engine.indices().find(|index| engine.step(*index).name.as_str() == name);
        if found.is_none() {
            let message = format!("the definition has no step `{}`", shown(name));
            let mend = did_you_mean(name, engine.steps().iter().map(|step| step.name.as_str()));
            self.reader.findings.error(rules::UNKNOWN_STEP, place, message, mend);
        }
        found
    }

    fn has(&self, step: StepIndex, operation: Operation) -> bool {
        self.compiled.engine().policy(step, operation).is_some()
    }

    /// An operation of a step, by either of its words.
    pub(super) fn operation(&mut self, step: StepIndex, word: &str, place: Place) -> Option<Operation> {
        let operation = match word {
            "action" | "try" => Some(Operation::Action),
            "compensate" | "cancel" => Some(Operation::Compensate),
            "confirm" => Some(Operation::Confirm),
            "query" => Some(Operation::Query),
            _ => None,
        };
        let found = operation.filter(|operation| self.has(step, *operation));
        if found.is_none() {
            let all = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
            let there = all.into_iter().filter(|operation| self.has(step, *operation));
            let words: Vec<String> = there
                .map(|operation| crate::scenario::operation_name(self.compiled, (step, operation)))
                .filter_map(|name| name.rsplit_once('.').map(|(_, word)| word.to_owned()))
                .collect();
            let message = format!("the step `{}` has no `{}`", self.compiled.engine().step(step).name, shown(word));
            let mend = did_you_mean(word, words.iter().map(String::as_str));
            self.reader.findings.error(rules::UNKNOWN_STEP, place, message, mend);
        }
        found
    }
}
