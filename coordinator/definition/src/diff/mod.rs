//! What two versions of a definition do differently, and which open sagas could go from the one to the other.
//!
//! Compares meaning, not text: defaults count as written out, comments and the order of fields don't count. It judges no saga.
//! Invariant: a difference that could change what an attempted step means names that step (design §8: a saga can be repinned
//! if every attempted step exists there with the same participant, operations, order and side of the pivot).

mod json;
mod operation;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::big_stack;
use crate::document::{Document, Format, StepText};
use crate::finding::{Finding, Findings, shown_duration};
use crate::lint::Order;
use crate::read::parse;
use crate::tree::{read_json, read_yaml};
use json::leaves;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The step; `None` for the definition as a whole.
    pub step: Option<String>,
    /// What differs, in words.
    pub change: String,
    /// Whose sagas it keeps on the old version.
    pub repin: Repin,
}

/// Which open sagas a difference lets go over to the new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repin {
    /// All: requests that were prepared already are kept.
    Any,
    /// Those that have attempted none of these steps.
    NotAttempted(Vec<String>),
}

impl fmt::Display for Repin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any saga"),
            Self::NotAttempted(steps) => write!(f, "not once {} was attempted", steps.join(" or ")),
        }
    }
}

/// A definition's text with what it says.
#[derive(Debug)]
struct Side {
    document: Document,
    json: Value,
    order: Order,
}

/// Differences from the first text to the second, the definition's own first, then by step in the order of the new one. The
/// error is what is wrong with a text.
pub fn diff(old: (&str, Format), new: (&str, Format)) -> Result<Vec<Difference>, Vec<Finding>> {
    let (old, new) = (side(old, "the old version")?, side(new, "the new version")?);
    let mut all = Vec::new();
    whole(&old, &new, &mut all);
    for (index, step) in new.document.steps.iter().enumerate() {
        match position(&old, step.name.as_str()) {
            Some(before) => steps((&old, before), (&new, index), &mut all),
            None => all.push(added(&new, index)),
        }
    }
    for step in &old.document.steps {
        let name = step.name.to_string();
        if position(&new, &name).is_none() {
            let repin = Repin::NotAttempted(vec![name.clone()]);
            all.push(Difference { step: Some(name), change: "the step was removed".to_owned(), repin });
        }
    }
    Ok(all)
}

fn side((source, format): (&str, Format), name: &'static str) -> Result<Side, Vec<Finding>> {
    let document = parse(source, format, name)?;
    let mut findings = Findings::new(&document.file);
    let tree = big_stack::run(|| {
        let mut ignored = Findings::new(&document.file);
        match format {
            Format::Yaml => read_yaml(source, &mut ignored),
            Format::Json => read_json(source, &mut ignored),
        }
    });
    let json = tree.ok().flatten().map(|tree| tree.to_json()).unwrap_or_default();
    match Order::of(&document, &mut findings) {
        Some(order) => Ok(Side { document, json, order }),
        None => Err(findings.into_sorted()),
    }
}

fn position(side: &Side, name: &str) -> Option<usize> {
    side.document.steps.iter().position(|step| step.name.as_str() == name)
}

/// What is written about a step.
fn json_of(side: &Side, index: usize) -> &Value {
    &side.json["steps"][index]
}

fn whole(old: &Side, new: &Side, all: &mut Vec<Difference>) {
    let mut any = |change: String| all.push(Difference { step: None, change, repin: Repin::Any });
    if old.document.timeout != new.document.timeout {
        any(format!("timeout: {}", from_to(old.document.timeout, new.document.timeout)));
    }
    for part in ["labels", "input"] {
        leaves(part, &old.json[part], &new.json[part]).into_iter().for_each(&mut any);
    }
    let pivot = |side: &Side| {
        let step = side.document.steps.iter().find(|step| step.pivot.is_some());
        step.map_or_else(|| "none".to_owned(), |step| step.name.to_string())
    };
    let (before, after) = (pivot(old), pivot(new));
    if before != after {
        let repin = repin_unless(moved(old, new));
        all.push(Difference { step: None, change: format!("pivot: {before} → {after}"), repin });
    }
}

fn repin_unless(steps: Vec<String>) -> Repin {
    if steps.is_empty() { Repin::Any } else { Repin::NotAttempted(steps) }
}

/// The steps that are in both and on another side of the pivot.
fn moved(old: &Side, new: &Side) -> Vec<String> {
    let both = old.document.steps.iter().enumerate().filter_map(|(index, step)| {
        let name = step.name.to_string();
        position(new, &name).map(|other| (name, of_pivot(old, index), of_pivot(new, other)))
    });
    both.filter(|(_, before, after)| before != after).map(|(name, ..)| name).collect()
}

#[derive(PartialEq)]
enum Place {
    Before,
    Pivot,
    After,
}

/// Without a pivot everything can be undone, as before one.
fn of_pivot(side: &Side, index: usize) -> Place {
    if side.document.steps[index].pivot.is_some() {
        Place::Pivot
    } else if side.order.is_after_pivot(&side.document, index) {
        Place::After
    } else {
        Place::Before
    }
}

fn added(side: &Side, index: usize) -> Difference {
    let step = &side.document.steps[index];
    let change =
        format!("the step was added, at {}, {}", step.participant.value, after_words(&predecessors(side, index)));
    Difference { step: Some(step.name.to_string()), change, repin: Repin::Any }
}

fn predecessors(side: &Side, index: usize) -> BTreeSet<String> {
    side.order.after(index).iter().map(|before| side.document.steps[*before].name.to_string()).collect()
}

fn after_words(steps: &BTreeSet<String>) -> String {
    match steps.is_empty() {
        true => "from the start".to_owned(),
        false => format!("after {}", Vec::from_iter(steps.iter().map(String::as_str)).join(", ")),
    }
}

/// One step that is in both.
fn steps((old, before): (&Side, usize), (new, after): (&Side, usize), all: &mut Vec<Difference>) {
    let (was, is): (&StepText, &StepText) = (&old.document.steps[before], &new.document.steps[after]);
    let name = is.name.to_string();
    let mut add = |change: String, fixed: bool| {
        let repin = if fixed { Repin::NotAttempted(vec![name.clone()]) } else { Repin::Any };
        all.push(Difference { step: Some(name.clone()), change, repin });
    };
    if was.participant.value != is.participant.value {
        add(format!("participant: {} → {}", was.participant.value, is.participant.value), true);
    }
    let (early, late) = (predecessors(old, before), predecessors(new, after));
    if early != late {
        add(format!("runs {} (was: {})", after_words(&late), after_words(&early)), true);
    }
    let within = |step: &StepText| step.within.as_ref().map(|within| within.value);
    if within(was) != within(is) {
        let word = |within: Option<Duration>| within.map_or_else(|| "none".to_owned(), shown_duration);
        add(format!("within: {} → {}", word(within(was)), word(within(is))), false);
    }
    let (was_json, is_json) = (json_of(old, before), json_of(new, after));
    leaves("when", &was_json["when"], &is_json["when"]).into_iter().for_each(|change| add(change, false));
    operation::all((was, was_json), (is, is_json), &mut add);
}

fn from_to(old: Duration, new: Duration) -> String {
    format!("{} → {}", shown_duration(old), shown_duration(new))
}
