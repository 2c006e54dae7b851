//! A small world around one saga: a network that loses, delays and repeats, participants with a memory of their own, operators
//! who tell the truth, and a ledger that shows what really happened.
//!
//! Everything random comes from [`choices::Choices`], so that a case is a list of numbers that can be shrunk and run again.
//! Invariant: whatever the world does to the machine could happen to it; no answer contradicts what a participant did.

pub(crate) mod choices;
mod drive;
mod operator;
mod participant;
mod repins;
mod shapes;
mod storm;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use amends_checker::{EffectSeen, Ended, Intents, Violation, check_effects, check_ended, check_state};
use amends_engine::begin;
use amends_engine::event::Event;
use amends_engine::ids::{Operation, StepIndex};
use amends_engine::payload::Payload;
use amends_engine::saga::{Phase, Saga};
use amends_engine::time::Timestamp;

use crate::shape::{head, shape};
use choices::Choices;
use participant::Participant;
use wire::{Message, Reply};

/// One step's operation and attempt.
pub(crate) type CallKey = (StepIndex, Operation, u32);

/// Who judges a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// The checker after every change, and the books at the end.
    Rules,
    /// The books at the end, and nothing else: what a customer would see.
    #[cfg(feature = "planted")]
    Books,
}

/// What went wrong in a case.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The checker found a rule broken.
    Rule(Violation),
    /// A saga that should have ended didn't.
    Liveness(&'static str),
    /// The machine isn't a function of its state.
    Impure(&'static str),
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Rule(violation)
    }
}

impl Failure {
    /// The rule or property that noticed.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Rule(violation) => format!("rule {:?}", violation.rule),
            Self::Liveness(what) => format!("liveness: {what}"),
            Self::Impure(what) => format!("purity: {what}"),
        }
    }
}

/// The saga, the world around it and what was done to it.
pub(crate) struct World {
    judge: Judge,
    text: String,
    /// The version that somebody wants to move to.
    offered: String,
    saga: Saga,
    now: Timestamp,
    choices: Choices,
    /// Whether things still go wrong by themselves.
    storms: bool,
    participants: Vec<Participant>,
    wire: Vec<Message>,
    replies: Vec<Reply>,
    answered: Vec<Event>,
    started: BTreeSet<CallKey>,
    generation: u32,
    effects: Vec<EffectSeen>,
    intents: Intents,
    /// What was applied, for the report of a failure.
    trace: Vec<(Timestamp, Event)>,
    /// Things that happened, so that a run can tell whether it tried anything.
    pub(crate) seen: BTreeSet<&'static str>,
}

impl World {
    /// A new world with a saga that was just started.
    pub(crate) fn new(mut choices: Choices, judge: Judge) -> Self {
        let text = shapes::text(&mut choices);
        let definition = Arc::new(shape(&text));
        let participants = definition.indices().map(|_| Participant::new(&mut choices)).collect();
        let begun = begin(head(), definition, Payload::json("{}"), Timestamp(1000));
        Self {
            judge,
            text,
            offered: String::new(),
            saga: begun.saga,
            now: Timestamp(1000),
            choices,
            storms: true,
            participants,
            wire: Vec::new(),
            replies: Vec::new(),
            answered: Vec::new(),
            started: BTreeSet::new(),
            generation: 0,
            effects: Vec::new(),
            intents: Intents::new(),
            trace: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Storm, calm, end: the whole life of one case.
    pub(crate) fn run(&mut self) -> Result<(), Failure> {
        check_state(&self.saga)?;
        self.after_change()?;
        self.storm()?;
        self.storms = false;
        self.calm()?;
        self.repair()?;
        self.settle_the_wire()?;
        self.judge()
    }

    /// The books against what the saga says of itself.
    fn judge(&mut self) -> Result<(), Failure> {
        let ended = Ended::of(&self.saga).ok_or(Failure::Liveness("it didn't end"))?;
        self.seen.insert(match self.saga.state.phase {
            Phase::Completed => "completed",
            Phase::Compensated => "compensated",
            Phase::Running | Phase::Confirming | Phase::Compensating | Phase::ForceStopped => "force-stopped",
        });
        let mut violations = check_effects(&self.effects);
        violations.extend(check_ended(&self.effects, &[ended]));
        violations.into_iter().next().map_or(Ok(()), |violation| Err(violation.into()))
    }

    /// A readable account of the case.
    pub(crate) fn report(&self, failure: &Failure) -> String {
        let manners: Vec<_> = self.participants.iter().map(|participant| participant.manner).collect();
        let events: Vec<String> = self.trace.iter().map(|(at, event)| format!("{at}: {event:?}")).collect();
        let effects: Vec<String> =
            self.effects.iter().map(|effect| format!("{} {}", effect.step, effect.operation)).collect();
        let state = crate::render::render(&self.saga);
        format!("{failure:?}\n{} {manners:?}\n{}\neffects: {effects:?}\n{state}", self.text, events.join("\n"))
    }
}
