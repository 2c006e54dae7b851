//! What was measured, as tables for people and as JSON for programs.
//!
//! Measures nothing. Invariant: both forms say the same; no figure is left out because it is bad.

use serde_json::{Value, json};

use super::load::Measured;
use super::redis::Cost;
use crate::exit::Failure;
use crate::output::{Format, Tone, cell, table};

/// One measurement.
#[derive(Debug)]
pub(super) struct Row {
    /// How durable it was.
    pub(super) level: &'static str,
    pub(super) in_flight: usize,
    pub(super) what: &'static str,
    pub(super) measured: Measured,
    /// The floor that it is compared with, per second.
    pub(super) of: f64,
    /// What one of them cost Redis.
    pub(super) cost: Option<Cost>,
}

/// All measurements of a run.
#[derive(Debug)]
pub(super) struct Report {
    title: String,
    floor: &'static str,
    rows: Vec<Row>,
    /// By level, what an idle coordinator costs Redis a second.
    idle: Vec<(&'static str, Cost)>,
}

impl Report {
    /// Begins with saying what is measured, and on what.
    pub(super) fn begin(store: &str, floor: &'static str) -> Self {
        let title = format!("{store}; {}", super::machine());
        eprintln!("{title}");
        Self { title, floor, rows: Vec::new(), idle: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn add_idle(&mut self, level: &'static str, a_second: Cost) {
        self.idle.push((level, a_second));
    }

    pub(super) fn print(&self, output: Format) -> Result<(), Failure> {
        output.print(|| Ok(self.json()), || self.text())
    }

    fn text(&self) -> String {
        let of = format!("OF {}", self.floor);
        let header = ["LEVEL", "IN FLIGHT", "WHAT", "PER SECOND", "P50 MS", "P99 MS", &of, "FAILED"];
        let speeds = table(&header, self.rows.iter().map(|row| cells(&row.speed())));
        let costs: Vec<Vec<String>> = self.rows.iter().filter_map(Row::costs).chain(self.idle_costs()).collect();
        if costs.is_empty() {
            return speeds;
        }
        let header = [&["LEVEL", "IN FLIGHT", "EACH"], &Cost::HEADER[..]].concat();
        speeds + "\n" + &table(&header, costs.iter().map(|row| cells(row)))
    }

    fn idle_costs(&self) -> impl Iterator<Item = Vec<String>> {
        self.idle.iter().map(|(level, cost)| {
            let begin = [(*level).to_owned(), "0".to_owned(), "second of an idle coordinator".to_owned()];
            begin.into_iter().chain(cost.texts()).collect()
        })
    }

    fn json(&self) -> Value {
        let idle: Vec<Value> =
            self.idle.iter().map(|(level, cost)| json!({ "level": level, "redis_per_second": cost.json() })).collect();
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({ "title": self.title, "measurements": rows, "idle": idle })
    }
}

impl Row {
    fn speed(&self) -> Vec<String> {
        let Measured { per_second, p50_ms, p99_ms, failed, .. } = self.measured;
        vec![
            self.level.to_owned(),
            self.in_flight.to_string(),
            self.what.to_owned(),
            format!("{per_second:.0}"),
            format!("{p50_ms:.2}"),
            format!("{p99_ms:.2}"),
            format!("{:.2}", per_second / self.of),
            failed.to_string(),
        ]
    }

    fn costs(&self) -> Option<Vec<String>> {
        let begin = [self.level.to_owned(), self.in_flight.to_string(), self.what.to_owned()];
        Some(begin.into_iter().chain(self.cost.as_ref()?.texts()).collect())
    }

    fn json(&self) -> Value {
        let Measured { per_second, p50_ms, p99_ms, failed, done } = self.measured;
        json!({
            "level": self.level,
            "in_flight": self.in_flight,
            "what": self.what,
            "per_second": per_second,
            "p50_ms": p50_ms,
            "p99_ms": p99_ms,
            "of_floor": per_second / self.of,
            "done": done,
            "failed": failed,
            "redis_each": self.cost.as_ref().map(Cost::json),
        })
    }
}

fn cells(texts: &[String]) -> Vec<comfy_table::Cell> {
    texts.iter().map(|text| cell(text, Tone::Plain)).collect()
}
