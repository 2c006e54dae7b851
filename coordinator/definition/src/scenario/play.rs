//! Plays one scenario: the owner's loop of the runtime, with written answers and counted time.
//!
//! Event in, `apply`, prepare whatever the state asks for, one revision, then the calls: as in `runtime/src/shard`. Delays
//! before retries are the longest that the runtime would wait (it draws below that), so that `took` is the worst case. A crash
//! forgets everything but the state, as a new owner would find it. Invariant: the loop ends, by rest or by [`EVENTS_MAX`].

use std::collections::{BTreeMap, BTreeSet};

use amends_engine::event::{Event, Verdict};
use amends_engine::ids::{Operation, ParticipantName, StepIndex};
use amends_engine::outcome::{CallFacts, Outcome, Why};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::{By, Saga};
use amends_engine::time::Timestamp;
use amends_engine::{Applied, Changed, apply, next_due, unprepared};
use serde_json::Value;

use super::report::{Moment, clock};
use super::{Answer, EVENTS_MAX, Happening, Later, OperationKey, Planned, Reply, Scenario, operation_name};
use crate::compiled::{Compiled, Scope};
use crate::input::read_json;

/// One operation as it was called, in the order of first attempts.
pub(super) struct Made {
    pub(super) key: OperationKey,
    pub(super) attempts: u32,
    pub(super) request: Value,
}

