//! Random runs: many faults at once, by the seed. `AMENDS_SIM_SEEDS` says how many, `AMENDS_SIM_FIRST_SEED` from which on.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::support::{assert_clean, library, number, on_all_cores, run_seed};

/// What must have happened in enough runs: a simulation that never gets there would prove nothing. With the words in a trace.
const SOMETIMES: [(&str, &str); 10] = [
    ("an owner that was replaced was fenced", "fenced:"),
    ("a participant refused an owner that was replaced", "AMENDS_STALE_EPOCH"),
    ("a commit came twice and was recognised", ": duplicate"),
    ("a commit came twice and was stale", ": stale:"),
    ("an action came after its compensation", "AMENDS_COMPENSATED"),
    ("a pending operation was finished", "finished later: Done"),
    ("a pending operation was overtaken by its compensation", "finished later: Nothing"),
    ("an operator's retry helped", "operator: Retry { step: None }: changed: true"),
    ("a node was stopped cleanly", "was stopped"),
    ("a frozen node went on", "goes on"),
];

#[test]
fn random_faults_never_break_the_promise() {
    let count = number("AMENDS_SIM_SEEDS", 1_000);
    let first = number("AMENDS_SIM_FIRST_SEED", 1);
    let library = library();
    let ends = Mutex::new(BTreeMap::new());
    let sums = Mutex::new((0, 0, 0));
    let happened = Mutex::new([0_u64; SOMETIMES.len()]);
    on_all_cores(usize::try_from(count).unwrap(), |index| {
        let seed = first + index as u64;
        let report = run_seed(&library, seed);
        let replay = format!(
            "AMENDS_SIM_SEEDS=1 AMENDS_SIM_FIRST_SEED={seed} cargo test -p amends-simulation random_faults -- --nocapture"
        );
        assert_clean(&format!("seed {seed} broke an invariant; replay it with\n  {replay}\n"), &report);
        for (status, sagas) in report.ends {
            *ends.lock().unwrap().entry(status.as_str()).or_insert(0) += sagas;
        }
        for (count, (_, words)) in happened.lock().unwrap().iter_mut().zip(SOMETIMES) {
            *count += u64::from(report.trace.iter().any(|line| line.contains(words)));
        }
        let mut sums = sums.lock().unwrap();
        *sums = (sums.0 + report.boundaries.len(), sums.1 + report.commits, sums.2 + report.lives);
    });
    let (boundaries, commits, lives) = sums.into_inner().unwrap();
    println!("seeds {first} to {}: sagas by end {:?}", first + count - 1, ends.lock().unwrap());
    println!("{boundaries} boundaries, {commits} durable changes, {lives} lives of nodes, no violation");
    for ((what, _), runs) in SOMETIMES.iter().zip(happened.into_inner().unwrap()) {
        println!("in {runs} runs {what}");
        assert!(runs > 0 || count < 1_000, "in {count} runs it never happened that {what}");
    }
    for end in ["completed", "compensated", "stuck", "force_stopped"] {
        assert!(count < 1_000 || ends.lock().unwrap().contains_key(end), "no saga ended {end}");
    }
}
