//! Which fault happens where: none, exactly one at a given boundary, or many by the seed.
//!
//! A boundary is a group of commits that reaches the store, or a call that leaves for a participant; they are counted in
//! the order in which they happen. It carries nothing out. Invariant: once stopped it gives no more faults, so that every run
//! can come to rest.

mod kinds;

use std::sync::Mutex;

pub use kinds::{Boundary, CallFault, Fault, FaultPlan, StoreFault};

use crate::seams::Dice;
use crate::trace::lock;

/// How often, in a thousand cases, something happens in a run with random faults.
#[derive(Debug)]
struct Mixture {
    store: Vec<(StoreFault, u32)>,
    call: Vec<(CallFault, u32)>,
    read: u32,
    word: u32,
    refusal: u32,
    failure: u32,
}

/// How often a process may be killed or frozen in a run, so that a run comes to an end.
const ENDS_MAX: u32 = 6;

/// Gives out the faults of a run.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: FaultPlan,
    mixture: Mixture,
    dice: Dice,
    boundaries: Mutex<Vec<Boundary>>,
    ends_left: Mutex<u32>,
    stopped: Mutex<bool>,
}

impl Faults {
    /// `copies_allowed`: the participants can bear one attempt arriving twice, because they store refusals.
    pub(crate) fn new(plan: FaultPlan, dice: Dice, copies_allowed: bool) -> Self {
        let mixture = Mixture::draw(&dice, copies_allowed);
        let stopped = Mutex::new(plan == FaultPlan::None);
        Self { plan, mixture, dice, boundaries: Mutex::default(), ends_left: Mutex::new(ENDS_MAX), stopped }
    }

    /// What happens to the group of commits that is about to be sent.
    pub(crate) fn at_commit(&self) -> Option<StoreFault> {
        match self.at(Boundary::Commit)? {
            FaultPlan::Once { fault: Fault::Store(fault), .. } => Some(fault),
            FaultPlan::Random => {
                let fault = self.draw(&self.mixture.store)?;
                (!fault.ends_process() || self.may_end_process()).then_some(fault)
            }
            FaultPlan::None | FaultPlan::Once { .. } => None,
        }
    }

    /// What happens to the call that is about to leave.
    pub(crate) fn at_call(&self) -> Option<CallFault> {
        match self.at(Boundary::Call)? {
            FaultPlan::Once { fault: Fault::Call(fault), .. } => Some(fault),
            FaultPlan::Random => {
                let fault = self.draw(&self.mixture.call)?;
                (!fault.ends_process() || self.may_end_process()).then_some(fault)
            }
            FaultPlan::None | FaultPlan::Once { .. } => None,
        }
    }

    /// Whether a read of the store gets no answer.
    pub(crate) fn loses_read(&self) -> bool {
        self.by_chance(self.mixture.read)
    }

    /// Whether a word between two nodes is lost.
    pub(crate) fn loses_word(&self) -> bool {
        self.by_chance(self.mixture.word)
    }

    /// Whether a participant refuses though nothing in the request asks for it: "out of stock, just now".
    pub(crate) fn refuses(&self) -> bool {
        self.by_chance(self.mixture.refusal)
    }

    /// Whether a participant's handler fails and keeps nothing.
    pub(crate) fn fails(&self) -> bool {
        self.by_chance(self.mixture.failure)
    }

    /// No more faults.
    pub(crate) fn stop(&self) {
        *lock(&self.stopped) = true;
    }

    /// The boundaries that the run has had, in order.
    pub(crate) fn boundaries(&self) -> Vec<Boundary> {
        lock(&self.boundaries).clone()
    }

    /// The faults themselves draw from here too, so that a run's delays follow from its seed.
    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// Whether delays vary: only in runs with random faults, so that the others have the same boundaries every time.
    pub(crate) fn is_random(&self) -> bool {
        self.plan == FaultPlan::Random
    }

    /// Counts a boundary; gives the plan if it may apply there.
    fn at(&self, boundary: Boundary) -> Option<FaultPlan> {
        let mut boundaries = lock(&self.boundaries);
        let number = boundaries.len();
        boundaries.push(boundary);
        let elsewhere = matches!(self.plan, FaultPlan::Once { at, .. } if at != number);
        (!elsewhere && !*lock(&self.stopped)).then_some(self.plan)
    }

    fn by_chance(&self, per_mille: u32) -> bool {
        self.is_random() && !*lock(&self.stopped) && self.dice.chance(per_mille)
    }

    fn draw<F: Copy>(&self, from: &[(F, u32)]) -> Option<F> {
        let mut number = self.dice.below(1000);
        for (fault, weight) in from {
            match number.checked_sub(u64::from(*weight)) {
                Some(rest) => number = rest,
                None => return Some(*fault),
            }
        }
        None
    }

    fn may_end_process(&self) -> bool {
        let mut left = lock(&self.ends_left);
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

impl Mixture {
    fn draw(dice: &Dice, copies_allowed: bool) -> Self {
        let weight = || if dice.chance(500) { u32::try_from(dice.below(60)).unwrap_or_default() } else { 0 };
        let store = StoreFault::ALL.map(|fault| (fault, weight())).to_vec();
        let mut call = CallFault::ALL.map(|fault| (fault, weight())).to_vec();
        call.retain(|(fault, _)| copies_allowed || *fault != CallFault::Twice);
        Self { store, call, read: weight() / 3, word: 5 * weight(), refusal: 3 * weight(), failure: weight() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(plan: FaultPlan) -> Faults {
        Faults::new(plan, Dice::new(1, 1), true)
    }

    #[test]
    fn a_single_fault_happens_at_its_boundary_only() {
        let fault = CallFault::ReplyLost;
        let faults = faults(FaultPlan::Once { at: 2, fault: Fault::Call(fault) });
        let seen = [faults.at_call(), faults.at_call(), faults.at_call(), faults.at_call()];
        assert_eq!(seen, [None, None, Some(fault), None]);
        assert_eq!(faults.boundaries(), [Boundary::Call; 4]);
        assert!(!(0..1_000).any(|_| faults.loses_read() || faults.refuses() || faults.fails()));
    }

    #[test]
    fn a_fault_of_the_other_kind_does_not_happen() {
        let faults = faults(FaultPlan::Once { at: 0, fault: Fault::Call(CallFault::Late) });
        assert_eq!(faults.at_commit(), None);
        assert_eq!(faults.at_call(), None, "that was boundary 1");
    }

    #[test]
    fn random_faults_end_processes_a_few_times_and_stop_when_told() {
        let faults = faults(FaultPlan::Random);
        let ends = (0..100_000).filter_map(|_| faults.at_commit()).filter(|fault| fault.ends_process()).count();
        assert!(ends <= ENDS_MAX as usize, "{ends}");
        assert!((0..1_000).any(|_| faults.at_call().is_some()));
        faults.stop();
        assert!(!(0..10_000).any(|_| faults.at_commit().is_some() || faults.at_call().is_some() || faults.fails()));
    }
}
