//! What goes wrong: everything at once, in any order, as the choices say.
//!
//! Invariant: the first choice is always the harmless one, so that a case that shrinks becomes calm.

use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::next_due;
use amends_engine::saga::By;

use super::{Failure, World};

/// Events of a storm.
const EVENTS: usize = 70;

impl World {
    pub(super) fn storm(&mut self) -> Result<(), Failure> {
        for _ in 0..EVENTS {
            if self.choices.is_exhausted() {
                break;
            }
            let kind = self.choices.pick(100);
            self.one_event(kind)?;
        }
        Ok(())
    }

    fn one_event(&mut self, kind: usize) -> Result<(), Failure> {
        match kind {
            0..25 => self.some_message(Self::deliver),
            25..50 => self.some_answer(),
            50..58 => self.some_message(Self::break_connection),
            58..61 => self.some_message(Self::refuse_connection),
            61..63 => self.some_message(Self::repeat),
            63..65 => self.some_message(Self::lose),
            65..73 => self.time_passes(),
            73..77 => self.old_answer(),
            77..80 => self.call_back().map(drop),
            80..84 => self.owner_lost(),
            _ => self.somebody_asks(),
        }
    }

    fn some_message(&mut self, what: impl Fn(&mut Self, usize) -> Result<(), Failure>) -> Result<(), Failure> {
        if self.wire.is_empty() {
            return Ok(());
        }
        let position = self.choices.pick(self.wire.len());
        what(self, position)
    }

    fn some_answer(&mut self) -> Result<(), Failure> {
        if self.replies.is_empty() {
            return Ok(());
        }
        let position = self.choices.pick(self.replies.len());
        self.answer(position)
    }

    /// An answer that was heard before is heard again.
    fn old_answer(&mut self) -> Result<(), Failure> {
        if self.answered.is_empty() {
            return Ok(());
        }
        let position = self.choices.pick(self.answered.len());
        let event = self.answered[position].clone();
        self.seen.insert("old answer");
        self.event(event)?.map_err(|_| Failure::Impure("an answer to a call that was made is illegal"))
    }

    fn time_passes(&mut self) -> Result<(), Failure> {
        let step = [0, 50, 100, 400, 1000, 5000, 70_000][self.choices.pick(7)];
        let due = next_due(&self.saga).unwrap_or(self.now);
        self.now = if step == 0 { self.now.max(due) } else { self.now + std::time::Duration::from_millis(step) };
        self.event(Event::Due)?.map_err(|_| Failure::Impure("a timer is illegal"))
    }

    /// A new owner takes over. What the old one had sent may still land; what it would have heard is lost.
    fn owner_lost(&mut self) -> Result<(), Failure> {
        self.lose_owner();
        self.seen.insert("owner lost");
        self.event(Event::Loaded)?.map_err(|_| Failure::Impure("loading is illegal"))
    }

    /// A participant finishes something pending, and says so. Says whether there was anything.
    pub(super) fn call_back(&mut self) -> Result<bool, Failure> {
        let steps = self.saga.definition.indices();
        let pending: Vec<StepIndex> = steps.filter(|step| self.participants[step.get()].is_pending()).collect();
        if pending.is_empty() {
            return Ok(false);
        }
        let step = pending[self.choices.pick(pending.len())];
        let Some((operation, verdict)) = self.complete(step) else { return Ok(false) };
        self.seen.insert(if operation == Operation::Action { "called back" } else { "undone later" });
        let retry_after = std::time::Duration::from_millis(100);
        // It may be too late for that, which the participant is told.
        let event = Event::CalledBack { step, operation, verdict, retry_after, by: By::default() };
        self.event(event).map(|_| true)
    }
}
