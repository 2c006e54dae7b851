//! The sum of many runs, and what must hold of it: no violation, no empty cell, and everything seen that must be seen.
//!
//! A long campaign goes in slices; their sums are kept in a file and added here, never by hand. Invariants: a slice is counted
//! once, since it must begin where the one before ended; a file of another program version is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::faults::{Boundary, Fault, Table};
use crate::harness::Report;
use crate::sometimes::{ONE_IN, SOMETIMES, seen};

/// From so many runs on every cell of the table must have been seen: fewer have too little of what seldom happens.
const EVERY_CELL_FROM: u64 = 5 * ONE_IN;

/// The sum of the runs of a range of seeds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Totals {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Faults by boundary.
    pub faults: Table,
    /// In how many runs each property was seen, in the order of [`SOMETIMES`].
    pub sometimes: Vec<u64>,
    /// Sagas by how they ended, with their definition.
    pub ends: BTreeMap<(String, String), u64>,
    /// Changes that became durable.
    pub commits: u64,
    /// Lives of nodes.
    pub lives: u64,
    /// Seeds in which an invariant was broken.
    pub violations: Vec<u64>,
}

/// A file of sums that can't be gone on from.
#[derive(Debug, thiserror::Error)]
#[error("these sums can't be gone on from: {0}")]
pub struct BadTotals(String);

impl Totals {
    /// The sum of no run, from this seed on.
    pub fn from(first: u64) -> Self {
        Self { first, sometimes: vec![0; SOMETIMES.len()], ..Self::default() }
    }

    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.faults.add(&report.faults);
        for (sum, seen) in self.sometimes.iter_mut().zip(seen(&report.trace)) {
            *sum += u64::from(seen);
        }
        for saga in &report.sagas {
            let kind = (saga.definition.to_string(), saga.status.as_str().to_owned());
            *self.ends.entry(kind).or_default() += 1;
        }
        self.commits += report.commits;
        self.lives += u64::from(report.lives);
        if !report.violations.is_empty() {
            self.violations.push(report.seed);
        }
    }

    /// Adds other sums, of other seeds.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.faults.add(&other.faults);
        self.sometimes.iter_mut().zip(&other.sometimes).for_each(|(sum, more)| *sum += more);
        for (kind, sagas) in &other.ends {
            *self.ends.entry(kind.clone()).or_default() += sagas;
        }
        self.commits += other.commits;
        self.lives += other.lives;
        self.violations.extend(&other.violations);
    }

    /// What these sums fall short of; empty where they prove something. Asks for each property in proportion to the seeds, and for
    /// every cell of the table once there are enough of them.
    pub fn falls_short(&self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(self.violations.iter().map(|seed| format!("seed {seed} broke an invariant")));
        for ((what, _), runs) in SOMETIMES.iter().zip(&self.sometimes) {
            let least = self.seeds / ONE_IN;
            if *runs < least {
                found.push(format!("in {runs} runs, and not in {least}, {what}"));
            }
        }
        if self.seeds >= EVERY_CELL_FROM {
            let empty = self.faults.empty().into_iter();
            found.extend(empty.map(|(fault, at)| format!("never happened: {fault} × {at}")));
        }
        found
    }

    /// For a file.
    pub fn to_json(&self) -> Value {
        let sometimes: Map<String, Value> =
            SOMETIMES.iter().zip(&self.sometimes).map(|((what, _), runs)| ((*what).to_owned(), json!(runs))).collect();
        let ends: Vec<Value> = self.ends.iter().map(|((name, status), sagas)| json!([name, status, sagas])).collect();
        json!({
            "first": self.first, "seeds": self.seeds, "kinds": kinds(), "faults": self.faults.numbers(), "sometimes": sometimes,
            "ends": ends, "commits": self.commits, "lives": self.lives, "violations": self.violations,
        })
    }

    /// From such a file.
    pub fn of_json(json: &Value) -> Result<Self, BadTotals> {
        let bad = |what: &str| BadTotals(format!("{what} isn't as this version writes it"));
        let number = |name: &str| json[name].as_u64().ok_or_else(|| bad(name));
        if json["kinds"] != kinds() {
            return Err(bad("kinds"));
        }
        let numbers = |name: &str| -> Result<Vec<u64>, BadTotals> {
            let list = json[name].as_array().ok_or_else(|| bad(name))?;
            list.iter().map(|it| it.as_u64().ok_or_else(|| bad(name))).collect()
        };
        let sometimes = SOMETIMES.iter().map(|(what, _)| json["sometimes"][*what].as_u64().ok_or_else(|| bad(what)));
        let mut ends = BTreeMap::new();
        for end in json["ends"].as_array().ok_or_else(|| bad("ends"))? {
            let (Some(name), Some(status), Some(sagas)) = (end[0].as_str(), end[1].as_str(), end[2].as_u64()) else {
                return Err(bad("ends"));
            };
            ends.insert((name.to_owned(), status.to_owned()), sagas);
        }
        Ok(Self {
            first: number("first")?,
            seeds: number("seeds")?,
            faults: Table::of_numbers(&numbers("faults")?).ok_or_else(|| bad("faults"))?,
            sometimes: sometimes.collect::<Result<_, _>>()?,
            ends,
            commits: number("commits")?,
            lives: number("lives")?,
            violations: numbers("violations")?,
        })
    }

    /// For people, in Markdown.
    pub fn markdown(&self) -> String {
        let Self { first, seeds, faults, commits, lives, .. } = self;
        let last = first + seeds.saturating_sub(1);
        let mut text = format!(
            "Seeds {first} to {last}: {seeds} runs, {} boundaries passed, {} faults ({:.1} a run), {commits} durable changes, {lives} \
             lives of nodes, {} seeds with a violation.\n\n",
            faults.passed(),
            faults.total(),
            faults.total() as f64 / (*seeds).max(1) as f64,
            self.violations.len(),
        );
        text += "## Faults by boundary\n\n";
        text += &faults.markdown();
        text += "\nA dash is a cell that can't be:\n\n";
        text += &Table::exclusions();
        let _ = write!(
            text,
            "\n## Sometimes\n\nEach in at least one of {ONE_IN} runs.\n\n| in so many runs |  |\n|--:|---|\n"
        );
        for ((what, _), runs) in SOMETIMES.iter().zip(&self.sometimes) {
            let _ = writeln!(text, "| {runs} | {what} |");
        }
        text += "\n## Ends\n\n| definition | status | sagas |\n|---|---|--:|\n";
        for ((name, status), sagas) in &self.ends {
            let _ = writeln!(text, "| {name} | {status} | {sagas} |");
        }
        text
    }
}

