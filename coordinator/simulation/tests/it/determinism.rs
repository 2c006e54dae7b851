//! The same seed gives the same trace, byte for byte; otherwise a failing seed would be worth nothing.
//!
//! `AMENDS_SIM_TWICE` says how many seeds are run twice; a few also in another process, with its own addresses and threads.

use std::process::Command;

use amends_simulation::{Table, cases};

use crate::support::{library, number, on_all_cores, run_seed};

/// Names the seeds that the other process is to run; it prints a line per seed.
const OTHER: &str = "AMENDS_SIM_OTHER_PROCESS";

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
fn every_single_fault_gives_the_same_trace_twice() {
    let library = library();
    let all = cases(&library).unwrap();
    let some: Vec<_> = all.iter().step_by(97).collect();
    let seen = std::sync::Mutex::new(Table::default());
    on_all_cores(some.len(), |index| {
        let (first, second) = (some[index].run(&library).unwrap(), some[index].run(&library).unwrap());
        assert_eq!(first.trace, second.trace, "{:?}", some[index]);
        seen.lock().unwrap().add(&first.faults);
    });
    assert!(seen.lock().unwrap().total() > 20, "hardly any fault among them");
}

#[test]
fn another_process_gives_the_same_traces() {
    let library = library();
    let seeds = 9_100..9_110;
    let told = |seed| format!("seed {seed}: {:?}", digest(&run_seed(&library, seed).trace));
    let here: Vec<String> = seeds.clone().map(told).collect();
    if std::env::var(OTHER).is_ok() {
        println!("\n{}", here.join("\n"));
        return;
    }
    let own = std::env::current_exe().unwrap();
    let test = "determinism::another_process_gives_the_same_traces";
    let output = Command::new(own).args([test, "--exact", "--nocapture"]).env(OTHER, "1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let there: Vec<&str> = text.lines().filter(|line| line.starts_with("seed ")).collect();
    assert_eq!(there, here);
}

#[test]
fn other_seeds_give_other_traces() {
    let library = library();
    assert_ne!(run_seed(&library, 9_001).trace, run_seed(&library, 9_003).trace);
}

fn digest(trace: &[String]) -> amends_engine::payload::Digest {
    amends_engine::payload::Digest::of(trace.join("\n").as_bytes())
}
