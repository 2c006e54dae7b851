//! Mended versions of a definition, and versions that mend nothing: one word more or less, a step more or less, another order.
//!
//! Nothing here knows which of them a saga may move to; that is what is tested. Invariant: what comes out is a valid definition.

use std::sync::Arc;

use amends_engine::definition::Definition;
use amends_engine::event::{Event, Repin};
use amends_engine::ids::{Operation, StepIndex, Version};

use super::World;
use super::choices::Choices;
use super::operator::by;
use super::participant::Participant;
use crate::shape;

/// Words that may come or go.
const WORDS: [&str; 8] = ["query", "tries=1", "finish=1", "within=1500", "if", "tcc", "none", "pivot"];

/// Another text of a definition with up to eight steps.
fn changed(text: &str, choices: &mut Choices) -> String {
    let mut steps: Vec<String> = text.split(" | ").map(str::to_owned).collect();
    let at = choices.pick(steps.len());
    match choices.pick(12) {
        0..3 if steps.len() < 8 => steps.push(format!("n{}", choices.pick(1000))),
        3 if steps.len() > 1 => drop(steps.pop()),
        4 => steps[at] = format!("x{}", steps[at]),
        5 => steps.insert(at, format!("n{}", choices.pick(1000))),
        6 => steps[at] = steps[at].split(' ').filter(|word| !word.starts_with("after=")).collect::<Vec<_>>().join(" "),
        _ => {
            let word = WORDS[choices.pick(WORDS.len())];
            let words: Vec<&str> = steps[at].split(' ').collect();
            let without: Vec<&str> = words.iter().copied().filter(|other| *other != word).collect();
            let with = || format!("{} {word}", steps[at]);
            steps[at] = if without.len() == words.len() { with() } else { without.join(" ") };
        }
    }
    steps.join(" | ")
}

/// Whether every `after` names a step above it.
fn names_earlier_steps(text: &str) -> bool {
    let mut earlier: Vec<&str> = Vec::new();
    text.split(" | ").all(|step| {
        let mut words = step.split(' ');
        let name = words.next().unwrap_or_default();
        let mut after = words.filter_map(|word| word.strip_prefix("after=")).flat_map(|names| names.split(','));
        let known = after.all(|name| name == "-" || earlier.contains(&name));
        earlier.push(name);
        known
    })
}

impl World {
    /// A new version, after one change or several, where what comes out is valid.
    pub(super) fn another_version(&mut self) -> Option<Event> {
        let mut text = self.text.clone();
        for _ in 0..=self.choices.pick(3) {
            text = changed(&text, &mut self.choices);
        }
        if !names_earlier_steps(&text) {
            return None;
        }
        let from = self.saga.state.head.version;
        let definition = Arc::new(shape::version(&text, from.0 + 1).ok()?);
        self.offered = text;
        let elsewhere = match self.choices.pick(4) {
            0 => vec![(StepIndex(0), Operation::Compensate)],
            _ => Vec::new(),
        };
        Some(Event::Repin(Repin { from: Version(from.0), definition, elsewhere, by: by() }))
    }

    /// The saga has moved: its new steps have participants.
    pub(super) fn has_moved(&mut self, definition: &Definition) {
        self.text = std::mem::take(&mut self.offered);
        while self.participants.len() < definition.steps().len() {
            self.participants.push(Participant::new(&mut self.choices));
        }
    }
}
