//! A participant that is away for ten minutes, and ten thousand sagas that wait for it: it isn't knocked over by its own return,
//! compensations don't queue behind actions, and what was foretold comes true.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_engine::ids::Operation;
use amends_engine::standing::StatusWord;
use amends_engine::time::Timestamp;
use amends_simulation::{Figures, Outage};

/// Longest time that a compensation may wait for its first call while thousands of actions wait.
const COMPENSATION_MAX: Duration = Duration::from_secs(5);
/// Commits of a saga that was held back once and never refused: begun, called, and each of three answers.
const COMMITS: u64 = 5;

/// Most calls within so many seconds, from then on.
fn peak(figures: &Figures, from: Timestamp, seconds: u64) -> usize {
    let times: Vec<u64> = figures.calls.iter().map(|call| call.at.0).filter(|at| *at >= from.0).collect();
    let within = |first: usize| times[first..].partition_point(|at| *at < times[first] + seconds * 1_000);
    (0..times.len()).map(within).max().unwrap_or_default()
}

#[test]
fn after_an_outage_it_is_called_at_a_bounded_rate_and_drains_when_foretold() {
    let outage = Outage { usual: 17, before: Duration::from_secs(120), away: Duration::from_secs(600), after: 4 };
    let figures = outage.make().unwrap();
    let (down, back) = figures.away;

    let between = |from: u64, to: u64| figures.calls.iter().filter(|call| (from..to).contains(&call.at.0)).count();
    let usual = between(down.0 - 60_000, down.0);
    let waiting: u64 = figures.then.waiting.values().sum();
    let foretold = figures.then.drains_by.unwrap().since(figures.resumed_at);
    let took = figures.drained_at.since(figures.resumed_at);
    let most = peak(&figures, back, 10);
    let compensations = figures.compensated_after.iter().max().copied().unwrap();
    println!(
        "usual {usual} calls a minute; {waiting} waited; {} calls while away; back after {:?}; at most {most} calls in 10 s; \
         foretold {foretold:?}, took {took:?}; {} compensations waited at most {compensations:?}",
        between(down.0, back.0),
        figures.resumed_at.since(back),
        figures.compensated_after.len(),
    );
    assert!(waiting >= 10_000, "{waiting}");
    assert!(most * 6 * 10 < usual * 12, "{most} calls in ten seconds are more than 1.2 of {usual} in a minute");
    assert!(between(down.0 + 30_000, back.0) < 150, "while away it is probed, and no more");
    let error = took.as_secs_f64() / foretold.as_secs_f64() - 1.0;
    assert!(error.abs() < 0.25, "foretold {foretold:?}, took {took:?}");
    assert!(figures.compensated_after.len() > 500);
    assert!(compensations < COMPENSATION_MAX, "a compensation waited for {compensations:?}");
    uses_up_nothing(&figures);

    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for (status, _) in &figures.ends {
        *ends.entry(status.as_str()).or_default() += 1;
    }
    println!("{ends:?}, nothing waited any more {:?} after the return", figures.closed_at.since(back));
    let open =
        figures.ends.iter().filter(|(status, _)| !matches!(status, StatusWord::Completed | StatusWord::Compensated));
    // The client goes on to the end: the last few have just begun.
    assert!(open.count() < 10, "{ends:?}");
}

/// Whoever came while nobody was called waits without an attempt, and without a commit but the one that begins it.
fn uses_up_nothing(figures: &Figures) {
    let (_, back) = figures.away;
    let probed: Vec<_> = figures.calls.iter().filter(|it| !it.answered).map(|it| it.saga.clone()).collect();
    let firsts = figures.calls.iter().filter(|call| call.answered && call.operation == Operation::Action);
    let later = firsts.filter(|call| call.at >= back && !probed.contains(&call.saga));
    let attempts: Vec<u32> = later.map(|call| call.attempt).collect();
    assert!(attempts.len() > 9_000, "{} of them", attempts.len());
    assert!(attempts.iter().all(|attempt| *attempt == 1), "waiting used up attempts");
    let waited =
        figures.ends.iter().filter(|(status, revision)| *status == StatusWord::Completed && *revision == COMMITS);
    assert!(waited.count() > 8_000, "waiting cost commits");
}
