//! Clients, operators and participants that want something of a saga, and ask until they are answered.
//!
//! What they want they want once: who isn't answered asks again, and so do some who are. Invariant: an answer is believed only
//! where the coordinator gave it.

use std::sync::Arc;
use std::time::Duration;

use amends_checker::EffectSeen;
use amends_engine::event::Finding;
use amends_engine::ids::{DefinitionName, Namespace, Operation, SagaKey};
use amends_engine::payload::Payload;
use amends_engine::saga::{By, Saga};
use amends_runtime::{Answered, Ask, Coordinator, RequestError};
use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::faults::Boundary;
use crate::load::Wish;
use crate::world::World;

/// How long somebody waits before asking again.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// How often somebody asks who gets no answer: for several minutes.
const ASKS_MAX: u32 = 1_000;

/// What is asked: an operation of the coordinator that may be made several times.
type Asked = BoxFuture<'static, Result<String, RequestError>>;

fn by(who: &str) -> By {
    By { principal: who.to_owned(), reason: "simulation".to_owned() }
}

impl World {
    /// An answer in words, once it was judged.
    fn told(&self, saga: &SagaKey, answer: Result<Answered, RequestError>) -> Result<String, RequestError> {
        self.judge.answered(saga, &answer, &self.trace);
        answer.map(|it| format!("changed: {}", it.changed))
    }

    /// Asks something of a saga until the coordinator has answered; gives the answer in words.
    pub(crate) async fn ask(self: &Arc<Self>, at: Boundary, saga: &SagaKey, ask: &Ask, who: &str) -> String {
        let once = |node: Coordinator| -> Asked {
            let (world, saga, ask, by) = (self.clone(), saga.clone(), ask.clone(), by(who));
            Box::pin(async move { world.told(&saga, node.ask(&saga, ask, by, None).await) })
        };
        self.until_answered(at, saga, once).await
    }

    /// Asks for what a client or an operator may want.
    pub(crate) async fn wish(
        self: &Arc<Self>,
        saga: &SagaKey,
        definition: &DefinitionName,
        wish: Wish,
        who: &str,
    ) -> String {
        let ask = match wish {
            Wish::Cancel => Ask::Cancel,
            Wish::Pause => Ask::Pause,
            Wish::Resume => Ask::Resume,
            Wish::Retry => Ask::Retry { step: None },
            Wish::Acknowledge => Ask::Acknowledge,
            Wish::ForceStop => Ask::ForceStop,
            Wish::Repin => {
                let once = |node: Coordinator| -> Asked {
                    let (world, saga, by) = (self.clone(), saga.clone(), by(who));
                    Box::pin(async move { world.told(&saga, node.repin(&saga, None, by, None).await) })
                };
                return self.until_answered(Boundary::VerbRequest, saga, once).await;
            }
            Wish::Hold | Wish::Release => {
                let whose = (saga.namespace.clone(), definition.clone());
                let once = |node: Coordinator| -> Asked {
                    let (whose, by) = (whose.clone(), by(who));
                    Box::pin(async move { hold(&node, &whose, by, wish == Wish::Hold).await })
                };
                return self.until_answered(Boundary::VerbRequest, saga, once).await;
            }
        };
        self.ask(Boundary::VerbRequest, saga, &ask, who).await
    }

    /// Lets an operator look after everything that is stuck, in this manner.
    pub(crate) async fn repair(self: &Arc<Self>, manner: Manner) {
        for saga in self.sagas().await.into_iter().filter(|saga| saga.stuck().is_some()) {
            let (key, definition) = (&saga.state.head.key, &saga.state.head.definition);
            let answer = match manner {
                Manner::Wish(wish) => self.wish(key, definition, wish, "operator").await,
                Manner::GiveUp => match give_up(&saga) {
                    Some(ask) => self.ask(Boundary::VerbRequest, key, &ask, "operator").await,
                    None => continue,
                },
                Manner::State => match state(&saga, &self.participants.effects()) {
                    Some(ask) => self.ask(Boundary::VerbRequest, key, &ask, "operator").await,
                    None => continue,
                },
            };
            self.trace.note(format_args!("{key}, operator: {manner:?}: {answer}"));
        }
    }

    async fn until_answered(
        self: &Arc<Self>,
        at: Boundary,
        saga: &SagaKey,
        once: impl Fn(Coordinator) -> Asked,
    ) -> String {
        for _ in 0..ASKS_MAX {
            // Some ask twice at once; whichever answer comes is believed.
            let twice = self.faults.is_random() && self.people.chance(200);
            let (first, second) = if twice {
                tokio::join!(self.request(at, saga, &once), self.request(at, saga, &once))
            } else {
                (self.request(at, saga, &once).await, None)
            };
            if let Some(answer) = first.and_then(understood).or_else(|| second.and_then(understood)) {
                return answer;
            }
            sleep(ASK_AGAIN).await;
        }
        "no answer".to_owned()
    }
}

/// How an operator looks after what is stuck.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Asks for this.
    Wish(Wish),
    /// Skips what may be skipped.
    GiveUp,
    /// Says what became of it.
    State,
}

/// The answer, unless it says that nobody knows or somebody else does.
fn understood(answer: Result<String, RequestError>) -> Option<String> {
    match answer {
        Ok(answer) => Some(answer),
        Err(
            RequestError::Unavailable(_)
            | RequestError::Elsewhere(_)
            | RequestError::Overloaded { .. }
            | RequestError::Frozen(_),
        ) => None,
        Err(error) => Some(error.to_string()),
    }
}

async fn hold(
    node: &Coordinator,
    whose: &(Namespace, DefinitionName),
    by: By,
    on: bool,
) -> Result<String, RequestError> {
    let holds = node.holds();
    let done =
        if on { holds.pause(whose, by, node.seams().now()).await.map(|_| true) } else { holds.resume(whose).await };
    done.map(|changed| format!("changed: {changed}")).map_err(|error| RequestError::Unavailable(error.to_string()))
}

/// What an operator does about a saga that a retry didn't help: skip what may be skipped, and leave the rest stuck.
fn give_up(saga: &Saga) -> Option<Ask> {
    let stuck = saga.stuck()?;
    let (step, operation) = stuck.step.zip(stuck.operation)?;
    let may_skip = operation != Operation::Action;
    may_skip.then(|| Ask::Skip { step: saga.definition.step(step).name.clone(), operation: Some(operation) })
}

/// What an operator says who has looked into the participant's books.
fn state(saga: &Saga, effects: &[EffectSeen]) -> Option<Ask> {
    let stuck = saga.stuck()?;
    let (step, operation) = stuck.step.zip(stuck.operation)?;
    let name = &saga.definition.step(step).name;
    let is_it = |it: &EffectSeen| it.saga == saga.state.head.key && it.step == *name && it.operation == operation;
    let finding =
        if effects.iter().any(is_it) { Finding::Happened(Payload::json("{}")) } else { Finding::DidNotHappen };
    Some(Ask::Resolve { step: name.clone(), operation: Some(operation), finding })
}
