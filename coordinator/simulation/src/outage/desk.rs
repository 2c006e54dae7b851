//! The participants of an outage: they answer within a few milliseconds, refuse what their request says, and one is away for a while.
//!
//! Invariant: what is written down is written when the call arrives, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amends_engine::ids::{Operation, SagaKey};
use amends_engine::time::Timestamp;
use amends_participant::answer::Refusal;
use amends_runtime::participant::{Answer, Call, ParticipantCaller, Reply};
use amends_runtime::seam::Clock;
use async_trait::async_trait;
use prost::Message;
use tokio::time::sleep;

use crate::participants::messages::{Order, Receipt};
use crate::reply;
use crate::seams::VirtualClock;
use crate::trace::lock;

/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(20);

/// One call.
#[derive(Debug, Clone)]
pub struct Called {
    /// When it arrived.
    pub at: Timestamp,
    /// Whose.
    pub saga: SagaKey,
    /// What was called.
    pub operation: Operation,
    /// Which attempt.
    pub attempt: u32,
    /// Whether the participant was there.
    pub answered: bool,
}

#[derive(Debug)]
pub(super) struct Desk {
    clock: Arc<VirtualClock>,
    participant: &'static str,
    away: (Timestamp, Timestamp),
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    calls: Vec<Called>,
    refused: BTreeMap<SagaKey, Timestamp>,
    started: BTreeMap<SagaKey, Timestamp>,
}

impl Desk {
    pub(super) fn new(clock: Arc<VirtualClock>, participant: &'static str, away: (Timestamp, Timestamp)) -> Self {
        Self { clock, participant, away, books: Mutex::default() }
    }

    pub(super) fn calls(&self) -> Vec<Called> {
        lock(&self.books).calls.clone()
    }

    /// Sagas whose first step was called.
    pub(super) fn started(&self) -> BTreeSet<SagaKey> {
        lock(&self.books).started.keys().cloned().collect()
    }

    /// When the last of those that had begun by then was answered well by the participant that was away.
    pub(super) fn last_of(&self, sagas: &BTreeSet<SagaKey>, begun_by: Timestamp) -> Timestamp {
        let books = lock(&self.books);
        let waited = |saga: &SagaKey| sagas.contains(saga) && books.started.get(saga).is_some_and(|at| *at <= begun_by);
        let done = |it: &&Called| it.operation == Operation::Action && it.answered && waited(&it.saga);
        books.calls.iter().filter(done).map(|it| it.at).max().unwrap_or_default()
    }

    /// How long after its refusal each compensation was called.
    pub(super) fn compensated_after(&self, since: Timestamp) -> Vec<Duration> {
        let books = lock(&self.books);
        let mut first: BTreeMap<&SagaKey, Timestamp> = BTreeMap::new();
        for call in books.calls.iter().filter(|call| call.operation == Operation::Compensate) {
            first.entry(&call.saga).or_insert(call.at);
        }
        let refused = books.refused.iter().filter(|(_, at)| **at >= since);
        // One that was never called waited for longer than anything.
        refused.map(|(saga, at)| first.get(saga).map_or(Duration::MAX, |called| called.since(*at))).collect()
    }

    fn receive(&self, call: &Call) -> Reply {
        let now = self.clock.now();
        let is_ours = call.participant.as_str() == self.participant;
        let answered = !is_ours || now < self.away.0 || now >= self.away.1;
        let mut books = lock(&self.books);
        if is_ours {
            let (saga, operation, attempt) = (call.key.clone(), call.operation, call.attempt);
            books.calls.push(Called { at: now, saga, operation, attempt, answered });
        } else {
            books.started.entry(call.key.clone()).or_insert(now);
        }
        if !answered {
            return reply::unavailable();
        }
        let order = Order::decode(call.request.clone()).unwrap_or_default();
        if call.operation == Operation::Action && order.refuse == call.step.as_str() {
            books.refused.insert(call.key.clone(), now);
            return reply::refused(&Refusal { reason: "NOT_TODAY".to_owned(), message: "refused".to_owned() });
        }
        reply::ok(Receipt::default().encode_to_vec())
    }
}

#[async_trait]
impl ParticipantCaller for Desk {
    async fn call(&self, call: Call) -> Answer {
        let reply = self.receive(&call);
        sleep(ANSWER).await;
        Answer { reply, endpoint: "http://simulated:1".to_owned() }
    }
}