/// What the numbers of a table stand for.
fn kinds() -> Value {
    let faults: Vec<&str> = Fault::ALL.iter().map(|it| it.word()).collect();
    let boundaries: Vec<&str> = Boundary::ALL.iter().map(|it| it.word()).collect();
    json!([faults, boundaries])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_survive_a_file_and_add_up() {
        let mut totals = Totals::from(7);
        totals.seeds = 3;
        totals.sometimes[0] = 2;
        totals.ends.insert(("chain".to_owned(), "completed".to_owned()), 5);
        totals.violations.push(8);
        let mut read = Totals::of_json(&totals.to_json()).unwrap();
        assert_eq!(read, totals);
        read.merge(&totals);
        assert_eq!((read.seeds, read.sometimes[0], read.violations.len()), (6, 4, 2));
        assert!(Totals::of_json(&json!({ "first": 1 })).is_err());
    }

    #[test]
    fn what_was_never_seen_and_what_broke_falls_short() {
        let mut totals = Totals::from(1);
        totals.seeds = ONE_IN;
        assert_eq!(totals.falls_short().len(), SOMETIMES.len());
        totals.seeds = EVERY_CELL_FROM;
        assert_eq!(totals.falls_short().len(), SOMETIMES.len() + totals.faults.empty().len());
        totals.violations.push(4);
        assert!(totals.falls_short()[0].contains("seed 4"));
        assert_eq!(Totals::from(1).falls_short(), Vec::<String>::new(), "of no run nothing is asked");
    }
}
