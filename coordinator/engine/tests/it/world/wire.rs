//! What is on its way: calls to participants, answers to the coordinator.
//!
//! Invariant: to a participant without a barrier no call is delivered after its deadline; that is the one promise that the
//! engine's waiting relies on (design §4). A barrier must bear calls of any age.

use amends_checker::EffectSeen;
use amends_engine::event::Verdict;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::{Doubt, Outcome, Why};
use amends_engine::time::Timestamp;

use super::participant::Manner;
use super::{CallKey, Failure, World};

/// A call on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) key: CallKey,
    pub(super) expects: bool,
    /// When it has certainly been dropped.
    pub(super) dies_at: Timestamp,
    /// Which owner sent it: nobody hears the answers to a lost one.
    pub(super) generation: u32,
    /// The network made a copy of it, so that nobody can say that it never left.
    pub(super) copied: bool,
}

/// An answer on its way back.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) key: CallKey,
    pub(super) outcome: Outcome,
}

impl World {
    /// Delivers a call; its answer is on its way then.
    pub(super) fn deliver(&mut self, position: usize) -> Result<(), Failure> {
        let message = self.wire.remove(position);
        let (step, operation, attempt) = message.key;
        self.intents.saw_call(&self.saga.state.head.key, step, operation, attempt)?;
        let participant = &mut self.participants[step.get()];
        if participant.manner == Manner::Plain && self.now >= message.dies_at {
            self.seen.insert("died on the wire");
            return Ok(());
        }
        let (took_effect, outcome) = participant.call(operation, message.expects, &mut self.choices);
        if took_effect {
            self.book(step, operation);
        }
        if message.generation == self.generation {
            self.replies.push(Reply { key: message.key, outcome });
        }
        Ok(())
    }

    pub(super) fn book(&mut self, step: StepIndex, operation: Operation) {
        let saga = self.saga.state.head.key.clone();
        self.effects.push(EffectSeen { saga, step: self.saga.definition.step(step).name.clone(), operation });
    }

    /// The network loses a call, and nobody hears of it.
    pub(super) fn lose(&mut self, position: usize) -> Result<(), Failure> {
        self.wire.remove(position);
        Ok(())
    }

    /// A participant completes what is pending there, and says what became of it.
    pub(super) fn complete(&mut self, step: StepIndex) -> Option<(Operation, Verdict)> {
        let (operation, verdict) = self.participants[step.get()].complete(&mut self.choices)?;
        if matches!(verdict, Verdict::Succeeded(_)) {
            self.book(step, operation);
        }
        Some((operation, verdict))
    }

    /// The caller hears that the connection broke. The call may be lost, or land later.
    pub(super) fn break_connection(&mut self, position: usize) -> Result<(), Failure> {
        let message = self.wire[position];
        if self.choices.percent(50) {
            self.wire.remove(position);
        }
        let doubts = [Doubt::Broken, Doubt::NoAnswer, Doubt::Code, Doubt::Misconfigured, Doubt::StaleEpoch];
        let doubt = doubts[self.choices.pick(doubts.len())];
        self.replies.push(Reply { key: message.key, outcome: Outcome::Unknown { doubt, why: Why::default() } });
        Ok(())
    }

    /// The call certainly never left.
    pub(super) fn refuse_connection(&mut self, position: usize) -> Result<(), Failure> {
        let message = self.wire[position];
        if !message.copied && message.generation == self.generation {
            self.wire.remove(position);
            self.replies.push(Reply { key: message.key, outcome: Outcome::NotSent(Why::default()) });
        }
        Ok(())
    }

    /// The network repeats a call. Only a barrier with stored refusals can bear that (semantics A2).
    pub(super) fn repeat(&mut self, position: usize) -> Result<(), Failure> {
        let message = &mut self.wire[position];
        if self.participants[message.key.0.get()].manner == Manner::Final {
            message.copied = true;
            let copy = *message;
            self.wire.push(copy);
            self.seen.insert("call repeated");
        }
        Ok(())
    }

    /// A lost owner may have sent what was outstanding as late as its lease ended, which is now.
    pub(super) fn lose_owner(&mut self) {
        self.generation += 1;
        self.replies.clear();
        for message in &mut self.wire {
            let (step, operation, attempt) = message.key;
            let state = self.saga.operation(step, operation);
            if !(state.is_in_flight() && state.attempt == attempt) {
                continue;
            }
            message.dies_at = message.dies_at.max(self.now + crate::shape::ATTEMPT);
        }
    }

    /// Everything that is still under way lands, as long as it lives.
    pub(super) fn settle_the_wire(&mut self) -> Result<(), Failure> {
        while !self.wire.is_empty() {
            self.deliver(0)?;
        }
        // A pending effect may come at any time; its row decides.
        for step in self.saga.definition.indices() {
            self.complete(step);
        }
        Ok(())
    }
}
