//! Who waits for whom, and the rules about it: steps that exist, names used once, no cycle.
//!
//! A step without `after` follows the one above it. Invariant: an [`Order`] is acyclic; there is none for a definition
//! whose steps wait for each other, and rules that need it are then not judged.

use super::{find, names};
use crate::document::Document;
use crate::finding::{Findings, did_you_mean};
use crate::rules;

/// The order of a definition's steps, by their index.
#[derive(Debug)]
pub(crate) struct Order {
    after: Vec<Vec<usize>>,
    /// `before[early][late]`: the one is done before the other begins.
    before: Vec<Vec<bool>>,
}

impl Order {
    /// Reads and checks all `after`. `None`: a step doesn't exist, or there is a cycle.
    pub(crate) fn of(document: &Document, findings: &mut Findings) -> Option<Self> {
        check_names(document, findings);
        let after: Vec<_> = (0..document.steps.len()).map(|index| read_after(document, index, findings)).collect();
        let after: Vec<Vec<usize>> = after.into_iter().collect::<Option<_>>()?;
        if let Some(cycle) = find_cycle(&after) {
            report_cycle(document, &cycle, findings);
            return None;
        }
        let before = closure(&after);
        Some(Self { after, before })
    }

    /// The steps that a step waits for, each once.
    pub(crate) fn after(&self, index: usize) -> &[usize] {
        &self.after[index]
    }

    /// Whether one step is done before another begins.
    pub(crate) fn is_before(&self, early: usize, late: usize) -> bool {
        self.before[early][late]
    }

    /// Whether a step can only begin once the pivot has succeeded.
    pub(crate) fn is_after_pivot(&self, document: &Document, index: usize) -> bool {
        let pivot = document.steps.iter().position(|step| step.pivot.is_some());
        pivot.is_some_and(|pivot| self.is_before(pivot, index))
    }
}

fn check_names(document: &Document, findings: &mut Findings) {
    for (index, step) in document.steps.iter().enumerate() {
        if find(document, step.name.as_str()) != Some(index) {
            findings.about(Some(step.name.as_str()));
            let message = format!("two steps are named `{}`: nobody could tell their effects apart", step.name);
            findings.error(rules::DUPLICATE_STEP, step.place, message, "give each step a name of its own");
        }
    }
    findings.about(None);
}

fn read_after(document: &Document, index: usize, findings: &mut Findings) -> Option<Vec<usize>> {
    let step = &document.steps[index];
    let Some(after) = &step.after else {
        return Some(index.checked_sub(1).into_iter().collect());
    };
    findings.about(Some(step.name.as_str()));
    let mut indices = Vec::new();
    let mut complete = true;
    for name in after {
        match find(document, name.value.as_str()) {
            Some(found) if !indices.contains(&found) => indices.push(found),
            Some(_) => {}
            None => {
                let message = format!("`after` names `{}`, and there is no such step", name.value);
                let mend = did_you_mean(name.value.as_str(), names(document));
                findings.error(rules::UNKNOWN_STEP, name.place, message, mend);
                complete = false;
            }
        }
    }
    findings.about(None);
    complete.then_some(indices)
}

/// The first cycle, each step followed by the one that it waits for.
fn find_cycle(after: &[Vec<usize>]) -> Option<Vec<usize>> {
    // 0: not visited, 1: on the way, 2: leads to no cycle.
    let mut marks = vec![0_u8; after.len()];
    for start in 0..after.len() {
        let mut way: Vec<(usize, usize)> = Vec::new();
        if marks[start] == 0 {
            way.push((start, 0));
            marks[start] = 1;
        }
        while let Some((index, next)) = way.last_mut() {
            let Some(found) = after[*index].get(*next).copied() else {
                marks[*index] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            match marks[found] {
                0 => {
                    marks[found] = 1;
                    way.push((found, 0));
                }
                1 => return Some(way.iter().map(|(index, _)| *index).skip_while(|index| *index != found).collect()),
                _ => {}
            }
        }
    }
    None
}

fn report_cycle(document: &Document, cycle: &[usize], findings: &mut Findings) {
    let way: Vec<&str> = cycle.iter().chain(cycle.first()).map(|index| document.steps[*index].name.as_str()).collect();
    let written = cycle.iter().find_map(|index| Some((*index, document.steps[*index].after.as_ref()?.first()?.place)));
    let Some((index, place)) = written else { return };
    findings.about(Some(document.steps[index].name.as_str()));
    let message = format!("these steps wait for each other and none could begin: {}", way.join(" after "));
    let mend =
        "take one out of an `after`; a step without `after` follows the one above it, `after: []` starts at once";
    findings.error(rules::CYCLE, place, message, mend);
    findings.about(None);
}

fn closure(after: &[Vec<usize>]) -> Vec<Vec<bool>> {
    let mut before = vec![vec![false; after.len()]; after.len()];
    for late in 0..after.len() {
        let mut open = after[late].clone();
        while let Some(early) = open.pop() {
            if !std::mem::replace(&mut before[early][late], true) {
                open.extend_from_slice(&after[early]);
            }
        }
    }
    before
}
