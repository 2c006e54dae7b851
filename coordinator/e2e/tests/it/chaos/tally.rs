//! What was done to a run, and what was seen: a line at once, a table at the end.
//!
//! Invariant: every fault that was inflicted is in the table, also when the run fails later.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::faults::Kind;

/// What was seen of one fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Sagas under way when it happened.
    pub(super) open: u64,
    /// Starts that were refused or not answered meanwhile, and accepted later.
    pub(super) refused: u64,
    /// From its end until a saga that was placed then had ended.
    pub(super) recovered: Duration,
}

/// What a whole run has come to.
#[derive(Debug)]
pub(super) struct Tally {
    begun: Instant,
    faults: Mutex<BTreeMap<Kind, Vec<Seen>>>,
    /// Of each world: what it says at its end.
    worlds: Mutex<Vec<String>>,
    pub(super) sagas: Mutex<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), faults: Mutex::default(), worlds: Mutex::default(), sagas: Mutex::default() }
    }

    /// A line with the time since the run began.
    pub(super) fn say(&self, world: &str, line: &str) {
        eprintln!("{:>8.1}s {world:<10} {line}", self.begun.elapsed().as_secs_f64());
    }

    pub(super) fn saw(&self, kind: Kind, seen: Seen) {
        self.faults.lock().expect("no panic").entry(kind).or_default().push(seen);
    }

    pub(super) fn ended(&self, line: String, sagas: u64) {
        self.worlds.lock().expect("no panic").push(line);
        *self.sagas.lock().expect("no panic") += sagas;
    }

    pub(super) fn count(&self, is_meant: impl Fn(Kind) -> bool) -> usize {
        let faults = self.faults.lock().expect("no panic");
        faults.iter().filter(|(kind, _)| is_meant(**kind)).map(|(_, seen)| seen.len()).sum()
    }

    pub(super) fn table(&self) -> String {
        let mut table = "| Fault | Count | Sagas open then, least | With starts refused meanwhile | Recovered after, median | at most |\n\
                         |---|---|---|---|---|---|\n"
            .to_owned();
        for (kind, seen) in self.faults.lock().expect("no panic").iter() {
            let mut times: Vec<u128> = seen.iter().map(|seen| seen.recovered.as_millis()).collect();
            times.sort_unstable();
            let open = seen.iter().map(|seen| seen.open).min().unwrap_or_default();
            let refused = seen.iter().filter(|seen| seen.refused > 0).count();
            let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
            writeln!(table, "| {kind} | {} | {open} | {refused} | {median} ms | {most} ms |", seen.len())
                .expect("text");
        }
        table += "\n";
        for line in self.worlds.lock().expect("no panic").iter() {
            writeln!(table, "- {line}").expect("a string takes all");
        }
        table
    }
}
