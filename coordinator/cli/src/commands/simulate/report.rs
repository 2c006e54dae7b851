//! The answer of a simulation as text and JSON.
//!
//! Only words and layout; nothing is judged here. Invariant: every line that names something bad names a seed that shows it.

use std::cmp::Reverse;

use amends_engine::ids::{Operation, StepName};
use amends_engine::saga::StuckReason;
use amends_engine::standing::StatusWord;
use comfy_table::Cell;
use serde_json::{Value, json};

use super::sums::{Often, Stuck, Sums};
use crate::output::{Tone, cell, harmless, heading, table};

/// How many broken properties are shown.
const BROKEN_SHOWN: usize = 20;

/// For people.
pub(super) fn text(file: &str, sums: &Sums) -> String {
    let Sums { runs, sagas, faults, .. } = sums;
    let mut text = heading(&format!("{file}: {runs} runs, {sagas} sagas, {faults} faults")) + "\n\n";
    let mut ends: Vec<_> = sums.ends.iter().collect();
    ends.sort_by_key(|(status, often)| (Reverse(often.times), **status));
    let ends = ends.into_iter().map(|(status, often)| {
        let mut row = vec![cell(status.as_str(), tone(*status))];
        row.extend(numbers(*often, *sagas));
        row
    });
    text += &table(&["ENDED", "SAGAS", "SHARE", "SEED"], ends);
    if !sums.stuck.is_empty() {
        text += &format!("\n{}\n", heading("Stuck until somebody looks after it"));
        let rows = sums.stuck.values().map(|((reason, at), often)| {
            let mut row = vec![cell(reason.as_str(), Tone::Bad), cell(place(at.as_ref()), Tone::Plain)];
            row.extend(numbers(*often, *sagas));
            row
        });
        text += &table(&["REASON", "AT", "SAGAS", "SHARE", "SEED"], rows);
    }
    if !sums.standing.is_empty() {
        text += &format!("\n{}\n", heading("Effects that could stand though the saga wasn't completed"));
        let rows = sums.standing.iter().map(|(standing, often)| {
            let (word, tone) = if standing.certain { ("stands", Tone::Bad) } else { ("possible", Tone::Notable) };
            let mut row = vec![
                cell(&standing.participant, Tone::Plain),
                cell(standing.step.as_str(), Tone::Plain),
                cell(word, tone),
                cell(standing.status.as_str(), Tone::Plain),
            ];
            row.extend(numbers(*often, *sagas));
            row
        });
        text += &table(&["PARTICIPANT", "STEP", "EFFECT", "SAGA", "SAGAS", "SHARE", "SEED"], rows);
    }
    text += &format!("\n{}\n", heading("Properties of money"));
    text += &broken(sums);
    let seed = sums.stuck.values().map(|(_, often)| often.seed).chain(sums.standing.values().map(|it| it.seed)).min();
    if let Some(seed) = seed.filter(|_| *runs > 1) {
        text += &format!("\nWhat happened there: amends simulate {file} --seed {seed} --history\n");
    }
    text
}

fn broken(sums: &Sums) -> String {
    if sums.broken.is_empty() {
        return "none broke: no effect twice, none after its undoing, none unaccounted for, no saga lost or silent\n"
            .to_owned();
    }
    let line = |(seed, what): (&u64, &Vec<String>)| {
        what.iter().map(|what| format!("BROKEN  seed {seed}: {}\n", harmless(what))).collect::<String>()
    };
    sums.broken.iter().take(BROKEN_SHOWN).map(line).collect()
}

/// For programs.
pub(super) fn to_json(file: &str, sums: &Sums) -> Value {
    let often =
        |often: &Often| json!({ "sagas": often.times, "share": part(often.times, sums.sagas), "seed": often.seed });
    let with = |mut value: Value, counted: &Often| {
        if let (Some(object), Value::Object(numbers)) = (value.as_object_mut(), often(counted)) {
            object.extend(numbers);
        }
        value
    };
    let stuck = |((reason, at), counted): &(Stuck, Often)| {
        let (step, operation) = at.as_ref().map(|(step, operation)| (step.as_str(), operation.as_str())).unzip();
        with(json!({ "reason": reason.as_str(), "step": step, "operation": operation }), counted)
    };
    json!({
        "file": file,
        "runs": sums.runs,
        "sagas": sums.sagas,
        "faults": sums.faults,
        "ended": sums.ends.iter().map(|(status, counted)| with(json!({ "status": status.as_str() }), counted)).collect::<Vec<_>>(),
        "stuck": sums.stuck.values().map(stuck).collect::<Vec<_>>(),
        "effects": sums.standing.iter().map(|(it, counted)| {
            let effect = if it.certain { "stands" } else { "possible" };
            let value = json!({
                "participant": it.participant, "step": it.step.as_str(), "effect": effect, "status": it.status.as_str(),
            });
            with(value, counted)
        }).collect::<Vec<_>>(),
        "broken": sums.broken.iter().map(|(seed, what)| json!({ "seed": seed, "what": what })).collect::<Vec<_>>(),
    })
}

/// ` (rejected_after_pivot at charge.action)`, or nothing.
pub(super) fn why_stuck(stuck: Option<&(StuckReason, Option<(StepName, Operation)>)>) -> String {
    stuck.map_or_else(String::new, |(reason, at)| format!(" ({} at {})", reason.as_str(), place(at.as_ref())))
}

fn place(at: Option<&(StepName, Operation)>) -> String {
    at.map_or_else(|| "the saga".to_owned(), |(step, operation)| format!("{step}.{operation}"))
}

fn numbers(often: Often, of: u64) -> [Cell; 3] {
    let share = format!("{:.1} %", 100.0 * part(often.times, of));
    [often.times.to_string(), share, often.seed.to_string()].map(|text| cell(text, Tone::Plain))
}

fn part(times: u64, of: u64) -> f64 {
    times as f64 / of.max(1) as f64
}

fn tone(status: StatusWord) -> Tone {
    match status {
        StatusWord::Completed => Tone::Good,
        StatusWord::Stuck => Tone::Bad,
        _ => Tone::Notable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_is_shown_with_its_seed_and_cannot_steer_the_terminal() {
        let mut sums = Sums { runs: 2, ..Sums::default() };
        assert!(text("a.yaml", &sums).contains("none broke"));
        sums.broken.insert(7, vec!["I2: charged twice\u{1b}[2J".to_owned()]);
        assert!(text("a.yaml", &sums).contains("BROKEN  seed 7: I2: charged twice [2J\n"));
        assert_eq!(to_json("a.yaml", &sums)["broken"][0]["seed"], 7);
    }
}
