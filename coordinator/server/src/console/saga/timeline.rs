//! Every attempt as a bar: when it began, how long it took, what became of it.
//!
//! Pure. Invariant: the markup is made of numbers and words of ours; what others said stands in titles, which the template escapes.

use amends_proto::v1;

use super::super::text::{self, When, when};
use super::history::{millis, outcome};

/// The drawing's own width; a bar is never narrower than a hundredth of it by sight.
const WIDTH: i64 = 1000;
const BAR_MIN: i64 = 4;

/// The drawing.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) lanes: Vec<Lane>,
    pub(super) from: When,
    pub(super) until: When,
    /// From the first to the last, in words.
    pub(super) span: String,
}

/// One operation of one step.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) step: String,
    pub(super) operation: String,
    pub(super) bars: Vec<Bar>,
}

/// One attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) width: i64,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// An attempt as its entry tells of it.
struct Attempt<'a> {
    entry: &'a v1::HistoryEntry,
    from: i64,
    until: i64,
}

/// `None` without any attempt. `now` isn't drawn: an attempt under way has no entry yet.
pub(super) fn of(entries: &[v1::HistoryEntry], now: When) -> Option<Timeline> {
    let attempts: Vec<Attempt<'_>> = entries.iter().filter_map(attempt).collect();
    let from = attempts.iter().map(|it| it.from).min()?;
    let until = attempts.iter().map(|it| it.until).max()?.min(now.millis()).max(from + 1);
    let mut lanes: Vec<Lane> = Vec::new();
    for it in &attempts {
        let operation = text::operation(it.entry.operation());
        let place = lanes.iter().position(|lane| lane.step == it.entry.step && lane.operation == operation);
        let place = place.unwrap_or_else(|| {
            lanes.push(Lane { step: it.entry.step.clone(), operation, bars: Vec::new() });
            lanes.len() - 1
        });
        lanes[place].bars.push(bar(it, from, until));
    }
    let (first, last) = (When::at(from)?, When::at(until)?);
    let span = text::millis(u64::try_from(until - from).unwrap_or_default());
    Some(Timeline { lanes, from: first, until: last, span })
}

fn attempt(entry: &v1::HistoryEntry) -> Option<Attempt<'_>> {
    if entry.attempt == 0 {
        return None;
    }
    let from = when(&entry.start_time)?.millis();
    let took = entry.duration.as_ref().map(millis).unwrap_or_default();
    Some(Attempt { entry, from, until: from.saturating_add(i64::try_from(took).unwrap_or(i64::MAX)) })
}

fn bar(it: &Attempt<'_>, from: i64, until: i64) -> Bar {
    let scaled = |at: i64| (at - from).saturating_mul(WIDTH) / (until - from);
    let x = scaled(it.from).clamp(0, WIDTH - BAR_MIN);
    let width = (scaled(it.until) - x).clamp(BAR_MIN, WIDTH - x);
    let entry = it.entry;
    let mut title = format!(
        "attempt {}: {}, {}",
        entry.attempt,
        text::word(entry.outcome().as_str_name(), "OUTCOME_KIND_"),
        text::millis(u64::try_from(it.until - it.from).unwrap_or_default())
    );
    for part in [&entry.code, &entry.message, &entry.endpoint].into_iter().filter(|part| !part.is_empty()) {
        title = format!("{title} · {part}");
    }
    Bar { x, width, class: outcome(entry.outcome()), title }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: &str, attempt: u32, second: i64, took: i64, outcome: v1::OutcomeKind) -> v1::HistoryEntry {
        v1::HistoryEntry {
            step: step.to_owned(),
            operation: v1::Operation::Action.into(),
            attempt,
            outcome: outcome.into(),
            start_time: Some(pbjson_types::Timestamp { seconds: 1_700_000_000 + second, nanos: 0 }),
            duration: Some(pbjson_types::Duration { seconds: took, nanos: 0 }),
            ..Default::default()
        }
    }

    #[test]
    fn every_attempt_is_a_bar_in_the_lane_of_its_operation() {
        let entries = [
            entry("a", 1, 0, 1, v1::OutcomeKind::Succeeded),
            entry("b", 1, 1, 3, v1::OutcomeKind::Unknown),
            entry("", 0, 4, 0, v1::OutcomeKind::Unspecified),
            entry("b", 2, 8, 2, v1::OutcomeKind::Rejected),
        ];
        let drawn = of(&entries, When::now()).unwrap();
        let bars =
            |lane: usize| drawn.lanes[lane].bars.iter().map(|bar| (bar.x, bar.width, bar.class)).collect::<Vec<_>>();
        assert_eq!(drawn.lanes.len(), 2);
        assert_eq!(bars(0), [(0, 100, "ok")]);
        assert_eq!(bars(1), [(100, 300, "undo"), (800, 200, "bad")]);
        assert_eq!(drawn.span, "10 s");
        assert!(of(&entries[2..3], When::now()).is_none());
    }

    #[test]
    fn a_short_attempt_can_be_seen() {
        let entries =
            [entry("a", 1, 0, 0, v1::OutcomeKind::NotSent), entry("a", 2, 9999, 1, v1::OutcomeKind::Succeeded)];
        let drawn = of(&entries, When::now()).unwrap();
        for bar in &drawn.lanes[0].bars {
            assert!(bar.width >= BAR_MIN && bar.x + bar.width <= WIDTH, "{bar:?}");
        }
    }
}
