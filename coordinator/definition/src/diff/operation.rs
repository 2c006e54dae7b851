//! The operations of one step in two versions.
//!
//! Another set of operations, or another call, would change what an attempted step means; limits and templates don't, since a
//! request that was prepared is sent as it is. Invariant: limits are compared with their defaults filled in.

use amends_engine::definition::Policy;
use serde_json::Value;

use super::from_to;
use super::json::leaves;
use crate::document::{OperationText, StepText};

/// The two words that each operation may be written with.
const WORDS: [(&str, &str); 4] =
    [("action", "try"), ("compensate", "cancel"), ("confirm", "confirm"), ("query", "query")];
/// What names the thing that is called.
const TARGETS: [&str; 3] = ["call", "http", "none"];
const TEMPLATES: [&str; 6] = ["request", "headers", "codes", "rejected_when", "pending_when", "when"];

/// A step as it was read, and as it was written.
type Written<'a> = (&'a StepText, &'a Value);

/// Reports every difference; `true`: sagas that have attempted the step must stay.
pub(super) fn all((was, was_json): Written<'_>, (is, is_json): Written<'_>, add: &mut impl FnMut(String, bool)) {
    for words in WORDS {
        let (before, after) = (written(was_json, words), written(is_json, words));
        match (before, after) {
            (None, None) => {}
            (None, Some((word, _))) => add(format!("{word}: added"), true),
            (Some((word, _)), None) => add(format!("{word}: removed"), true),
            (Some((_, before)), Some((word, after))) => {
                for target in TARGETS {
                    // Only the reason of `compensate: none` may change without changing what is called.
                    let fixed = target != "none" || before[target].is_null() != after[target].is_null();
                    let path = format!("{word}.{target}");
                    leaves(&path, &before[target], &after[target]).into_iter().for_each(|line| add(line, fixed));
                }
                for part in TEMPLATES {
                    let path = format!("{word}.{part}");
                    leaves(&path, &before[part], &after[part]).into_iter().for_each(|line| add(line, false));
                }
                if let (Some(before), Some(after)) = (text(was, words), text(is, words)) {
                    limits(word, &before.policy, &after.policy, add);
                }
            }
        }
    }
}

fn written<'v>(step: &'v Value, (word, other): (&'static str, &'static str)) -> Option<(&'static str, &'v Value)> {
    [word, other].into_iter().find_map(|word| Some((word, step.get(word).filter(|value| !value.is_null())?)))
}

fn text<'s>(step: &'s StepText, (word, other): (&str, &str)) -> Option<&'s OperationText> {
    step.operations().map(|(_, text)| text).find(|text| text.word == word || text.word == other)
}

fn limits(word: &str, was: &Policy, is: &Policy, add: &mut impl FnMut(String, bool)) {
    for (name, was, is) in [
        ("timeout", was.attempt_timeout, is.attempt_timeout),
        ("retry.initial", was.initial_delay, is.initial_delay),
        ("retry.max", was.max_delay, is.max_delay),
    ] {
        if was != is {
            add(format!("{word}.{name}: {}", from_to(was, is)), false);
        }
    }
    if was.max_attempts != is.max_attempts {
        add(format!("{word}.retry.max_attempts: {} → {}", was.max_attempts, is.max_attempts), false);
    }
    if was.multiplier != is.multiplier {
        add(format!("{word}.retry.multiplier: {} → {}", was.multiplier, is.multiplier), false);
    }
}
