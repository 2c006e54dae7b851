//! The simulated participants: the SDK's barrier over rows in memory, a business that does as the plan says, and books.
//!
//! They know nothing of the coordinator and nothing of the network between. Each call is one step, as a database transaction
//! would make it. Invariant: an effect is in the books exactly when a handler ran to its end; repeats, tombstones and refusals
//! aren't effects.

mod conduct;
mod orders;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use amends_checker::EffectSeen;
use amends_engine::ids::{DefinitionName, Operation, SagaKey, StepName};
use amends_engine::payload::Digest;
use amends_participant::Operation as BarrierOperation;
use amends_participant::answer::Refusal;
use amends_participant::barrier::decide::{Call as BarrierCall, Completion, Decision, decide, decide_completion};
use amends_participant::barrier::row::{Ran, Row};
use amends_runtime::participant::{Call, Reply};
use prost::Message;

pub use conduct::Conduct;
pub(crate) use orders::Replies;

use crate::faults::Faults;
use crate::load::SagaPlan;
use crate::reply;
use crate::trace::lock;

/// Messages of `sim.v1`.
pub(crate) mod messages {
    #![allow(unreachable_pub, missing_docs, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/sim.v1.rs"));
}

use messages::Receipt;
use orders::Orders;

/// Descriptors of `sim.v1`, as every simulated participant would serve them by reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sim.descriptors.bin"));

/// An operation that was accepted and will be finished later.
#[derive(Debug, Clone)]
pub(crate) struct Later {
    /// Of which saga.
    pub(crate) saga: SagaKey,
    /// Of which step.
    pub(crate) step: StepName,
    /// Which operation.
    pub(crate) operation: Operation,
    /// Whether it will be refused in the end.
    refused: bool,
    /// In how long.
    pub(crate) after: Duration,
}

/// What a participant did with a call.
#[derive(Debug)]
pub(crate) struct Handled {
    /// What it answers.
    pub(crate) reply: Reply,
    /// What it will do later, if it answered "pending" for the first time.
    pub(crate) later: Option<Later>,
}

/// What became of an operation that was pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finished {
    /// Its effect stands; the reply's bytes.
    Done(Vec<u8>),
    /// It was refused.
    Refused(Refusal),
    /// The step has been compensated in the meantime, or nothing is pending: there is nothing to tell.
    Nothing,
}

type StepKey = (SagaKey, StepName);

/// All participants of a world, with one set of books.
#[derive(Debug)]
pub(crate) struct Participants {
    conduct: Conduct,
    orders: Mutex<Orders>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    rows: BTreeMap<StepKey, Row>,
    epochs: BTreeMap<SagaKey, u64>,
    effects: Vec<EffectSeen>,
    receipts: u64,
}

impl Participants {
    /// Participants that keep to these rules.
    pub(crate) fn new(conduct: Conduct) -> Self {
        Self { conduct, orders: Mutex::default(), books: Mutex::default() }
    }

    /// How they behave.
    pub(crate) fn conduct(&self) -> Conduct {
        self.conduct
    }

    /// What is to be done with a saga that will come.
    pub(crate) fn expect(&self, key: SagaKey, plan: SagaPlan) {
        lock(&self.orders).expect(key, plan);
    }

    /// What a definition's operations answer, where it isn't one of ours.
    pub(crate) fn answer(&self, definition: DefinitionName, replies: Replies) {
        lock(&self.orders).answer(definition, replies);
    }

    /// Every effect, in the order in which they took place.
    pub(crate) fn effects(&self) -> Vec<EffectSeen> {
        lock(&self.books).effects.clone()
    }

    /// Carries out a call that has arrived.
    pub(crate) fn receive(&self, call: &Call, faults: &Faults) -> Handled {
        let (mut books, orders) = (lock(&self.books), lock(&self.orders));
        let handled = match barrier_operation(call.operation) {
            None => Handled { reply: books.look_up(call), later: None },
            Some(operation) => books.carry_out(self.conduct, call, operation, &orders, faults),
        };
        Handled { reply: reply::over(call.protocol(), handled.reply), ..handled }
    }

    /// Finishes an operation that was pending, through the same row.
    pub(crate) fn finish(&self, later: &Later) -> Finished {
        let Some(operation) = barrier_operation(later.operation) else { return Finished::Nothing };
        let mut books = lock(&self.books);
        let key = (later.saga.clone(), later.step.clone());
        let row = books.rows.get(&key).cloned().unwrap_or_default();
        match decide_completion(&row, operation) {
            Completion::Run(digest) if later.refused => {
                let refusal = refusal(&later.step);
                books.rows.insert(key, row.after(operation, digest, Ran::Refused(refusal.clone())));
                Finished::Refused(refusal)
            }
            Completion::Run(digest) => {
                let number = books.take_effect(&later.saga, &later.step, later.operation, &row);
                let reply = lock(&self.orders).reply(&later.saga, &later.step, later.operation, number);
                books.rows.insert(key, row.after(operation, digest, Ran::Done(reply.clone())));
                Finished::Done(reply)
            }
            Completion::Replay(reply) => Finished::Done(reply),
            Completion::ReplayRefusal(refusal) => Finished::Refused(refusal),
            Completion::AfterCompensate | Completion::NotPending => Finished::Nothing,
        }
    }
}