pub(super) enum Item<'a> {
    Answer { key: OperationKey, attempt: u32, started: Timestamp, reply: &'a Reply },
    Later { key: OperationKey, later: &'a Later },
    Planned(&'a Planned),
}

pub(super) struct Play<'a> {
    pub(super) compiled: &'a Compiled,
    pub(super) scenario: &'a Scenario,
    refusals_final: &'a BTreeSet<ParticipantName>,
    pub(super) saga: Saga,
    pub(super) now: Timestamp,
    /// What is to come; the number keeps the order of what comes at one time.
    agenda: BTreeMap<(Timestamp, u64), Item<'a>>,
    numbered: u64,
    pub(super) payloads: BTreeMap<PayloadKey, Payload>,
    pub(super) outputs: BTreeMap<StepIndex, Value>,
    /// Calls whose answer is still to come.
    pub(super) calls: BTreeSet<(OperationKey, u32)>,
    pub(super) made: Vec<Made>,
    pub(super) timeline: Vec<Moment>,
    pub(super) complaints: Vec<String>,
}

impl<'a> Play<'a> {
    pub(super) fn new(
        compiled: &'a Compiled,
        scenario: &'a Scenario,
        refusals_final: &'a BTreeSet<ParticipantName>,
        saga: Saga,
    ) -> Self {
        let mut play = Self {
            compiled,
            scenario,
            refusals_final,
            saga,
            now: Timestamp::default(),
            agenda: BTreeMap::new(),
            numbered: 0,
            payloads: BTreeMap::new(),
            outputs: BTreeMap::new(),
            calls: BTreeSet::new(),
            made: Vec::new(),
            timeline: Vec::new(),
            complaints: Vec::new(),
        };
        for planned in &scenario.events {
            play.plan(Timestamp::default() + planned.at, Item::Planned(planned));
        }
        play
    }

    pub(super) fn plan(&mut self, at: Timestamp, item: Item<'a>) {
        self.agenda.insert((at, self.numbered), item);
        self.numbered += 1;
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.timeline.push(Moment::new(self.now, text));
    }

    /// Takes what comes first, until nothing comes any more. What is already here goes before a timer (semantics A13).
    pub(super) fn run(&mut self) {
        for _ in 0..EVENTS_MAX {
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            match (next, next_due(&self.saga)) {
                (None, None) => return,
                (Some(at), due) if due.is_none_or(|due| at <= due) => {
                    self.now = self.now.max(at);
                    if let Some((_, item)) = self.agenda.pop_first() {
                        self.happen(item);
                    }
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    self.apply(&Event::Due);
                }
                (Some(_), None) => {}
            }
            if !self.complaints.is_empty() {
                return;
            }
        }
        let last = self.timeline.last().map(|moment| moment.text.clone()).unwrap_or_default();
        self.complaints.push(format!(
            "it still moves after {EVENTS_MAX} events, at {}: {last} — let the saga come to rest: an answer that differs, \
             fewer attempts, or a `within`",
            clock(self.now.since(Timestamp::default()))
        ));
    }

    fn happen(&mut self, item: Item<'a>) {
        match item {
            Item::Planned(planned) => self.happening(planned),
            Item::Later { key: (step, operation), later } => {
                let verdict = match &later.verdict {
                    Ok(output) => match self.compiled.reply_from_json(step, operation, output) {
                        Ok(output) => Verdict::Succeeded(output),
                        Err(error) => return self.complain((step, operation), &error),
                    },
                    Err((code, message)) => Verdict::Rejected {
                        why: Why::new(code.as_str(), message.as_str()),
                        last_word: self.is_last_word(step),
                    },
                };
                let by = By { principal: "participant".to_owned(), reason: String::new() };
                let retry_after = self.retry_after((step, operation), 0, &Outcome::Pending);
                self.apply(&Event::CalledBack { step, operation, verdict, retry_after, by });
            }
            // After a crash nobody hears it.
            Item::Answer { key, attempt, .. } if !self.calls.remove(&(key, attempt)) => {}
            Item::Answer { reply: Reply { answer: Answer::Crash, .. }, .. } => self.crash(),
            Item::Answer { key, attempt, started, reply } => self.answered(key, attempt, started, reply),
        }
    }

    fn answered(&mut self, key: OperationKey, attempt: u32, started: Timestamp, reply: &'a Reply) {
        let (step, operation) = key;
        let outcome = match super::answer::outcome(self.compiled, key, &reply.answer, self.is_last_word(step)) {
            Ok(outcome) => outcome,
            Err(error) => return self.complain(key, &error),
        };
        if let (Answer::Pending(Some(later)), Outcome::Pending) = (&reply.answer, &outcome) {
            self.plan(self.now + later.after, Item::Later { key, later });
        }
        let retry_after = self.retry_after(key, attempt, &outcome);
        let call = CallFacts { started_at: started, duration: self.now.since(started), ..CallFacts::default() };
        self.apply(&Event::Answered { step, operation, attempt, outcome, retry_after, call });
        if reply.then_crash {
            self.crash();
        }
    }

    fn happening(&mut self, planned: &'a Planned) {
        let by = |reason: &str| By { principal: "operator".to_owned(), reason: reason.to_owned() };
        let event = match &planned.what {
            Happening::Crash => return self.crash(),
            Happening::Cancel(reason) => Event::Cancel(by(reason)),
            Happening::Retry(reason) => Event::Retry { step: None, by: by(reason) },
            Happening::Pause(reason) => Event::Pause(by(reason)),
            Happening::Resume(reason) => Event::Resume(by(reason)),
            Happening::ForceStop(reason) => Event::ForceStop(by(reason)),
        };
        let verb = planned.what.verb();
        let refusal = self.apply(&event);
        match (refusal, planned.refused) {
            (None, false) | (Some(_), true) => {}
            (None, true) => self.complaints.push(format!("`{verb}` was to be refused, and was accepted")),
            (Some(refusal), false) => self.complaints.push(format!("`{verb}` was refused: {refusal}")),
        }
    }

    /// The owner is lost with all that it remembered; another one reads the state.
    fn crash(&mut self) {
        self.note("the coordinator crashes; another one loads the saga");
        self.calls.clear();
        self.apply(&Event::Loaded);
    }

    /// Applies an event and all that follows from it at once. Returns why it was refused, if it was.
    fn apply(&mut self, event: &Event) -> Option<String> {
        match apply(&self.saga, event, self.now) {
            Ok(Applied::Changed(changed)) => {
                self.take(*changed);
                self.settle();
                None
            }
            Ok(Applied::Ignored(_)) => {
                self.start_calls();
                None
            }
            Err(refusal) => {
                self.note(format!("refused: {refusal}"));
                Some(refusal.to_string())
            }
        }
    }

    pub(super) fn take(&mut self, changed: Changed) {
        self.saga = changed.saga;
        self.timeline.extend(changed.history.iter().map(|entry| Moment::of(entry, self.compiled)));
        for (key, payload) in changed.payloads {
            if let PayloadKey::Output(step, Operation::Action) = key {
                let output = read_json(&payload.bytes).unwrap_or_default();
                self.outputs.entry(step).or_insert(output);
            }
            self.payloads.entry(key).or_insert(payload);
        }
    }

    /// Prepares what the state asks for, makes it one revision, and starts the calls.
    pub(super) fn settle(&mut self) {
        // Each pass settles a request; an operation has one.
        for _ in 0..=self.saga.state.steps.len() * 4 {
            let Some((step, operation)) = unprepared(&self.saga) else { break };
            let outputs = self.outputs.iter().map(|(step, value)| (*step, value)).collect();
            let scope = Scope { key: &self.saga.state.head.key, input: &self.scenario.input, outputs: &outputs };
            let event = self.compiled.prepared(step, operation, &scope);
            match apply(&self.saga, &event, self.now) {
                Ok(Applied::Changed(changed)) => self.take(*changed),
                Ok(Applied::Ignored(_)) | Err(_) => {
                    self.complaints.push("a prepared request was not taken: a defect of Amends".to_owned());
                    return;
                }
            }
        }
        self.saga.state.revision += 1;
        self.start_calls();
    }

    fn complain(&mut self, key: OperationKey, error: &str) {
        self.complaints.push(format!("the reply of {} doesn't fit: {error}", operation_name(self.compiled, key)));
    }

    fn is_last_word(&self, step: StepIndex) -> bool {
        self.refusals_final.contains(&self.saga.definition.step(step).participant)
    }
}

impl Happening {
    fn verb(&self) -> &'static str {
        match self {
            Self::Cancel(_) => "cancel",
            Self::Retry(_) => "retry",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::ForceStop(_) => "force_stop",
            Self::Crash => "crash",
        }
    }
}
