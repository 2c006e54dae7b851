//! Maps with known fields, and single values: names, durations, numbers, conditions.
//!
//! Each reader says what it wanted, what it found and how to write it. Invariant: nothing is converted by guess: a number
//! is no text, a text is no duration unless it reads as one.

use std::time::Duration;

use amends_engine::ids::InvalidName;

use super::Reader;
use super::foreign::hint;
use crate::document::Located;
use crate::expression::Expression;
use crate::expression::path::Root;
use crate::finding::{Place, shown, shown_duration};
use crate::rules;
use crate::template::{Kind, Template};
use crate::tree::{Key, Node, NodeValue};

pub(super) const NAME_MEND: &str = "use 1 to 128 of A-Z a-z 0-9 . _ -";
/// Longest duration; beyond it something else is meant.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const DURATION_MEND: &str = "write a number with a unit: 200ms, 5s, 2m, 1h 30m";

/// The fields of one map, all known.
pub(super) struct Fields<'n> {
    /// Where the map begins.
    pub(super) place: Place,
    what: &'static str,
    entries: &'n [(Key, Node)],
    /// Fields that stand there by another word, which has been reported.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a field; a field with nothing after it counts as left out.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.key_and_value(name).map(|(_, node)| node)
    }

    /// Whether it is there, or was meant by a word that has been reported.
    pub(super) fn has_or_means(&self, name: &str) -> bool {
        self.meant.contains(&name) || self.get(name).is_some()
    }

    /// The same, with the key.
    pub(super) fn key_and_value(&self, name: &str) -> Option<(&'n Key, &'n Node)> {
        let found = self.entries.iter().find(|(key, _)| key.text == name);
        found.filter(|(_, node)| !matches!(node.value, NodeValue::Null)).map(|(key, node)| (key, node))
    }
}

impl Reader {
    /// The fields of a map; unknown ones are reported, those that are planned as such.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &'static str,
        known: &[&'static str],
    ) -> Option<Fields<'n>> {
        let NodeValue::Map(entries) = &node.value else {
            return self.wrong_kind(node, what, "a map", &format!("write its fields: `{}`", known.join("`, `")));
        };
        let mut meant = Vec::new();
        for (key, _) in entries {
            if self.findings.is_full() {
                break;
            }
            let name = key.text.as_str();
            if matches!(name, "for_each" | "forEach" | "foreach") {
                let message = format!("`{name}` is not supported yet");
                self.findings.error(rules::NOT_SUPPORTED, key.place, message, "write one step for each call");
            } else if !known.contains(&name) {
                let message = format!("{what} has no field `{}`", shown(name));
                let hint = hint(name, known);
                meant.extend(hint.meant);
                self.findings.error(rules::UNKNOWN_FIELD, key.place, message, hint.mend);
            }
        }
        Some(Fields { place: node.place, what, entries, meant })
    }

    /// A field that must be there. It isn't missed where an unknown word stands for it.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, name: &str, example: &str) -> Option<&'n Node> {
        let found = fields.get(name);
        if !fields.has_or_means(name) {
            let message = format!("{} needs the field `{name}`", fields.what);
            self.findings.error(rules::WRONG_SHAPE, fields.place, message, format!("add it: `{example}`"));
        }
        found
    }

    pub(super) fn wrong_kind<T>(&mut self, node: &Node, what: &str, wanted: &str, mend: &str) -> Option<T> {
        let message = format!("{what} must be {wanted} and is {}", node.kind());
        self.findings.error(rules::WRONG_SHAPE, node.place, message, mend);
        None
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            NodeValue::List(items) => Some(items),
            _ => self.wrong_kind(node, what, "a list", "write `[…]`, or one `- …` per line"),
        }
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            NodeValue::Text(text) => Some(&text.text),
            NodeValue::Number(_) | NodeValue::Bool(_) => self.wrong_kind(node, what, "a text", "quote it"),
            _ => self.wrong_kind(node, what, "a text", "write one text"),
        }
    }

    pub(super) fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.value {
            NodeValue::Bool(value) => Some(value),
            _ => self.wrong_kind(node, what, "true or false", "write `true` or leave it out"),
        }
    }

    pub(super) fn name<T>(
        &mut self,
        node: &Node,
        what: &'static str,
        parse: fn(&str) -> Result<T, InvalidName>,
    ) -> Option<Located<T>> {
        let text = self.text(node, &format!("the name of a {what}"))?;
        match parse(text) {
            Ok(value) => Some(Located { value, place: node.place }),
            Err(error) => {
                let message = format!("{:?} is no name for a {what}", shown(&error.given));
                self.findings.error(rules::BAD_NAME, node.place, message, NAME_MEND);
                None
            }
        }
    }

    pub(super) fn duration(&mut self, node: &Node) -> Option<Located<Duration>> {
        let text = match &node.value {
            NodeValue::Text(text) => shown(&text.text),
            NodeValue::Number(number) => number.to_string(),
            _ => return self.wrong_kind(node, "a duration", "a text", DURATION_MEND),
        };
        let parsed = jiff::fmt::friendly::SpanParser::new().parse_unsigned_duration(&text);
        let message = match parsed {
            Ok(value) if value < Duration::from_millis(1) => format!("the duration {text:?} is shorter than 1 ms"),
            Ok(value) if value > DURATION_MAX => format!("the duration {text:?} is longer than a year"),
            Ok(value) => return Some(Located { value, place: node.place }),
            Err(_) if matches!(node.value, NodeValue::Number(_)) => format!("the duration {text} has no unit"),
            Err(_) => format!("{text:?} is no duration"),
        };
        // What workflow languages write, by ISO 8601: `PT30S`.
        let elsewhere =
            text.parse::<jiff::SignedDuration>().ok().filter(|iso| text.starts_with('P') && iso.is_positive());
        let mend = match elsewhere {
            Some(iso) => format!("write `{}`", shown_duration(iso.unsigned_abs())),
            None => DURATION_MEND.to_owned(),
        };
        self.findings.error(rules::BAD_DURATION, node.place, message, mend);
        None
    }

    /// A whole number between `least` and `most`.
    pub(super) fn count(&mut self, node: &Node, what: &str, least: u32, most: u32) -> Option<u32> {
        let NodeValue::Number(number) = &node.value else {
            return self.wrong_kind(node, what, "a number", &format!("write a number from {least} to {most}"));
        };
        let value = number.as_u64().and_then(|value| u32::try_from(value).ok());
        let value = value.filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let message = format!("{what} is {number}: it must be a whole number from {least} to {most}");
            self.findings.error(rules::OUT_OF_RANGE, node.place, message, "correct it");
        }
        value
    }

    /// A lone `${…}` that gives true or false.
    pub(super) fn condition(&mut self, node: &Node, known: &[Root]) -> Option<Expression> {
        self.text(node, "a condition")?;
        match Template::read(node, known, &mut self.findings)?.kind {
            Kind::Expression(expression) => Some(expression),
            Kind::Constant(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
                let message = "a condition must be one expression and nothing beside it";
                self.findings.error(rules::BAD_EXPRESSION, node.place, message, "write it as \"${…}\"");
                None
            }
        }
    }
}
