//! Driving the machine as the runtime does, with the checker behind every change; and the calm after the storm.
//!
//! Invariant: a call starts only after the change that asks for it was committed.

use amends_checker::{check_state, check_step};
use amends_engine::effect::Effect;
use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::outcome::CallFacts;
use amends_engine::payload::Payload;
use amends_engine::saga::{OperationStatus, Saga, StepState};
use amends_engine::{Applied, IllegalEvent, apply, apply_admitting, next_due, outstanding};

use super::wire::Message;
use super::{Failure, Judge, World};

/// More events than any saga of these worlds needs to end.
const EVENTS_MAX: usize = 600;

impl World {
    /// Applies an event and whatever must be prepared for it, then starts what is asked for.
    pub(super) fn event(&mut self, event: Event) -> Result<Result<(), IllegalEvent>, Failure> {
        let legal = self.apply_one(event)?;
        self.after_change()?;
        Ok(legal)
    }

    fn apply_one(&mut self, event: Event) -> Result<Result<(), IllegalEvent>, Failure> {
        let (choices, storms, mut held) = (&mut self.choices, self.storms, false);
        // A breaker or a limit of some participant holds an attempt back.
        let applied = apply_admitting(&self.saga, &event, self.now, &mut |_| {
            let hold = storms && choices.percent(15);
            held |= hold;
            !hold
        });
        if held {
            self.seen.insert("held back");
        }
        if self.trace.len().is_multiple_of(16) {
            self.is_pure(&event)?;
        }
        self.trace.push((self.now, event));
        match applied {
            Err(illegal) => return Ok(Err(illegal)),
            Ok(Applied::Ignored(_)) if held => {}
            Ok(Applied::Ignored(_)) => self.is_not_woken_for_nothing()?,
            Ok(Applied::Changed(changed)) => {
                let (_, event) = &self.trace[self.trace.len() - 1];
                if self.judge == Judge::Rules {
                    check_step(&self.saga, event, &changed)?;
                    check_state(&changed.saga)?;
                }
                self.note(&changed.saga);
                if changed.saga.state.head.version != self.saga.state.head.version {
                    self.has_moved(&changed.saga.definition);
                }
                self.saga = changed.saga;
            }
        }
        Ok(Ok(()))
    }

    /// Keeps in mind which of the rarer things a case has met.
    fn note(&mut self, after: &Saga) {
        self.seen.extend(after.all_stuck().iter().map(|stuck| stuck.reason.as_str()));
        let sealed = |step: &StepState| step.sealing && step.compensate.status == OperationStatus::Succeeded;
        if after.state.steps.iter().any(sealed) {
            self.seen.insert("sealed");
        }
    }

    /// A timer that changes nothing would be set again at once, and the runtime would spin.
    fn is_not_woken_for_nothing(&self) -> Result<(), Failure> {
        let due = matches!(self.trace.last(), Some((_, Event::Due)));
        if due && next_due(&self.saga).is_some_and(|due| due <= self.now) {
            return Err(Failure::Liveness("woken at a due time for nothing"));
        }
        Ok(())
    }

    /// The same state and event give the same, also after the state was stored and read again.
    fn is_pure(&self, event: &Event) -> Result<(), Failure> {
        let read = Saga::resume(self.saga.state.clone(), self.saga.definition.clone());
        let read = read.map_err(|_| Failure::Impure("a state doesn't fit its own definition"))?;
        if outstanding(&read) != outstanding(&self.saga) || next_due(&read) != next_due(&self.saga) {
            return Err(Failure::Impure("a read state asks for something else"));
        }
        if apply(&read, event, self.now) != apply(&self.saga, event, self.now) {
            return Err(Failure::Impure("the same event led elsewhere"));
        }
        Ok(())
    }

    pub(super) fn after_change(&mut self) -> Result<(), Failure> {
        while let Some((step, operation)) = self.to_prepare() {
            let event = self.prepare(step, operation);
            self.apply_one(event)?.map_err(|_| Failure::Impure("preparing what was asked for is illegal"))?;
        }
        self.commit()?;
        for effect in outstanding(&self.saga) {
            let Effect::Call { step, operation, attempt, deadline, expects_succeeded } = effect else { continue };
            let key = (step, operation, attempt);
            if self.started.insert(key) {
                let (expects, generation) = (expects_succeeded, self.generation);
                self.wire.push(Message { key, expects, dies_at: deadline, generation, copied: false });
            }
        }
        Ok(())
    }

    /// What was changed becomes durable, in one commit; nothing is called before.
    fn commit(&mut self) -> Result<(), Failure> {
        let durable = self.intents.last(&self.saga.state.head.key);
        if durable != Some(&self.saga.state) {
            self.saga.state.revision += 1;
            self.intents.committed(&self.saga.state)?;
        }
        Ok(())
    }

    fn to_prepare(&self) -> Option<(StepIndex, Operation)> {
        outstanding(&self.saga).into_iter().find_map(|effect| match effect {
            Effect::Prepare { step, operation } => Some((step, operation)),
            Effect::Call { .. } => None,
        })
    }

    fn prepare(&mut self, step: StepIndex, operation: Operation) -> Event {
        let conditional = operation == Operation::Action && self.saga.definition.step(step).conditional;
        if conditional && self.choices.percent(40) {
            self.seen.insert("condition false");
            return Event::ConditionFalse { step };
        }
        if self.choices.percent(3) {
            self.seen.insert("prepare failed");
            return Event::PrepareFailed { step, operation, message: "null".to_owned() };
        }
        // Sometimes the others are prepared too, sometimes only when they are asked for.
        let others = [Operation::Compensate, Operation::Confirm];
        let wanted = others.into_iter().filter(|_| operation == Operation::Action && self.choices.percent(50));
        let wanted: Vec<Operation> = std::iter::once(operation).chain(wanted.collect::<Vec<_>>()).collect();
        let request = |operation: Operation| (operation, Payload::json(format!("\"{operation}\"")));
        Event::Prepared { step, operation, requests: wanted.into_iter().map(request).collect() }
    }

    /// Delivers an answer.
    pub(super) fn answer(&mut self, position: usize) -> Result<(), Failure> {
        let reply = self.replies.remove(position);
        let (step, operation, attempt) = reply.key;
        let retry_after = std::time::Duration::from_millis(100);
        let (outcome, call) = (reply.outcome, CallFacts::default());
        let event = Event::Answered { step, operation, attempt, outcome, retry_after, call };
        self.answered.push(event.clone());
        self.event(event)?.map_err(|_| Failure::Impure("an answer to a call that was made is illegal"))
    }

    /// From now on every call arrives and is answered, and timers fire. Ends when nothing more moves by itself.
    pub(super) fn calm(&mut self) -> Result<(), Failure> {
        for _ in 0..EVENTS_MAX {
            if self.saga.state.phase.is_terminal() || !self.move_on()? {
                return Ok(());
            }
        }
        Err(Failure::Liveness("it goes on and on"))
    }

    /// Does the next thing that happens by itself; says whether there was one.
    fn move_on(&mut self) -> Result<bool, Failure> {
        if !self.wire.is_empty() {
            self.deliver(0)?;
        } else if !self.replies.is_empty() {
            self.answer(0)?;
        } else if !self.call_back()? {
            let Some(due) = next_due(&self.saga) else { return Ok(false) };
            self.now = self.now.max(due);
            self.event(Event::Due)?.map_err(|_| Failure::Impure("a timer is illegal"))?;
        }
        Ok(true)
    }
}
