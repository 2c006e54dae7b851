//! Random runs: many faults at once, by the seed. `AMENDS_SIM_SEEDS` says how many, `AMENDS_SIM_FIRST_SEED` from which on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::support::{assert_clean, library, number, on_all_cores, run_seed};

#[test]
fn random_faults_never_break_the_promise() {
    let count = number("AMENDS_SIM_SEEDS", 300);
    let first = number("AMENDS_SIM_FIRST_SEED", 1);
    let library = library();
    let ends = Mutex::new(BTreeMap::new());
    let sums = Mutex::new((0, 0, 0));
    on_all_cores(usize::try_from(count).unwrap(), |index| {
        let seed = first + index as u64;
        let report = run_seed(&library, seed);
        let replay = format!(
            "AMENDS_SIM_SEEDS=1 AMENDS_SIM_FIRST_SEED={seed} cargo test -p amends-simulation random_faults -- --nocapture"
        );
        assert_clean(&format!("seed {seed} broke an invariant; replay it with\n  {replay}\n"), &report);
        let mut ends = ends.lock().unwrap();
        for (status, sagas) in report.ends {
            *ends.entry(status).or_insert(0) += sagas;
        }
        let mut sums = sums.lock().unwrap();
        *sums = (sums.0 + report.boundaries.len(), sums.1 + report.commits, sums.2 + report.lives);
    });
    let (boundaries, commits, lives) = *sums.lock().unwrap();
    let ends = ends.into_inner().unwrap();
    println!("seeds {first} to {}: sagas by end {ends:?}", first + count - 1);
    println!("{boundaries} boundaries, {commits} durable changes, {lives} lives of nodes, no violation");
    if count >= 100 {
        // A run in which nothing ever goes wrong, or nothing ever goes right, would prove nothing.
        for status in ["Completed", "Compensated", "Stuck"] {
            assert!(ends.keys().any(|end| format!("{end:?}") == status), "no saga ended {status}: {ends:?}");
        }
    }
}
