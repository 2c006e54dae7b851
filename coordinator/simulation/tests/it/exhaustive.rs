//! Every fault at every boundary, one at a time: each shape with each course it can take, a fault at each commit and call.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use amends_simulation::{Boundary, CallFault, Conduct, Fault, FaultPlan, SagaPlan, StoreFault, Wish};

use crate::support::{assert_clean, library, on_all_cores, run};

/// A shape and a course: what refuses, what answers later, what is asked.
fn courses() -> Vec<(&'static str, SagaPlan)> {
    let course = |name, definition: &str| (name, SagaPlan::plain("s", definition));
    let refuse = |name, definition: &str, step: &str| {
        (name, SagaPlan { refuse: step.to_owned(), ..SagaPlan::plain("s", definition) })
    };
    let pend = |name, definition: &str, operations: &str, refuse: &str| {
        let (pend, refuse) = (operations.to_owned(), refuse.to_owned());
        (name, SagaPlan { pend, refuse, ..SagaPlan::plain("s", definition) })
    };
    let cancel = |name, definition: &str, millis| {
        let wishes = vec![(Duration::from_millis(millis), Wish::Cancel)];
        (name, SagaPlan { wishes, ..SagaPlan::plain("s", definition) })
    };
    vec![
        course("chain, accepted", "chain"),
        refuse("chain, refused at the end", "chain", "ship"),
        cancel("chain, cancelled", "chain", 8),
        course("diamond, accepted", "diamond"),
        refuse("diamond, refused at the join", "diamond", "bottom"),
        refuse("diamond, refused in one arm", "diamond", "left"),
        course("mixed, confirmed", "mixed"),
        refuse("mixed, refused at the last try", "mixed", "money"),
        course("pivot, accepted", "pivot"),
        refuse("pivot, refused", "pivot", "charge"),
        cancel("pivot, cancelled in doubt", "pivot", 10),
        course("blind pivot, accepted", "blind"),
        refuse("blind pivot, refused", "blind", "charge"),
        pend("slow action", "slow", "reserve.action transfer.action", ""),
        pend("slow and refused later", "slow", "transfer.action", "transfer"),
        pend("slow compensation", "slow", "reserve.compensate", "ship"),
        course("conditional, taken", "conditional"),
        (
            "conditional, left out and refused",
            SagaPlan { express: false, refuse: "hold".to_owned(), ..SagaPlan::plain("s", "conditional") },
        ),
    ]
}

fn faults_at(boundary: Boundary, conduct: Conduct) -> Vec<Fault> {
    match boundary {
        Boundary::Commit => StoreFault::ALL.map(Fault::Store).to_vec(),
        Boundary::Call => {
            let bearable = |fault: &CallFault| conduct == Conduct::Barrier || *fault != CallFault::Twice;
            CallFault::ALL.into_iter().filter(bearable).map(Fault::Call).collect()
        }
    }
}

#[test]
fn one_fault_at_every_boundary_never_breaks_the_promise() {
    let library = library();
    let mut runs = Vec::new();
    let mut boundaries = 0;
    for conduct in Conduct::HONEST {
        for (course, plan) in courses() {
            let clean = run(&library, conduct, FaultPlan::None, vec![plan.clone()]);
            assert_clean(&format!("{course}, without any fault, {conduct:?}"), &clean);
            boundaries += clean.boundaries.len();
            for (at, boundary) in clean.boundaries.into_iter().enumerate() {
                let faults = faults_at(boundary, conduct).into_iter();
                runs.extend(faults.map(|fault| (course, plan.clone(), conduct, FaultPlan::Once { at, fault })));
            }
        }
    }
    let ends = Mutex::new(BTreeMap::new());
    on_all_cores(runs.len(), |index| {
        let (course, plan, conduct, faults) = &runs[index];
        let report = run(&library, *conduct, *faults, vec![plan.clone()]);
        assert_clean(&format!("{course}, {faults:?}, {conduct:?}"), &report);
        for (status, sagas) in report.ends {
            *ends.lock().unwrap().entry(status).or_insert(0) += sagas;
        }
    });
    let ends = ends.into_inner().unwrap();
    println!("{boundaries} boundaries, {} runs with one fault each, no violation; ends {ends:?}", runs.len());
}
