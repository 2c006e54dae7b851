//! The calls of a played saga: which answer each gets, and when it comes.
//!
//! A call is made for what the state asks for, once, as in `runtime/src/shard/calls.rs`. Invariants: an operation that a scenario
//! speaks of is answered by what is written or not at all; no answer comes after its attempt's deadline.

use std::time::Duration;

use amends_engine::effect::Effect;
use amends_engine::outcome::{Doubt, Outcome};
use amends_engine::outstanding;
use amends_engine::payload::PayloadKey;

use super::play::{Item, Made, Play};
use super::{Answer, DEFAULT_TAKES, OperationKey, Replies, Reply, operation_name};

impl<'a> Play<'a> {
    pub(super) fn start_calls(&mut self) {
        for effect in outstanding(&self.saga) {
            let Effect::Call { step, operation, attempt, deadline, .. } = effect else { continue };
            let key = (step, operation);
            if !self.calls.insert((key, attempt)) {
                continue;
            }
            let number = self.count(key);
            let text = format!("{} #{attempt}: called", operation_name(self.compiled, key));
            self.note(text);
            let Some(reply) = self.reply(key, number) else { continue };
            let (takes, timeout) = (self.now + reply.takes, deadline);
            let at = if matches!(reply.answer, Answer::TimesOut) { timeout } else { takes.min(timeout) };
            let late = takes > timeout && !matches!(reply.answer, Answer::TimesOut | Answer::Crash);
            let reply = if late { &SILENCE } else { reply };
            self.plan(at, Item::Answer { key, attempt, started: self.now, reply });
        }
    }

    /// Counts a call; which of its operation it is, from 1.
    fn count(&mut self, key: OperationKey) -> u32 {
        if let Some(made) = self.made.iter_mut().find(|made| made.key == key) {
            made.attempts += 1;
            return made.attempts;
        }
        let request = self.payloads.get(&PayloadKey::Request(key.0, key.1));
        let request = request.map(|request| self.compiled.request_json(key.0, key.1, request)).unwrap_or_default();
        self.made.push(Made { key, attempts: 1, request });
        1
    }

    /// What a scenario says nothing about succeeds; what it speaks of must be said to the end.
    fn reply(&mut self, key: OperationKey, number: u32) -> Option<&'a Reply> {
        let (replies, name) = (self.scenario.replies.get(&key), operation_name(self.compiled, key));
        match replies {
            None => Some(&SUCCESS),
            Some(Replies::Always(reply)) => Some(reply),
            Some(Replies::InOrder(replies)) => {
                let index = usize::try_from(number - 1).ok()?;
                let found = replies.get(index);
                if found.is_none() {
                    self.complaints.push(format!(
                        "{name} is called {number} times, and there are replies for {} — add one to its list, or write a \
                         single reply without a list for every attempt",
                        replies.len()
                    ));
                }
                found
            }
        }
    }

    /// The longest delay after this outcome of an attempt: the exponential ceiling below which the runtime draws, or the longest
    /// of all for what a person has to mend first. What never left counts by its attempts, since it is no failure.
    pub(super) fn retry_after(&self, (step, operation): OperationKey, attempt: u32, outcome: &Outcome) -> Duration {
        let Some(policy) = self.saga.definition.policy(step, operation) else { return Duration::ZERO };
        let failures = match outcome {
            Outcome::Unknown { doubt: Doubt::Misconfigured, .. } => return policy.max_delay,
            Outcome::NotSent(_) => attempt.saturating_sub(1),
            _ => self.saga.operation(step, operation).failures,
        };
        let seconds = policy.initial_delay.as_secs_f64() * policy.multiplier.powf(f64::from(failures));
        let grown = Duration::try_from_secs_f64(seconds).unwrap_or(policy.max_delay).min(policy.max_delay);
        Duration::from_millis(u64::try_from(grown.as_millis()).unwrap_or(u64::MAX))
    }
}

/// What answers an operation that the scenario says nothing about.
static SUCCESS: Reply = Reply { answer: Answer::Succeeds(None), takes: DEFAULT_TAKES, then_crash: false };
/// An answer that takes longer than the attempt may.
static SILENCE: Reply = Reply { answer: Answer::TimesOut, takes: Duration::ZERO, then_crash: false };
