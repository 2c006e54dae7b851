//! What somebody called, as it is accounted for, and how it gets from where a request comes in to whoever writes it down.
//!
//! The ticket goes along with the work as a value of its task, so that a method is accounted for without code of its own.
//! Whoever asks a saga something without one is accounted for all the same, by what they ask. Invariant: a call is marked as
//! written only after the commit that holds its entry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amends_engine::ids::SagaKey;
use amends_engine::saga::By;

use crate::coordinator::Ask;

/// What somebody called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Random: tells it from every other call.
    pub id: u128,
    /// Who.
    pub principal: String,
    /// What, for example `Operations/Retry`.
    pub method: String,
    /// The tenant; empty: it concerns all.
    pub namespace: String,
    /// What it is about: `sagas/order-1`, `definitions/checkout`, `participants/payment`, `nodes/node-1`, `batches/<id>`.
    pub target: String,
    /// Why, as they said.
    pub reason: String,
    /// What was asked, as JSON without payloads and secrets; empty: no more than the method says.
    pub request: String,
    /// The batch that it is part of; empty: none.
    pub batch: String,
}

/// A call under way.
#[derive(Debug)]
pub struct Ticket {
    /// What is known of it.
    pub call: Call,
    written: AtomicBool,
}

impl Ticket {
    /// For a call that nothing is written about yet.
    pub fn new(call: Call) -> Arc<Self> {
        Arc::new(Self { call, written: AtomicBool::new(false) })
    }

    /// Whether its entry is durable, with the change that it made.
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn is_durable(&self) {
        self.written.store(true, Ordering::Release);
    }
}

tokio::task_local! {
    static CURRENT: Arc<Ticket>;
}

/// Carries out work on this call's behalf. What it spawns is not a part of it.
pub async fn accounting<F: Future>(ticket: Arc<Ticket>, work: F) -> F::Output {
    CURRENT.scope(ticket, work).await
}

/// Carries out work as a part of a batch: whatever it asks of sagas is accounted for under the batch's id.
pub async fn in_batch<F: Future>(batch: &str, work: F) -> F::Output {
    let call = Call { batch: batch.to_owned(), ..current().map(|ticket| ticket.call.clone()).unwrap_or_default() };
    CURRENT.scope(Ticket::new(call), work).await
}

/// The call on whose behalf this task works.
pub(crate) fn current() -> Option<Arc<Ticket>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// What is accounted for of something that is asked of a saga, on behalf of `current` where there is such a call; `None` for
/// what only goes on with the saga.
pub(crate) fn on_behalf(
    current: Option<Arc<Ticket>>,
    key: &SagaKey,
    ask: &Ask,
    by: &By,
    id: impl FnOnce() -> u128,
) -> Option<Arc<Ticket>> {
    Some(on_behalf_as(current, method(ask)?, key, by, id))
}

/// The same for a method that isn't an [`Ask`].
pub(crate) fn on_behalf_as(
    current: Option<Arc<Ticket>>,
    method: &str,
    key: &SagaKey,
    by: &By,
    id: impl FnOnce() -> u128,
) -> Arc<Ticket> {
    match current {
        // It came in as this very call: its entry is this one.
        Some(ticket) if ticket.call.method == method => ticket,
        other => {
            let batch = other.map(|ticket| ticket.call.batch.clone()).unwrap_or_default();
            Ticket::new(Call {
                id: id(),
                principal: by.principal.clone(),
                method: method.to_owned(),
                namespace: key.namespace.to_string(),
                target: format!("sagas/{}", key.id),
                reason: by.reason.clone(),
                request: String::new(),
                batch,
            })
        }
    }
}

/// The method that asks this of one saga; `None`: it doesn't override the machine.
fn method(ask: &Ask) -> Option<&'static str> {
    Some(match ask {
        Ask::Cancel => "Sagas/Cancel",
        Ask::Retry { .. } => "Operations/Retry",
        Ask::Skip { .. } => "Operations/Skip",
        Ask::Resolve { .. } => "Operations/Resolve",
        Ask::ForceStop => "Operations/ForceStop",
        Ask::Pause => "Operations/Pause",
        Ask::Resume => "Operations/Resume",
        Ask::Acknowledge => "Operations/Acknowledge",
        Ask::CompleteSucceeded { .. } | Ask::CompleteRejected { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use amends_engine::ids::{Namespace, SagaId};

    use super::*;

    fn key() -> SagaKey {
        SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse("order-1").unwrap() }
    }

    fn by() -> By {
        By { principal: "ops".to_owned(), reason: "it hangs".to_owned() }
    }

    #[tokio::test]
    async fn a_call_is_accounted_for_once_and_what_a_batch_does_under_its_id() {
        let call = Call { id: 7, method: "Operations/Pause".to_owned(), ..Call::default() };
        let own = Ticket::new(call);
        accounting(own.clone(), async {
            let taken = on_behalf(current(), &key(), &Ask::Pause, &by(), || 1).unwrap();
            assert!(Arc::ptr_eq(&taken, &own));
        })
        .await;
        let apply = Ticket::new(Call { method: "Batches/Apply".to_owned(), ..Call::default() });
        let work = in_batch("b-1", async { on_behalf(current(), &key(), &Ask::Pause, &by(), || 1) });
        let part = accounting(apply, work).await.unwrap();
        assert_eq!((part.call.id, part.call.batch.as_str()), (1, "b-1"));
        assert_eq!((part.call.method.as_str(), part.call.target.as_str()), ("Operations/Pause", "sagas/order-1"));
        assert_eq!((part.call.principal.as_str(), part.call.reason.as_str()), ("ops", "it hangs"));
    }

    #[test]
    fn whoever_asks_without_a_ticket_is_accounted_for_and_completing_a_step_isnt() {
        assert!(on_behalf(current(), &key(), &Ask::ForceStop, &by(), || 1).is_some());
        let output = amends_engine::payload::Payload::json("{}");
        let step = amends_engine::ids::StepName::parse("charge").unwrap();
        let operation = amends_engine::ids::Operation::Action;
        let complete = Ask::CompleteSucceeded { step, operation, output };
        assert!(on_behalf(current(), &key(), &complete, &by(), || 1).is_none());
    }
}
