//! Which fault happens where: none, exactly one at a given boundary, or a swarm by the seed.
//!
//! A boundary is passed whenever something is about to travel; they are numbered in the order in which that happens. It carries
//! nothing out. Invariant: once stopped it gives no more faults, so that every run can come to rest.

mod kinds;
mod table;

use std::sync::Mutex;

pub(crate) use kinds::Channel;
pub use kinds::{Boundary, Fault, FaultPlan};
pub use table::Table;

use crate::seams::Dice;
use crate::trace::lock;

/// How often, in ten thousand cases, something happens in a run with random faults.
#[derive(Debug)]
struct Swarm {
    /// In the order of [`Fault::ALL`].
    weights: Vec<u32>,
    refusal: u32,
    failure: u32,
}

/// How often a process may be killed or frozen in a run, so that a run comes to an end.
const ENDS_MAX: u32 = 6;
/// How often the store or the network may be struck as a whole.
const OUTAGES_MAX: u32 = 8;
/// How much rarer faults are where nodes only keep house.
const HOUSEKEEPING: u32 = 5;
/// How much more common they are at what seldom happens.
const RARE: u32 = 3;
const TEN_THOUSAND: u64 = 10_000;

/// Gives out the faults of a run.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: FaultPlan,
    swarm: Swarm,
    dice: Dice,
    state: Mutex<State>,
    /// The participants can bear one attempt arriving twice, because they store refusals.
    copies_allowed: bool,
}

#[derive(Debug)]
struct State {
    boundaries: Vec<Boundary>,
    table: Table,
    ends_left: u32,
    outages_left: u32,
    stopped: bool,
    /// Whether it was said that there are to be no more: boundaries passed from then on aren't told.
    over: bool,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan, dice: Dice, copies_allowed: bool) -> Self {
        let state = State {
            boundaries: Vec::new(),
            table: Table::default(),
            ends_left: ENDS_MAX,
            outages_left: OUTAGES_MAX,
            stopped: plan == FaultPlan::None,
            over: false,
        };
        Self { plan, swarm: Swarm::draw(&dice), dice, state: Mutex::new(state), copies_allowed }
    }

    /// What happens to what is about to travel.
    pub(crate) fn at(&self, at: Boundary) -> Option<Fault> {
        let mut state = lock(&self.state);
        let number = state.boundaries.len();
        if !state.over {
            state.boundaries.push(at);
        }
        state.table.pass(at);
        if state.stopped {
            return None;
        }
        let fault = match self.plan {
            FaultPlan::None => None,
            FaultPlan::Once { at: only, fault } => (only == number).then_some(fault),
            FaultPlan::Random => self.draw(at).filter(|fault| state.may(*fault)),
        };
        let fault = fault.filter(|fault| self.can(*fault, at))?;
        state.table.count(fault, at);
        Some(fault)
    }

    /// Whether a participant refuses though nobody planned it: "out of stock, just now".
    pub(crate) fn refuses(&self) -> bool {
        self.by_chance(self.swarm.refusal)
    }

    /// Whether a participant's handler fails and keeps nothing.
    pub(crate) fn fails(&self) -> bool {
        self.by_chance(self.swarm.failure)
    }

    /// No more faults.
    pub(crate) fn stop(&self) {
        let mut state = lock(&self.state);
        (state.stopped, state.over) = (true, true);
    }

    /// The boundaries at which there could have been faults, in order, and the faults at them.
    pub(crate) fn seen(&self) -> (Vec<Boundary>, Table) {
        let state = lock(&self.state);
        (state.boundaries.clone(), state.table.clone())
    }

    /// The faults themselves draw from here too, so that a run's delays follow from its seed.
    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// Whether delays vary: only in runs with random faults, so that the others have the same boundaries every time.
    pub(crate) fn is_random(&self) -> bool {
        self.plan == FaultPlan::Random
    }

    /// Whether the store may lose what isn't durable yet. If not, it needn't remember what it would fall back to.
    pub(crate) fn may_lose_tail(&self) -> bool {
        match self.plan {
            FaultPlan::None => false,
            FaultPlan::Once { fault, .. } => fault == Fault::LostTail,
            FaultPlan::Random => self.swarm.weights[Fault::LostTail as usize] > 0,
        }
    }

    fn can(&self, fault: Fault, at: Boundary) -> bool {
        let borne = self.copies_allowed || at.channel() != Channel::Call || !fault.is_copy();
        borne && fault.excluded(at).is_none()
    }

    fn draw(&self, at: Boundary) -> Option<Fault> {
        let weigh = |weight: u32| match at {
            at if at.is_housekeeping() => weight / HOUSEKEEPING,
            at if at.is_rare() => weight * RARE,
            _ => weight,
        };
        let mut number = self.dice.below(TEN_THOUSAND);
        for (fault, weight) in Fault::ALL.iter().zip(&self.swarm.weights) {
            match number.checked_sub(u64::from(weigh(*weight))) {
                Some(rest) => number = rest,
                None => return Some(*fault),
            }
        }
        None
    }

    fn by_chance(&self, weight: u32) -> bool {
        self.is_random() && !lock(&self.state).stopped && self.dice.below(TEN_THOUSAND) < u64::from(weight)
    }
}

impl State {
    /// Whether there may be one more of those that a run can bear only a few of.
    fn may(&mut self, fault: Fault) -> bool {
        let left = match fault {
            fault if fault.ends_process() => &mut self.ends_left,
            fault if fault.is_outage() => &mut self.outages_left,
            _ => return true,
        };
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

impl Swarm {
    /// Each fault is in it or isn't; those that are, are more or less common.
    fn draw(dice: &Dice) -> Self {
        let weight = |most: u64| if dice.chance(500) { u32::try_from(1 + dice.below(most)).unwrap_or(1) } else { 0 };
        let most = |fault: &Fault| if fault.ends_process() || fault.is_outage() { 250 } else { 900 };
        Self {
            weights: Fault::ALL.iter().map(|fault| weight(most(fault))).collect(),
            refusal: weight(1_500),
            failure: weight(600),
        }
    }
}

#[cfg(test)]
mod tests;
