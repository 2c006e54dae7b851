//! The same seed gives the same trace, byte for byte; otherwise a failing seed would be worth nothing.

use crate::support::{library, on_all_cores, run_seed};

#[test]
fn the_same_seed_gives_the_same_trace() {
    let library = library();
    on_all_cores(usize::try_from(crate::support::number("AMENDS_SIM_TWICE", 40)).unwrap(), |index| {
        let seed = 9_000 + index as u64;
        let (first, second) = (run_seed(&library, seed), run_seed(&library, seed));
        assert_eq!(first.trace.join("\n"), second.trace.join("\n"), "seed {seed}");
        assert!(!first.boundaries.is_empty(), "seed {seed}: a run in which nothing happens agrees with any other");
    });
}

#[test]
fn other_seeds_give_other_traces() {
    let library = library();
    assert_ne!(run_seed(&library, 9_001).trace, run_seed(&library, 9_003).trace);
}