impl Books {
    fn carry_out(
        &mut self,
        conduct: Conduct,
        call: &Call,
        operation: BarrierOperation,
        orders: &Orders,
        faults: &Faults,
    ) -> Handled {
        let key = (call.key.clone(), call.step.clone());
        let row = self.rows.get(&key).cloned().unwrap_or_default();
        let epoch_seen = self.epochs.get(&call.key).copied().unwrap_or(0);
        let digest = Digest::of(&call.request).0;
        let (epoch, expects_succeeded) = (call.epoch, call.expects_succeeded);
        let decision = decide(&row, epoch_seen, &BarrierCall { operation, epoch, expects_succeeded, digest });
        self.epochs.insert(call.key.clone(), epoch_seen.max(epoch));
        let answer = |reply| Handled { reply, later: None };
        match decision {
            Decision::Run => {}
            // Whatever the row says: the bug that the barrier is there to prevent.
            _ if !conduct.has_barrier() => {}
            Decision::Replay(reply) => return answer(reply::ok(reply)),
            Decision::ReplayPending => return answer(reply::pending()),
            Decision::ReplayRefusal(refusal) => return answer(reply::refused(&refusal)),
            Decision::EmptyCompensation { seal } => {
                if seal {
                    self.rows.insert(key, Row::Sealed { compensate: digest });
                }
                return answer(reply::ok(Receipt::default().encode_to_vec()));
            }
            Decision::Barred(bar) => return answer(reply::barred(&bar)),
        }
        if faults.fails() {
            return answer(reply::internal("the handler failed and kept nothing"));
        }
        self.run(conduct, call, (operation, digest), orders, faults)
    }

    /// The handler, and the row after it.
    fn run(
        &mut self,
        conduct: Conduct,
        call: &Call,
        (operation, digest): (BarrierOperation, [u8; 32]),
        orders: &Orders,
        faults: &Faults,
    ) -> Handled {
        let key = (call.key.clone(), call.step.clone());
        let row = self.rows.get(&key).cloned().unwrap_or_default();
        let is_action = operation == BarrierOperation::Action;
        let refuses = orders.refuses(&call.key, &call.step, call.operation);
        if orders.pends(&call.key, &call.step, call.operation) {
            self.rows.insert(key, row.after(operation, digest, Ran::Pending));
            let after = faults.dice().millis(0, if faults.is_random() { 9_000 } else { 400 });
            let (saga, step) = (call.key.clone(), call.step.clone());
            let later = Later { saga, step, operation: call.operation, refused: refuses, after };
            return Handled { reply: reply::pending(), later: Some(later) };
        }
        if refuses || (is_action && faults.refuses()) {
            let refusal = refusal(&call.step);
            if conduct.stores_refusals() {
                self.rows.insert(key, row.after(operation, digest, Ran::Refused(refusal.clone())));
            }
            return Handled { reply: reply::refused(&refusal), later: None };
        }
        let number = self.take_effect(&call.key, &call.step, call.operation, &row);
        let reply = orders.reply(&call.key, &call.step, call.operation, number);
        self.rows.insert(key, row.after(operation, digest, Ran::Done(reply.clone())));
        Handled { reply: reply::ok(reply), later: None }
    }

    /// Writes an effect down. Undoing an action whose own effect was still to come changes nothing but its row.
    fn take_effect(&mut self, saga: &SagaKey, step: &StepName, operation: Operation, row: &Row) -> u64 {
        self.receipts += 1;
        let undoes_nothing = operation == Operation::Compensate && matches!(row, Row::Pending { .. });
        if !undoes_nothing {
            self.effects.push(EffectSeen { saga: saga.clone(), step: step.clone(), operation });
        }
        self.receipts
    }

    /// Answers a query: does the action's effect stand?
    fn look_up(&self, call: &Call) -> Reply {
        match self.rows.get(&(call.key.clone(), call.step.clone())) {
            Some(Row::Succeeded { reply, ending: None, .. }) => reply::ok(reply.clone()),
            Some(Row::Pending { compensate: None, .. }) => reply::pending(),
            _ => reply::not_found(),
        }
    }
}

/// The barrier's word for an operation; a query doesn't go through it.
fn barrier_operation(operation: Operation) -> Option<BarrierOperation> {
    match operation {
        Operation::Action => Some(BarrierOperation::Action),
        Operation::Compensate => Some(BarrierOperation::Compensate),
        Operation::Confirm => Some(BarrierOperation::Confirm),
        Operation::Query => None,
    }
}

fn refusal(step: &StepName) -> Refusal {
    Refusal { reason: "NOT_TODAY".to_owned(), message: format!("{step} is refused") }
}

#[cfg(test)]
mod tests;
