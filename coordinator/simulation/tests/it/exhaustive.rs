//! Every fault at every boundary, one at a time: each shape with each course it can take.
//!
//! `AMENDS_SIM_ONE_IN` says how many of the cases are run: one in so many, 1 for all, as `make sim-exhaustive` does.

use std::sync::Mutex;

use amends_simulation::{Boundary, Table, cases};

use crate::support::{assert_clean, library, number, on_all_cores};

/// A course has one node and no fault but its own: it gives back no shard, has nobody to talk to, and is never in doubt about what
/// can be asked about. The random runs pass these boundaries.
const NOT_IN_ANY_COURSE: [Boundary; 3] = [Boundary::QueryCall, Boundary::Release, Boundary::Word];

#[test]
fn one_fault_at_every_boundary_never_breaks_the_promise() {
    let library = library();
    let all = cases(&library).unwrap();
    let one_in = usize::try_from(number("AMENDS_SIM_ONE_IN", 12)).unwrap();
    let sum = Mutex::new(Table::default());
    let count = all.len().div_ceil(one_in);
    on_all_cores(count, |index| {
        let case = &all[index * one_in];
        let report = case.run(&library).unwrap();
        assert_clean(&format!("case {}: {case:?}", index * one_in), &report);
        sum.lock().unwrap().add(&report.faults);
    });
    let sum = sum.into_inner().unwrap();
    println!("{count} of {} cases, {} faults, no violation", all.len(), sum.total());
    if one_in == 1 {
        println!("{}", sum.markdown());
        let missed: Vec<_> = sum.empty().into_iter().filter(|(_, at)| !NOT_IN_ANY_COURSE.contains(at)).collect();
        assert_eq!(missed, [], "no course passes these boundaries");
    }
    assert!(sum.total() > 100, "{} faults", sum.total());
}
