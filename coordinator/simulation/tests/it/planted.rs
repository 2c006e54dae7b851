//! Does the simulation notice? `AMENDS_PLANTED` names a bug; the same random runs must find it, or they prove nothing.
//!
//! `AMENDS_PLANTED_FINDS` says how often it is to be found, each time by seeds that no find before has used; the mean number of seeds
//! that this takes is printed. Without a name nothing is planted, and the same runs must find nothing.

use amends_engine::planted::{Bug, choose};
use amends_simulation::{Conduct, FaultPlan, Library, Report, Run, Violation};

use crate::support::{assert_clean, library, number, run_seed};

/// How the bug is planted: in the participants, or somewhere in engine, runtime and store, which read the name themselves or are told.
fn plant(bug: &str) -> Option<Conduct> {
    let (in_engine, conduct) = match bug {
        "intent_after_call" | "told_before_commit" | "signal_told_before_commit" | "no_fence" => (None, None),
        "due_entry_left_out" | "sleeper_forgotten" => (None, None),
        "audit_entry_left_out" | "audit_chain_begins_anew" => (None, None),
        "unknown_read_as_rejected" => (Some(Bug::UnknownReadAsRejected), None),
        "attempt_forgotten_at_take_over" => (Some(Bug::AttemptForgottenAtTakeOver), None),
        "predecessor_compensated_first" => (Some(Bug::PredecessorCompensatedFirst), None),
        "cancel_acts_in_doubt" => (Some(Bug::CancelActsInDoubt), None),
        "compensated_without_decision" => (Some(Bug::CompensatedWithoutDecision), None),
        "retry_limit_ignored" => (Some(Bug::RetryLimitIgnored), None),
        "backoff_forgotten_at_take_over" => (Some(Bug::BackoffForgottenAtTakeOver), None),
        "no_barrier" => (None, Some(Conduct::NoBarrier)),
        "refusal_not_stored" => (None, Some(Conduct::RefusalNotStored)),
        unknown => panic!("AMENDS_PLANTED={unknown}: no such bug"),
    };
    choose(in_engine);
    conduct
}

fn run(library: &Library, conduct: Option<Conduct>, seed: u64) -> Report {
    match conduct {
        Some(conduct) => Run { library, conduct, faults: FaultPlan::Random, sagas: None, seed }.make().unwrap(),
        None => run_seed(library, seed),
    }
}

/// Runs seeds from this one on until the bug shows; the seed, and what showed it.
fn find(library: &Library, conduct: Option<Conduct>, seeds: std::ops::Range<u64>) -> Option<(u64, Violation)> {
    seeds.into_iter().find_map(|seed| Some((seed, run(library, conduct, seed).violations.first()?.clone())))
}

#[test]
fn planted() {
    let library = library();
    let (first, most) = (number("AMENDS_SIM_FIRST_SEED", 1), number("AMENDS_SIM_SEEDS", 5_000));
    let Ok(bug) = std::env::var("AMENDS_PLANTED") else {
        for seed in (first..first + most).take(50) {
            assert_clean(&format!("seed {seed}, nothing planted"), &run_seed(&library, seed));
        }
        return;
    };
    let conduct = plant(&bug);
    let finds = number("AMENDS_PLANTED_FINDS", 1).max(1);
    let mut next = first;
    for _ in 0..finds {
        let Some((seed, violation)) = find(&library, conduct, next..next + most) else {
            panic!("planted {bug}: not caught by {most} seeds from {next} on");
        };
        println!("planted {bug}: caught by {} at seed {seed} ({violation})", violation.invariant);
        next = seed + 1;
    }
    println!("planted {bug}: mean {:.1} seeds", (next - first) as f64 / finds as f64);
}
