//! How fast this node has started and ended sagas of late: a ring in memory, and its drawing.
//!
//! It knows this process alone, over all tenants, and forgets with it; `/metrics` has the same counts for whoever keeps them.
//! Invariant: a time in which nothing ended has no share, neither 0 nor 100 %.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use amends_runtime::telemetry::Totals;

/// Between two readings.
pub(crate) const PERIOD: Duration = Duration::from_secs(10);
/// How many are kept: half an hour.
const KEPT: usize = 180;
/// The drawing's own units.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 56.0;

/// Readings of the counters, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    readings: Mutex<VecDeque<Totals>>,
}

/// One small drawing.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    /// The latest value, in words.
    pub(super) latest: String,
    /// What the top of the drawing stands for.
    pub(super) top: String,
    pub(super) class: &'static str,
    /// The line, as SVG path data: numbers of ours.
    pub(super) path: String,
}

impl Rates {
    /// Takes a reading; every [`PERIOD`].
    pub(crate) fn take(&self, totals: Totals) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() > KEPT {
            readings.pop_front();
        }
        readings.push_back(totals);
    }

    /// What there is to see so far.
    pub(super) fn plots(&self) -> [Plot; 4] {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let steps: Vec<Totals> =
            readings.iter().zip(readings.iter().skip(1)).map(|(from, to)| less(to, from)).collect();
        let per_second = |of: fn(&Totals) -> u64| -> Vec<Option<f64>> {
            steps.iter().map(|step| Some(of(step) as f64 / PERIOD.as_secs_f64())).collect()
        };
        let share = |of: fn(&Totals) -> u64| -> Vec<Option<f64>> {
            steps.iter().map(|step| (ended(step) > 0).then(|| of(step) as f64 * 100.0 / ended(step) as f64)).collect()
        };
        [
            rate("started", "busy", &per_second(|step| step.started)),
            rate("ended", "busy", &per_second(ended)),
            percentage("completed, of those ended", "ok", &share(|step| step.completed)),
            percentage("compensated, of those ended", "undo", &share(|step| step.compensated)),
        ]
    }
}

fn ended(step: &Totals) -> u64 {
    step.completed + step.compensated + step.force_stopped
}

fn less(to: &Totals, from: &Totals) -> Totals {
    Totals {
        started: to.started.saturating_sub(from.started),
        completed: to.completed.saturating_sub(from.completed),
        compensated: to.compensated.saturating_sub(from.compensated),
        force_stopped: to.force_stopped.saturating_sub(from.force_stopped),
    }
}

fn rate(title: &'static str, class: &'static str, values: &[Option<f64>]) -> Plot {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    let top = if highest > 0.0 { highest } else { 1.0 };
    let latest = values.last().copied().flatten().map_or_else(|| "–".to_owned(), |value| format!("{value:.1}/s"));
    Plot { title, latest, top: format!("{top:.1}/s"), class, path: path(values, top) }
}

fn percentage(title: &'static str, class: &'static str, values: &[Option<f64>]) -> Plot {
    let latest = values.iter().rev().flatten().next().map_or_else(|| "–".to_owned(), |value| format!("{value:.1} %"));
    Plot { title, latest, top: "100 %".to_owned(), class, path: path(values, 100.0) }
}

/// The newest value stands at the right end, whatever there is before it; a missing one is a gap.
fn path(values: &[Option<f64>], top: f64) -> String {
    let mut path = String::new();
    let mut is_down = false;
    let first = KEPT.saturating_sub(values.len());
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_down = false;
            continue;
        };
        let x = (first + place) as f64 * WIDTH / (KEPT - 1) as f64;
        let y = HEIGHT - 2.0 - (value / top).clamp(0.0, 1.0) * (HEIGHT - 4.0);
        // A string takes all that is written to it; a point alone is drawn as a short line.
        let _ = match is_down {
            true => write!(path, "L{x:.1} {y:.1}"),
            false => write!(path, "M{x:.1} {y:.1}h0.1"),
        };
        is_down = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(started: u64, completed: u64, compensated: u64) -> Totals {
        Totals { started, completed, compensated, force_stopped: 0 }
    }

    #[test]
    fn rates_are_differences_and_shares_have_gaps() {
        let rates = Rates::default();
        for reading in [totals(0, 0, 0), totals(50, 30, 10), totals(50, 30, 10), totals(70, 40, 40)] {
            rates.take(reading);
        }
        let [started, ended, completed, compensated] = rates.plots();
        assert_eq!((started.latest.as_str(), started.top.as_str()), ("2.0/s", "5.0/s"));
        assert_eq!(ended.latest, "4.0/s");
        assert_eq!((completed.latest.as_str(), compensated.latest.as_str()), ("25.0 %", "75.0 %"));
        assert_eq!(completed.path.matches('M').count(), 2, "a time without an end is a gap: {}", completed.path);
        assert!(started.path.contains("L360.0 "), "the newest is at the right end: {}", started.path);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let rates = Rates::default();
        for number in 0..1000 {
            rates.take(totals(number * 10, 0, 0));
        }
        let [started, ..] = rates.plots();
        assert_eq!(started.latest, "1.0/s");
        assert_eq!(started.path.matches('L').count(), KEPT - 1);
    }
}
