//! A saga driven by hand: say what happens, expect what follows.
//!
//! It prepares whatever is asked for, as the runtime does before a commit, and asks the checker after every change. A place is
//! `step` (its action) or `step.operation`; an attempt is the outstanding one unless `#N` names another. Time stands still
//! unless a script moves it.

use std::sync::Arc;
use std::time::Duration;

use amends_checker::{check_state, check_step};
use amends_engine::apply::Changed;
use amends_engine::effect::Effect;
use amends_engine::event::{Event, Finding, Verdict};
use amends_engine::history::{Change, HistoryEntry};
use amends_engine::ids::{Operation, StepIndex, StepName};
use amends_engine::outcome::{CallFacts, Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use amends_engine::saga::{By, OperationState, Saga, StuckReason};
use amends_engine::time::Timestamp;
use amends_engine::{Applied, Ignored, IllegalEvent, apply_admitting, begin, next_due_beside, outstanding};

use crate::render::render;
use crate::shape::{head, shape};

/// The delay that comes with every answer.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A saga and the time.
pub(crate) struct Script {
    pub(crate) saga: Saga,
    pub(crate) now: Timestamp,
    pub(crate) history: Vec<HistoryEntry>,
    /// How often something had to be committed.
    pub(crate) commits: u32,
    /// Whether every attempt that would begin is held back.
    pub(crate) held: bool,
    unprepared: Vec<StepName>,
}

/// A success with an output of its own.
pub(crate) fn ok() -> Outcome {
    Outcome::Succeeded(Payload::json("{}"))
}

pub(crate) fn rejected() -> Outcome {
    Outcome::Rejected { why: Why::new("FAILED_PRECONDITION", "no"), last_word: false }
}

/// A refusal of a participant that promises `refusals: final`.
pub(crate) fn refused_for_good() -> Outcome {
    Outcome::Rejected { why: Why::new("FAILED_PRECONDITION", "no"), last_word: true }
}

pub(crate) fn unknown(doubt: Doubt) -> Outcome {
    Outcome::Unknown { doubt, why: Why::new("UNAVAILABLE", "no answer") }
}

pub(crate) fn not_sent() -> Outcome {
    Outcome::NotSent(Why::new("UNAVAILABLE", "connection refused"))
}

pub(crate) fn not_found() -> Outcome {
    Outcome::NotFound(Why::new("NOT_FOUND", "no such thing"))
}

pub(crate) fn somebody() -> By {
    By { principal: "ada".to_owned(), reason: "because".to_owned() }
}

impl Script {
    pub(crate) fn start(text: &str) -> Self {
        Self::start_unprepared(text, &[])
    }

    /// Steps that are named stay unprepared until the script says what became of it.
    pub(crate) fn start_unprepared(text: &str, unprepared: &[&str]) -> Self {
        let begun = begin(head(), Arc::new(shape(text)), Payload::json("{}"), Timestamp(0));
        let unprepared = unprepared.iter().map(|name| StepName::parse(name).expect("name")).collect();
        let (saga, history) = (begun.saga, begun.history);
        let mut script = Self { saga, now: Timestamp(0), history, commits: 1, held: false, unprepared };
        script.prepare();
        check_state(&script.saga).expect("the first state");
        script
    }

    /// From now on this step stays unprepared.
    pub(crate) fn stop_preparing(&mut self, step: &str) {
        self.unprepared.push(StepName::parse(step).expect("name"));
    }

    /// From now on every step is prepared.
    pub(crate) fn prepare_again(&mut self) {
        self.unprepared.clear();
    }

    fn prepare(&mut self) {
        while let Some((step, operation)) =
            outstanding(&self.saga).into_iter().find_map(|effect| self.preparable(effect))
        {
            let others = [Operation::Action, Operation::Compensate, Operation::Confirm];
            let wanted: Vec<Operation> = if operation == Operation::Action { others.to_vec() } else { vec![operation] };
            let request = |operation: Operation| (operation, Payload::json(format!("\"{operation} {}\"", step.0)));
            let requests = wanted.into_iter().map(request).collect();
            self.apply_checked(&Event::Prepared { step, operation, requests }).expect("preparing is always legal");
        }
    }

    fn preparable(&self, effect: Effect) -> Option<(StepIndex, Operation)> {
        let Effect::Prepare { step, operation } = effect else { return None };
        (!self.unprepared.contains(&self.saga.definition.step(step).name)).then_some((step, operation))
    }

    fn apply_checked(&mut self, event: &Event) -> Result<Option<Ignored>, IllegalEvent> {
        let held = self.held;
        match apply_admitting(&self.saga, event, self.now, &mut |_| !held)? {
            Applied::Ignored(reason) => Ok(Some(reason)),
            Applied::Changed(changed) => {
                let checked = check_step(&self.saga, event, &changed).and_then(|()| check_state(&changed.saga));
                checked
                    .unwrap_or_else(|violation| panic!("{violation}\n{}\n{event:?}\n{}", self, render(&changed.saga)));
                let Changed { saga, history, .. } = *changed;
                self.saga = saga;
                self.history.extend(history);
                Ok(None)
            }
        }
    }

    /// Applies an event that must be legal; says why it was ignored, if it was.
    pub(crate) fn event(&mut self, event: Event) -> Option<Ignored> {
        let ignored = self.try_event(event).unwrap_or_else(|illegal| panic!("{illegal}\n{self}"));
        self.commits += u32::from(ignored.is_none());
        ignored
    }

    fn try_event(&mut self, event: Event) -> Result<Option<Ignored>, IllegalEvent> {
        let ignored = self.apply_checked(&event)?;
        self.prepare();
        Ok(ignored)
    }

    /// Applies an event that must be illegal, and says why it is.
    pub(crate) fn illegal(&mut self, event: Event) -> IllegalEvent {
        self.try_event(event).expect_err("an illegal event")
    }

    fn place(&self, place: &str) -> (StepIndex, Operation, Option<u32>) {
        let (place, attempt) = place.split_once('#').map_or((place, None), |(place, n)| (place, n.parse().ok()));
        let (step, operation) = place.split_once('.').unwrap_or((place, "action"));
        let known = [Operation::Action, Operation::Compensate, Operation::Confirm, Operation::Query];
        let operation = known.into_iter().find(|known| known.as_str() == operation).expect("an operation");
        let step = self.saga.definition.find(&StepName::parse(step).expect("name")).expect("a step");
        (step, operation, attempt)
    }

    /// The state of an operation.
    pub(crate) fn op(&self, place: &str) -> &OperationState {
        let (step, operation, _) = self.place(place);
        self.saga.operation(step, operation)
    }

    /// The step of a place.
    pub(crate) fn step(&self, place: &str) -> StepIndex {
        self.place(place).0
    }

    /// An attempt answers.
    pub(crate) fn answer(&mut self, place: &str, outcome: Outcome) -> Option<Ignored> {
        let (step, operation, attempt) = self.place(place);
        let attempt = attempt.unwrap_or(self.saga.operation(step, operation).attempt);
        let call = CallFacts { started_at: self.now, ..CallFacts::default() };
        self.event(Event::Answered { step, operation, attempt, outcome, retry_after: RETRY_AFTER, call })
    }

    /// Several operations succeed, in this order.
    pub(crate) fn succeed(&mut self, places: &[&str]) {
        for place in places {
            assert_eq!(self.answer(place, ok()), None, "{place}\n{self}");
        }
    }

    /// The participant calls back.
    pub(crate) fn call_back(&mut self, place: &str, verdict: Verdict) -> Option<Ignored> {
        let event = self.callback(place, verdict);
        self.event(event)
    }

    pub(crate) fn callback(&self, place: &str, verdict: Verdict) -> Event {
        let (step, operation, _) = self.place(place);
        Event::CalledBack { step, operation, verdict, retry_after: RETRY_AFTER, by: somebody() }
    }

    pub(crate) fn skip(&self, place: &str) -> Event {
        let (step, operation, _) = self.place(place);
        Event::Skip { step, operation, by: somebody() }
    }

    pub(crate) fn resolve(&self, place: &str, finding: Finding) -> Event {
        let (step, operation, _) = self.place(place);
        Event::Resolve { step, operation, finding, by: somebody() }
    }

    pub(crate) fn retry(&mut self) {
        assert_eq!(self.event(Event::Retry { step: None, by: somebody() }), None, "{self}");
    }

    pub(crate) fn park(&mut self) {
        let reason = StuckReason::DefinitionOrParticipantMissing;
        assert_eq!(self.event(Event::Park { reason, message: "no participant".to_owned() }), None);
    }

    fn next_due(&self) -> Option<Timestamp> {
        next_due_beside(&self.saga, |_, _| self.held)
    }

    /// Goes to the next due time and applies what is due.
    pub(crate) fn wait(&mut self) {
        let due = self.next_due().unwrap_or_else(|| panic!("nothing is due\n{self}"));
        self.now = self.now.max(due);
        assert_eq!(self.event(Event::Due), None, "woken for nothing\n{self}");
    }

    /// Goes to a time and applies what is due until then, one timer after the other.
    pub(crate) fn at(&mut self, millis: u64) {
        while self.next_due().is_some_and(|due| due <= Timestamp(millis)) {
            self.wait();
        }
        self.now = Timestamp(millis);
    }

    pub(crate) fn expect(&self, expected: &str) {
        let shown = render(&self.saga);
        assert_eq!(shown, expected, "\n{self}");
    }

    /// Whether the history has such a change.
    pub(crate) fn says(&self, change: &Change) -> bool {
        self.history.iter().any(|entry| entry.change == *change)
    }
}

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for entry in &self.history {
            let step = entry.step.map(|step| self.saga.definition.step(step).name.to_string()).unwrap_or_default();
            writeln!(f, "{} {step} {:?} {:?} {:?}", entry.at, entry.operation, entry.attempt, entry.change)?;
        }
        writeln!(f, "{}: {}", self.now, render(&self.saga))
    }
}
