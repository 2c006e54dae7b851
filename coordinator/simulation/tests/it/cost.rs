//! What a saga costs in commits when nothing goes wrong: the budget that the speed rests on (design §4, §11).

use amends_engine::standing::StatusWord;
use amends_simulation::{Conduct, FaultPlan, Library, SagaPlan, Scenario};

use crate::support::{assert_clean, run};

fn commits(scenario: Scenario) -> u64 {
    let name = scenario.name.clone();
    let library = Library::new(vec![scenario]).unwrap();
    let report = run(&library, Conduct::Barrier, FaultPlan::None, vec![SagaPlan::plain("s", &name)]);
    assert_clean(&name, &report);
    assert_eq!(report.ends.get(&StatusWord::Completed), Some(&1), "{name}");
    report.commits
}

#[test]
fn a_clean_sequence_of_n_steps_costs_n_plus_1_commits() {
    for length in 1..=8 {
        assert_eq!(commits(Scenario::sequence(length)), length as u64 + 1, "{length} steps");
    }
}

#[test]
fn a_clean_sequence_of_n_tried_steps_costs_2n_plus_1_commits() {
    // The last try's answer, the decision to confirm and the first confirm's intent are one commit.
    for length in 1..=4 {
        assert_eq!(commits(Scenario::tried(length)), 2 * length as u64 + 1, "{length} steps");
    }
}
