//! The shapes of a library's definitions as a table: which of them have a graph, a pivot, tries, what answers later.
//!
//! Read from what was compiled, so that the table can't say what isn't run.

use std::fmt::Write as _;

use amends_engine::definition::{Definition, Step};
use amends_engine::ids::StepIndex;

use crate::library::Library;

impl Library {
    /// In Markdown, one line for each definition.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| definition | steps | graph | tried and confirmed | pivot | asked about | may be left out |\n",
        );
        text += "|---|--:|---|--:|---|--:|--:|\n";
        for definition in self.definitions() {
            let steps = definition.steps();
            let count = |has: fn(&Step) -> bool| steps.iter().filter(|step| has(step)).count();
            let graph = if is_chain(steps) { "–" } else { "yes" };
            let pivot = if count(|step| step.pivot) > 0 { "yes" } else { "–" };
            let tried = count(|step| step.confirm.is_some());
            let (asked, left_out) = (count(|step| step.query.is_some()), count(|step| step.conditional));
            let name = definition.name();
            let _ = writeln!(text, "| {name} | {} | {graph} | {tried} | {pivot} | {asked} | {left_out} |", steps.len());
        }
        text
    }

    fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.entries().iter().filter_map(|entry| entry.newest()).map(|compiled| &**compiled.engine())
    }
}

/// Each step comes after the one before it, and after no other.
fn is_chain(steps: &[Step]) -> bool {
    let before = |index: usize| index.checked_sub(1).map(|index| StepIndex(u16::try_from(index).unwrap_or(u16::MAX)));
    steps.iter().enumerate().all(|(index, step)| step.after.iter().copied().eq(before(index)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::scenarios;

    #[test]
    fn the_library_has_what_sagas_are_made_of() {
        let table = Library::new(scenarios()).unwrap().markdown();
        let line = |name: &str| table.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap().to_owned();
        assert_eq!(line("chain"), "| chain | 3 | – | 0 | – | 0 | 0 |");
        assert_eq!(line("diamond"), "| diamond | 5 | yes | 0 | – | 0 | 0 |");
        assert_eq!(line("mixed"), "| mixed | 3 | yes | 2 | – | 0 | 0 |");
        assert_eq!(line("pivot"), "| pivot | 3 | – | 0 | yes | 1 | 0 |");
        assert_eq!(line("conditional"), "| conditional | 3 | – | 0 | – | 0 | 1 |");
    }
}
