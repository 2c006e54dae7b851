//! The way to the participants as one life of a node sees it: calls that are delayed, lost, repeated or late.
//!
//! Deliveries and callbacks run in tasks of the world, so that they outlive the node that sent them. It never retries.
//! Invariant: "not sent" is answered only where nothing was delivered; a lost answer is never a refusal.

use std::future::pending;
use std::sync::Arc;

use amends_engine::ids::Operation;
use amends_engine::outcome::Why;
use amends_runtime::Ask;
use amends_runtime::participant::{Answer, Call, ParticipantCaller, Reply};
use amends_store::{Store, shard_of};
use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::faults::{Boundary, Channel, Fault};
use crate::participants::{Finished, Later};
use crate::process::Process;
use crate::reply;
use crate::wire::{Departure, Heard, Wire};
use crate::world::World;

/// A node's way to the participants.
#[derive(Debug)]
pub(crate) struct SimulatedNetwork {
    wire: Wire,
}

impl SimulatedNetwork {
    pub(crate) fn new(world: Arc<World>, process: Arc<Process>) -> Self {
        Self { wire: Wire { world, process } }
    }

    /// Sends a call that has departed and waits for its reply, for ever if need be.
    async fn reply(&self, call: &Call, fault: Option<Fault>) -> Reply {
        let arrive = || -> BoxFuture<'static, Reply> {
            let (world, call) = (self.wire.world.clone(), call.clone());
            Box::pin(async move { world.receive(&call) })
        };
        match self.wire.send(fault, self.wire.delays(Channel::Call), arrive).await {
            Heard::Answer(reply) => reply,
            // Something between answers.
            Heard::Misled(_) => reply::over(call.protocol(), reply::unavailable()),
            Heard::Silence | Heard::Refused => pending().await,
        }
    }
}

#[async_trait]
impl ParticipantCaller for SimulatedNetwork {
    async fn call(&self, call: Call) -> Answer {
        let endpoint = format!("http://{}.simulated:1", call.participant);
        let world = &self.wire.world;
        let shard = shard_of(&call.key, world.store.info().shards);
        let fault = match self.wire.depart(boundary_of(call.operation), Some(shard)).await {
            Departure::Refused => {
                return Answer { reply: Reply::NotSent("no connection".to_owned()), endpoint };
            }
            Departure::Leaves(fault) => fault,
        };
        world.judge.called(&call, &world.trace);
        let reply = timeout(call.timeout, self.reply(&call, fault)).await.unwrap_or(Reply::NoAnswer);
        self.wire.process.runs().await;
        Answer { reply, endpoint }
    }
}

fn boundary_of(operation: Operation) -> Boundary {
    match operation {
        Operation::Action => Boundary::ActionCall,
        Operation::Compensate => Boundary::CompensateCall,
        Operation::Confirm => Boundary::ConfirmCall,
        Operation::Query => Boundary::QueryCall,
    }
}

impl World {
    /// A copy of a call arrives; what it is answered.
    fn receive(self: &Arc<Self>, call: &Call) -> Reply {
        let handled = self.participants.receive(call, &self.faults);
        self.trace.note(format_args!("{call:?} arrived, epoch {}: {:?}", call.epoch, handled.reply));
        if let Some(later) = handled.later {
            let finishing = self.clone();
            self.run(async move { finishing.finish(later).await });
        }
        handled.reply
    }

    /// A pending operation is finished, and the coordinator is told until it has understood.
    async fn finish(self: Arc<Self>, later: Later) {
        sleep(later.after).await;
        let finished = self.participants.finish(&later);
        let (saga, step, operation) = (&later.saga, &later.step, later.operation);
        self.trace.note(format_args!("{saga}/{step}/{operation} finished later: {finished:?}"));
        let ask = match finished {
            Finished::Nothing => return,
            Finished::Done(reply) => {
                let output = self.judge.output(saga, step, operation, &reply);
                Ask::CompleteSucceeded { step: step.clone(), operation, output }
            }
            Finished::Refused(refusal) => {
                let why = Why::new(refusal.reason, refusal.message);
                Ask::CompleteRejected { step: step.clone(), operation, why }
            }
        };
        let told = self.ask(Boundary::FinishRequest, saga, &ask, "participant").await;
        self.trace.note(format_args!("{saga}/{step}/{operation} told: {told}"));
    }
}
