//! The same seed gives the same trace, byte for byte; otherwise a failing seed would be worth nothing.
//!
//! `AMENDS_SIM_TWICE` says how many seeds are run twice.

use crate::support::{library, number, on_all_cores, run_seed};

#[test]
fn the_same_seed_gives_the_same_trace() {
    let library = library();
    let count = usize::try_from(number("AMENDS_SIM_TWICE", 60)).unwrap();
    on_all_cores(count, |index| {
        let seed = 9_000 + index as u64;
        let (first, second) = (run_seed(&library, seed), run_seed(&library, seed));
        assert!(!first.boundaries.is_empty(), "seed {seed}: a run in which nothing happens agrees with any other");
        let differs = first.trace.iter().zip(&second.trace).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
    });
}

#[test]
fn other_seeds_give_other_traces() {
    let library = library();
    assert_ne!(run_seed(&library, 9_001).trace, run_seed(&library, 9_003).trace);
}
