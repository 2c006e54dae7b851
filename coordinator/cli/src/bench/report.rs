//! What was measured, as tables for people and as JSON for programs.
//!
//! Measures nothing. Invariant: both forms say the same; no figure is left out because it is bad.

use serde_json::{Value, json};

use super::cpu::Used;
use super::load::Measured;
use super::redis::Cost;
use crate::exit::Failure;
use crate::output::{Format, Tone, cell, table};

/// One measurement.
#[derive(Debug)]
pub(super) struct Row {
    /// How durable it was.
    pub(super) level: &'static str,
    /// How many were in flight, or begun a second.
    pub(super) load: String,
    pub(super) what: String,
    pub(super) measured: Measured,
    /// What the floors reached, per second: without and with a call for the start.
    pub(super) of: (f64, f64),
    /// Processor time of each process for one of them.
    pub(super) cpu_us: [Option<f64>; 4],
    /// Calls of one of them.
    pub(super) calls: f64,
    /// Commits of one of them.
    pub(super) commits: f64,
    /// What one of them cost Redis.
    pub(super) redis: Option<Cost>,
}

/// All measurements of a run.
#[derive(Debug)]
pub(super) struct Report {
    title: String,
    rows: Vec<Row>,
    /// By level, what an idle coordinator costs Redis a second.
    idle: Vec<(&'static str, Cost)>,
}

impl Report {
    /// Begins with saying what is measured, and on what.
    pub(super) fn begin(store: &str) -> Self {
        let title = format!("{store}; {}", super::machine());
        eprintln!("{title}");
        Self { title, rows: Vec::new(), idle: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        // As soon as it is there: a run takes minutes.
        eprintln!("{}", row.speed().join("  "));
        self.rows.push(row);
    }

    pub(super) fn add_idle(&mut self, level: &'static str, a_second: Cost) {
        self.idle.push((level, a_second));
    }

    pub(super) fn print(&self, output: Format) -> Result<(), Failure> {
        output.print(|| Ok(self.json()), || self.text())
    }

    fn text(&self) -> String {
        let speeds = table(&SPEED, self.rows.iter().map(|row| cells(&row.speed())));
        let cpu = table(&CPU, self.rows.iter().map(|row| cells(&row.cpu())));
        let costs: Vec<Vec<String>> = self.rows.iter().filter_map(Row::costs).chain(self.idle_costs()).collect();
        let tables = speeds + "\n" + &cpu;
        if costs.is_empty() {
            return tables;
        }
        let header = [&["LEVEL", "LOAD", "EACH"], &Cost::HEADER[..]].concat();
        tables + "\n" + &table(&header, costs.iter().map(|row| cells(row)))
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

const SPEED: [&str; 9] =
    ["LEVEL", "LOAD", "WHAT", "PER SECOND", "P50 MS", "P99 MS", "OF FLOOR", "OF FLOOR+START", "FAILED"];
const CPU: [&str; 9] =
    ["LEVEL", "LOAD", "CPU US OF EACH", "LOAD", "PARTICIPANT", "COORDINATOR", "REDIS", "ALL, A CALL", "COMMITS"];

impl Row {
    fn share(&self, floor: f64) -> f64 {
        self.measured.per_second() / floor
    }

    fn all_a_call(&self) -> f64 {
        self.cpu_us.iter().flatten().sum::<f64>() / self.calls
    }

    fn begin(&self) -> [String; 3] {
        [self.level.to_owned(), self.load.clone(), self.what.clone()]
    }

    fn speed(&self) -> Vec<String> {
        let measured = &self.measured;
        let figures = [
            format!("{:.0}", measured.per_second()),
            format!("{:.2}", measured.millis(0.5)),
            format!("{:.2}", measured.millis(0.99)),
            format!("{:.2}", self.share(self.of.0)),
            format!("{:.2}", self.share(self.of.1)),
            measured.failed.to_string(),
        ];
        self.begin().into_iter().chain(figures).collect()
    }

    fn cpu(&self) -> Vec<String> {
        let each = self.cpu_us.map(|us| us.map_or_else(|| "-".to_owned(), |us| format!("{us:.0}")));
        let rest = [format!("{:.0}", self.all_a_call()), format!("{:.2}", self.commits)];
        self.begin().into_iter().chain(each).chain(rest).collect()
    }

    fn costs(&self) -> Option<Vec<String>> {
        Some(self.begin().into_iter().chain(self.redis.as_ref()?.texts()).collect())
    }

    fn json(&self) -> Value {
        let measured = &self.measured;
        let cpu: serde_json::Map<String, Value> =
            Used::NAMES.into_iter().zip(self.cpu_us).map(|(name, us)| (name.to_owned(), json!(us))).collect();
        json!({
            "level": self.level,
            "load": self.load,
            "what": self.what,
            "per_second": measured.per_second(),
            "p50_ms": measured.millis(0.5),
            "p99_ms": measured.millis(0.99),
            "p999_ms": measured.millis(0.999),
            "of_floor": self.share(self.of.0),
            "of_floor_with_start": self.share(self.of.1),
            "done": measured.done,
            "failed": measured.failed,
            "calls_each": self.calls,
            "commits_each": self.commits,
            "cpu_us_each": cpu,
            "cpu_us_a_call": self.all_a_call(),
            "redis_each": self.redis.as_ref().map(Cost::json),
        })
    }
}

fn cells(texts: &[String]) -> Vec<comfy_table::Cell> {
    texts.iter().map(|text| cell(text, Tone::Plain)).collect()
}
