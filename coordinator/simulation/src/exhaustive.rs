//! Every single fault at every boundary: each shape of definition with each course that it can take, and one fault in each run.
//!
//! A course is run once without a fault, which tells its boundaries; then once for each fault that can happen at each of them.
//! Invariant: a case follows from its place in the list, so that a failing one can be named by its number.

use std::time::Duration;

use crate::faults::{Fault, FaultPlan};
use crate::harness::{CannotRun, Report, Run};
use crate::library::Library;
use crate::load::{SagaPlan, Wish};
use crate::participants::Conduct;

/// One fault at one boundary of one course.
#[derive(Debug, Clone)]
pub struct Case {
    /// The course, in words.
    pub course: &'static str,
    plan: SagaPlan,
    conduct: Conduct,
    faults: FaultPlan,
}

impl Case {
    /// Runs it.
    pub fn run(&self, library: &Library) -> Result<Report, CannotRun> {
        let sagas = Some(vec![self.plan.clone()]);
        Run { library, conduct: self.conduct, faults: self.faults, sagas, seed: 1 }.make()
    }
}

/// All cases, beginning with each course as it is without a fault.
pub fn cases(library: &Library) -> Result<Vec<Case>, CannotRun> {
    let mut cases = Vec::new();
    for conduct in Conduct::HONEST {
        for (course, plan) in courses() {
            let clean = Case { course, plan, conduct, faults: FaultPlan::None };
            let boundaries = clean.run(library)?.boundaries;
            cases.push(clean.clone());
            for (at, boundary) in boundaries.into_iter().enumerate() {
                let possible = Fault::ALL.iter().filter(|fault| fault.excluded(boundary).is_none());
                let plans = possible.map(|fault| FaultPlan::Once { at, fault: *fault });
                cases.extend(plans.map(|faults| Case { faults, ..clean.clone() }));
            }
        }
    }
    Ok(cases)
}

/// A shape and a course: what refuses, what answers later, what is asked.
fn courses() -> Vec<(&'static str, SagaPlan)> {
    let plain = |definition: &str| SagaPlan::plain("s", definition);
    let refuse = |definition: &str, step: &str| SagaPlan { refuse: step.to_owned(), ..plain(definition) };
    let pend = |definition: &str, operations: &str, refuse: &str| {
        let (pend, refuse) = (operations.to_owned(), refuse.to_owned());
        SagaPlan { pend, refuse, ..plain(definition) }
    };
    let wish = |definition: &str, wishes: &[(u64, Wish)]| {
        let wishes = wishes.iter().map(|(millis, wish)| (Duration::from_millis(*millis), *wish)).collect();
        SagaPlan { version: Some(1), wishes, ..plain(definition) }
    };
    vec![
        ("chain, accepted", plain("chain")),
        ("chain, refused at the end", refuse("chain", "ship")),
        ("chain, cancelled", wish("chain", &[(8, Wish::Cancel)])),
        (
            "chain, paused and moved to a newer version",
            wish("chain", &[(4, Wish::Pause), (20, Wish::Repin), (40, Wish::Resume)]),
        ),
        ("chain, held and let go", wish("chain", &[(2, Wish::Hold), (300, Wish::Release)])),
        ("chain, stuck in its compensation", refuse("chain", "ship hold.compensate")),
        ("diamond, accepted", plain("diamond")),
        ("diamond, refused at the join", refuse("diamond", "bottom")),
        ("diamond, refused in one arm", refuse("diamond", "left")),
        ("mixed, confirmed", plain("mixed")),
        ("mixed, refused at the last try", refuse("mixed", "money")),
        ("pivot, accepted", plain("pivot")),
        ("pivot, refused", refuse("pivot", "charge")),
        ("pivot, cancelled in doubt", wish("pivot", &[(8, Wish::Cancel)])),
        ("blind pivot, accepted", plain("blind")),
        ("blind pivot, refused", refuse("blind", "charge")),
        ("slow action", pend("slow", "reserve.action transfer.action", "")),
        ("slow and refused later", pend("slow", "transfer.action", "transfer")),
        ("slow and never heard of in time", pend("late", "transfer.action", "")),
        ("slow compensation", pend("slow", "reserve.compensate", "ship")),
        ("conditional, taken", plain("conditional")),
        ("conditional, left out and refused", SagaPlan { express: false, ..refuse("conditional", "hold") }),
    ]
}
