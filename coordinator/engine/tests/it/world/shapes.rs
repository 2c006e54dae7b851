//! Random definitions as text: chains and graphs, pivots, TCC, conditions, queries, times.
//!
//! Invariant: what comes out is valid; every other step is before or after the pivot.

use super::choices::Choices;

/// The text of a definition of up to five steps.
pub(crate) fn text(choices: &mut Choices) -> String {
    let count = 1 + choices.pick(5);
    // No pivot for half of the definitions.
    let pivot = Some(choices.pick(2 * count)).filter(|pivot| *pivot < count && choices.percent(80));
    let steps: Vec<String> = (0..count).map(|step| one(step, pivot, choices)).collect();
    steps.join(" | ")
}

fn one(step: usize, pivot: Option<usize>, choices: &mut Choices) -> String {
    let mut words = vec![format!("s{step}")];
    words.extend(after(step, pivot, choices));
    if pivot == Some(step) {
        words.push("pivot".to_owned());
    }
    let optional = [
        ("tcc", 15),
        ("if", 15),
        ("none", 10),
        ("revert", 30),
        ("query", 30),
        ("tries=1", 15),
        ("tries=2", 20),
        ("finish=1", 10),
        ("finish=2", 15),
        ("within=1500", 10),
        ("within=4000", 15),
    ];
    for (word, chance) in optional {
        let fits = !(word == "if" && pivot == Some(step));
        if choices.percent(chance) && fits {
            words.push(word.to_owned());
        }
    }
    words.join(" ")
}

/// What a step comes after: the step before it, nothing, or some of those before; around a pivot all of them.
fn after(step: usize, pivot: Option<usize>, choices: &mut Choices) -> Option<String> {
    let first = pivot.filter(|pivot| step > *pivot).unwrap_or(0);
    let is_pivot = pivot == Some(step);
    if step == 0 || (!is_pivot && choices.percent(50)) {
        return None;
    }
    let earlier: Vec<usize> = (first..step).collect();
    let chosen: Vec<usize> = match pivot {
        Some(_) if is_pivot => earlier,
        Some(pivot) if step > pivot => {
            let mut some: Vec<usize> = earlier.into_iter().filter(|_| choices.percent(50)).collect();
            if some.is_empty() {
                some.push(pivot);
            }
            some
        }
        _ => earlier.into_iter().filter(|_| choices.percent(40)).collect(),
    };
    if chosen.is_empty() {
        return Some("after=-".to_owned());
    }
    let names: Vec<String> = chosen.iter().map(|step| format!("s{step}")).collect();
    Some(format!("after={}", names.join(",")))
}
