//! Faults come where they were planned, as often as a run can bear, and not where they can't happen.

use super::*;

fn faults(plan: FaultPlan) -> Faults {
    Faults::new(plan, Dice::new(1, 1), true)
}

#[test]
fn a_single_fault_happens_at_its_boundary_only() {
    let faults = faults(FaultPlan::Once { at: 2, fault: Fault::DropAnswer });
    let seen = [0, 1, 2, 3].map(|_| faults.at(Boundary::ActionCall));
    assert_eq!(seen, [None, None, Some(Fault::DropAnswer), None]);
    let (boundaries, table) = faults.seen();
    assert_eq!(boundaries, [Boundary::ActionCall; 4]);
    assert_eq!((table.total(), table.passed()), (1, 4));
    assert_eq!(table.get(Fault::DropAnswer, Boundary::ActionCall), 1);
    assert!(!(0..1_000).any(|_| faults.refuses() || faults.fails()));
    faults.stop();
    faults.at(Boundary::ActionCall);
    let (boundaries, table) = faults.seen();
    assert_eq!((boundaries.len(), table.passed()), (4, 5), "where nothing can go wrong any more isn't told");
}

#[test]
fn a_fault_that_cannot_be_there_does_not_happen_and_is_not_counted() {
    let faults = faults(FaultPlan::Once { at: 0, fault: Fault::Misled });
    assert_eq!(faults.at(Boundary::Word), None);
    assert_eq!(faults.seen().1.total(), 0);
    let final_only = Faults::new(FaultPlan::Once { at: 0, fault: Fault::Twice }, Dice::new(1, 1), false);
    assert_eq!(final_only.at(Boundary::ActionCall), None);
}

#[test]
fn random_faults_end_processes_a_few_times_and_stop_when_told() {
    let faults = faults(FaultPlan::Random);
    let given: Vec<Fault> = (0..100_000).filter_map(|_| faults.at(Boundary::ResultCommit)).collect();
    let ends = given.iter().filter(|fault| fault.ends_process()).count();
    assert!(ends <= ENDS_MAX as usize, "{ends}");
    assert!(given.iter().filter(|fault| fault.is_outage()).count() <= OUTAGES_MAX as usize);
    assert!(!given.is_empty());
    faults.stop();
    assert!(!(0..10_000).any(|_| faults.at(Boundary::ResultCommit).is_some() || faults.fails()));
}

#[test]
fn tables_add_up_and_survive_a_file() {
    let mut table = Table::default();
    table.pass(Boundary::Renew);
    table.count(Fault::Pause, Boundary::Renew);
    let mut sum = Table::of_numbers(&table.numbers()).unwrap();
    sum.add(&table);
    assert_eq!((sum.get(Fault::Pause, Boundary::Renew), sum.passed()), (2, 2));
    assert!(!sum.empty().contains(&(Fault::Pause, Boundary::Renew)));
    assert!(sum.empty().contains(&(Fault::Pause, Boundary::Load)));
    assert!(!sum.empty().contains(&(Fault::Misled, Boundary::Word)), "a cell that can't be isn't empty");
    assert_eq!(Table::of_numbers(&[1, 2, 3]), None);
}
