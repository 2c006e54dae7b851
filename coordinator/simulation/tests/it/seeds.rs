//! Random runs: many faults at once, by the seed. `AMENDS_SIM_SEEDS` says how many, `AMENDS_SIM_FIRST_SEED` from which on.

use amends_simulation::Campaign;

use crate::support::{assert_clean, cores, library, number};

#[test]
fn random_faults_never_break_the_promise() {
    let (first, seeds) = (number("AMENDS_SIM_FIRST_SEED", 1), number("AMENDS_SIM_SEEDS", 2_000));
    let library = library();
    let totals = Campaign { library: &library, first, seeds }.make(cores(), |report| {
        let replay = format!("make sim SEEDS=1 FIRST_SEED={}", report.seed);
        assert_clean(&format!("seed {} broke an invariant; replay it with\n  {replay}\n", report.seed), report);
    });
    let totals = totals.unwrap();
    println!("{}", totals.markdown());
    assert_eq!(totals.falls_short(), Vec::<String>::new());
    for end in ["completed", "compensated", "stuck", "force_stopped"] {
        assert!(seeds < 1_000 || totals.ends.keys().any(|(_, status)| status == end), "no saga ended {end}");
    }
}
