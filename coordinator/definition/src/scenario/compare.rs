//! What was expected beside what came of it.
//!
//! Bodies match partially: what an expectation names must be there and equal; what it doesn't name may be anything. Invariant:
//! every difference becomes a complaint; nothing is compared that wasn't asked for, but how the saga ended.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::facts::StepEffect;
use amends_engine::ids::StepIndex;
use amends_engine::saga::{Phase, Saga};
use amends_engine::standing;
use serde_json::Value;

use super::play::Made;
use super::report::{CallLine, Mark, clock};
use super::{End, Expect, ExpectedCall, OperationKey, operation_name};
use crate::compiled::Compiled;
use crate::finding::shown_duration;

/// Complaints, and the calls side by side.
pub(super) fn compare(
    compiled: &Compiled,
    expect: &Expect,
    saga: &Saga,
    made: &[Made],
    outputs: &BTreeMap<StepIndex, Value>,
    took: Duration,
) -> (Vec<String>, Vec<CallLine>) {
    let mut complaints = Vec::new();
    if !expect.ends.is(saga) {
        complaints.push(format!("it was to end {}, and is {}", expect.ends, ended(saga)));
    }
    let mut lines = Vec::new();
    if let Some(expected) = &expect.calls {
        lines = aligned(compiled, expected, made);
        if lines.iter().any(|line| line.mark != Mark::Same) {
            complaints.push("the calls differ".to_owned());
        }
        for call in expected {
            let made = made.iter().find(|made| made.key == call.key);
            if let (Some(wanted), Some(made)) = (&call.request, made) {
                let of = format!("the request of {}", operation_name(compiled, call.key));
                complaints.extend(differences(&of, wanted, &made.request));
            }
        }
    }
    for (step, wanted) in &expect.outputs {
        let of = format!("the output of {}", compiled.engine().step(*step).name);
        match outputs.get(step) {
            Some(output) => complaints.extend(differences(&of, wanted, output)),
            None => complaints.push(format!("{of} isn't there: its action has not succeeded")),
        }
    }
    if let Some(wanted) = &expect.residue {
        complaints.extend(residue(compiled, wanted, saga));
    }
    if let Some(most) = expect.took_less_than.filter(|most| took >= *most) {
        let (took, most) = (clock(took), shown_duration(most));
        complaints.push(format!("it took {took} (with the longest delays before retries), not less than {most}"));
    }
    (complaints, lines)
}

/// How a saga ended, or where it rests: `completed`, `stuck: pivot_unknown`, `waiting: pending`.
pub(super) fn ended(saga: &Saga) -> String {
    if let Some(stuck) = saga.stuck() {
        let place = stuck.step.map(|step| format!(" (step {})", saga.definition.step(step).name));
        return format!("stuck: {}{}", stuck.reason.as_str(), place.unwrap_or_default());
    }
    match standing::waiting(saga) {
        Some(waiting) => format!("waiting: {}", waiting.reason.as_str()),
        None => standing::status(saga).to_string(),
    }
}

impl End {
    fn is(self, saga: &Saga) -> bool {
        match self {
            Self::Completed => saga.state.phase == Phase::Completed,
            Self::Compensated => saga.state.phase == Phase::Compensated,
            Self::ForceStopped => saga.state.phase == Phase::ForceStopped,
            Self::Stuck(None) => saga.stuck().is_some(),
            Self::Stuck(Some(reason)) => saga.all_stuck().iter().any(|stuck| stuck.reason == reason),
            Self::Waiting(reason) => {
                saga.stuck().is_none()
                    && standing::waiting(saga).is_some_and(|waiting| reason.is_none_or(|it| it == waiting.reason))
            }
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Compensated => f.write_str("compensated"),
            Self::ForceStopped => f.write_str("force_stopped"),
            Self::Stuck(None) => f.write_str("stuck"),
            Self::Stuck(Some(reason)) => write!(f, "stuck: {}", reason.as_str()),
            Self::Waiting(None) => f.write_str("waiting"),
            Self::Waiting(Some(reason)) => write!(f, "waiting: {}", reason.as_str()),
        }
    }
}

/// The two lists as one, by their longest common part.
fn aligned(compiled: &Compiled, expected: &[ExpectedCall], made: &[Made]) -> Vec<CallLine> {
    let left: Vec<(OperationKey, u32)> = expected.iter().map(|call| (call.key, call.attempts)).collect();
    let right: Vec<(OperationKey, u32)> = made.iter().map(|call| (call.key, call.attempts)).collect();
    let mut longest = vec![vec![0usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            longest[i][j] = match left[i] == right[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let line = |mark, (key, attempts): (OperationKey, u32)| {
        let times = if attempts == 1 { String::new() } else { format!(" × {attempts}") };
        CallLine { mark, text: operation_name(compiled, key) + &times }
    };
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push(line(Mark::Same, left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || (i < left.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(line(Mark::Missing, left[i]));
            i += 1;
        } else {
            lines.push(line(Mark::Unexpected, right[j]));
            j += 1;
        }
    }
    lines
}

fn residue(compiled: &Compiled, wanted: &BTreeMap<StepIndex, StepEffect>, saga: &Saga) -> Vec<String> {
    let left: BTreeMap<StepIndex, StepEffect> =
        saga.residue().iter().map(|residue| (residue.step, residue.effect)).collect();
    let word = |effect: Option<&StepEffect>| match effect {
        Some(StepEffect::Stands) => "stands",
        Some(StepEffect::Possible) => "is possible",
        Some(StepEffect::None | StepEffect::Undone) | None => "is not there",
    };
    let steps = compiled.engine().indices().filter(|step| wanted.get(step) != left.get(step));
    steps
        .map(|step| {
            let name = &compiled.engine().step(step).name;
            let (wanted, left) = (word(wanted.get(&step)), word(left.get(&step)));
            format!("the effect of {name} {left}; expected was that it {wanted}")
        })
        .collect()
}

/// Where `found` lacks or contradicts what `wanted` names. Scenarios hold made-up data, so values are shown.
fn differences(of: &str, wanted: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect(String::new(), wanted, found, &mut |path, text| all.push(format!("{of}{path}: {text}")));
    all
}

fn collect(path: String, wanted: &Value, found: &Value, report: &mut impl FnMut(&str, String)) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                match found.get(name) {
                    Some(found) => collect(format!("{path}.{name}"), wanted, found, report),
                    None => report(&format!("{path}.{name}"), format!("expected {wanted}, and there is no such field")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                collect(format!("{path}[{index}]"), wanted, found, report);
            }
        }
        _ if wanted != found => report(&path, format!("expected {wanted}, was {found}")),
        _ => {}
    }
}
