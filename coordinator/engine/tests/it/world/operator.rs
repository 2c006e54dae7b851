//! Operators: they ask for anything at any time, and tell the truth as far as they can see it.
//!
//! Invariant: "it happened" is said only of what the participant's row shows; "it didn't" may turn out wrong, as in life,
//! since a call may still be under way.

use amends_engine::event::{Event, Finding};
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::Payload;
use amends_engine::saga::{By, StuckReason};

use super::{Failure, World};

/// Rounds of repair after which every saga must have ended.
const ROUNDS_MAX: usize = 40;

pub(super) fn by() -> By {
    By { principal: "ada".to_owned(), reason: "because".to_owned() }
}

impl World {
    /// Somebody asks for something. What makes no sense is refused, which is fine.
    pub(super) fn somebody_asks(&mut self) -> Result<(), Failure> {
        let (step, operation) = self.some_operation();
        let (name, event) = match self.choices.pick(20) {
            0..3 => ("cancel", Event::Cancel(by())),
            3..6 => ("retry", Event::Retry { step: self.choices.percent(50).then_some(step), by: by() }),
            6..8 => ("pause", Event::Pause(by())),
            8..11 => ("resume", Event::Resume(by())),
            11..13 => ("skip", Event::Skip { step, operation, by: by() }),
            13..15 => ("resolve", self.truth(step, operation)),
            15 => ("acknowledge", Event::Acknowledge(by())),
            16..19 => match self.another_version() {
                Some(event) => ("repin", event),
                None => return Ok(()),
            },
            _ if self.choices.percent(30) => ("force-stop", Event::ForceStop(by())),
            _ => ("park", Event::Park { reason: StuckReason::Poison, message: "panic".to_owned() }),
        };
        if self.event(event)?.is_ok() {
            self.seen.insert(name);
        }
        Ok(())
    }

    /// An operation that is stuck, where there is one: that is what operators look at.
    fn some_operation(&mut self) -> (StepIndex, Operation) {
        let stuck = self.saga.all_stuck();
        let place = stuck.first().and_then(|stuck| Some((stuck.step?, stuck.operation?)));
        let steps = self.participants.len();
        let step = StepIndex(u16::try_from(self.choices.pick(steps)).unwrap_or(0));
        let operations = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
        place.unwrap_or((step, operations[self.choices.pick(4)]))
    }

    fn truth(&self, step: StepIndex, operation: Operation) -> Event {
        let happened = self.participants[step.get()].did(operation);
        let finding = if happened { Finding::Happened(Payload::json("{}")) } else { Finding::DidNotHappen };
        Event::Resolve { step, operation, finding, by: by() }
    }

    /// Whatever is parked or stuck is brought to its end by the means that operators have.
    pub(super) fn repair(&mut self) -> Result<(), Failure> {
        for round in 0..ROUNDS_MAX {
            if self.saga.state.phase.is_terminal() {
                return Ok(());
            }
            if self.saga.state.paused.is_none() && self.saga.stuck().is_none() {
                return Err(Failure::Liveness("it stands still and nobody is told"));
            }
            self.repair_once(round)?;
            self.calm()?;
        }
        Err(Failure::Liveness("operators can't bring it to an end"))
    }

    /// First the mild means, then facts, then doing without.
    fn repair_once(&mut self, round: usize) -> Result<(), Failure> {
        self.seen.insert("repaired");
        if self.saga.state.paused.is_some() {
            return self.event(Event::Resume(by())).map(drop);
        }
        let place = self.saga.stuck().and_then(|stuck| Some((stuck.step?, stuck.operation?)));
        let Some((step, operation)) = place.filter(|_| round > 1) else {
            return self.event(Event::Retry { step: None, by: by() }).map(drop);
        };
        let truth = self.truth(step, operation);
        if self.event(truth)?.is_err() {
            self.event(Event::Skip { step, operation, by: by() })?.ok();
        }
        Ok(())
    }
}
