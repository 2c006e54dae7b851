//! The way to the participants as one life of a node sees it: calls that are delayed, lost, repeated or late.
//!
//! Deliveries and callbacks run in tasks of the world, so that they outlive the node that sent them. It never retries.
//! Invariant: "not sent" is answered only where nothing was delivered; a lost answer is never a refusal.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use amends_engine::ids::SagaKey;
use amends_engine::outcome::Why;
use amends_engine::saga::By;
use amends_runtime::participant::{Answer, Call, ParticipantCaller, Reply};
use amends_runtime::{Ask, Coordinator, RequestError};
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::faults::CallFault;
use crate::participants::{Finished, Later};
use crate::process::Process;
use crate::reply;
use crate::world::World;

/// How long a participant waits before it tells its news again.
const TELL_AGAIN: Duration = Duration::from_millis(300);

/// How often somebody asks who gets no answer: for several minutes.
const ASKS_MAX: u32 = 1_000;

/// How long anybody waits for an answer of the coordinator.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// A node's way to the participants.
#[derive(Debug)]
pub(crate) struct SimulatedNetwork {
    world: Arc<World>,
    process: Arc<Process>,
}

impl SimulatedNetwork {
    pub(crate) fn new(world: Arc<World>, process: Arc<Process>) -> Self {
        Self { world, process }
    }

    /// Sends a call on its way with what goes wrong with it; `Err` means that the answer will never come.
    fn send(&self, call: &Call, fault: Option<CallFault>) -> oneshot::Receiver<Reply> {
        let (tell, told) = oneshot::channel();
        let world = &self.world;
        let random = world.faults.is_random();
        let delay = || if random { world.network.millis(0, 15) } else { Duration::from_millis(2) };
        let (there, back) = (delay(), delay());
        let much_later = call.timeout + world.network.millis(50, 4_000);
        match fault {
            Some(CallFault::RequestLost) => {}
            Some(CallFault::ReplyLost) => world.deliver(call, there, |_| {}),
            Some(CallFault::Late) => world.deliver(call, much_later, |_| {}),
            Some(CallFault::Unavailable) => {
                world.deliver(call, there, move |_| answer_after(back, tell, reply::unavailable()))
            }
            other => {
                world.deliver(call, there, move |reply| answer_after(back, tell, reply));
                if other == Some(CallFault::Twice) {
                    world.deliver(call, world.network.millis(0, 4_000), |_| {});
                }
            }
        }
        told
    }
}

/// The answer travels back, whether anybody waits for it or not.
fn answer_after(back: Duration, tell: oneshot::Sender<Reply>, reply: Reply) {
    tokio::spawn(async move {
        sleep(back).await;
        let _ = tell.send(reply);
    });
}

#[async_trait]
impl ParticipantCaller for SimulatedNetwork {
    async fn call(&self, call: Call) -> Answer {
        let endpoint = format!("http://{}.simulated:1", call.participant);
        self.process.runs().await;
        let fault = self.world.faults.at_call();
        if let Some(fault) = fault {
            self.world.trace.note(format_args!("node {} {call:?}: {fault:?}", self.process.number()));
        }
        match fault {
            Some(CallFault::CrashBefore) => match self.process.die().await {},
            Some(CallFault::Freeze) => {
                self.process.freeze();
                self.process.runs().await;
            }
            Some(CallFault::NotSent) => {
                return Answer { reply: Reply::NotSent("no connection".to_owned()), endpoint };
            }
            _ => {}
        }
        self.world.judge.called(&call, &self.world.trace);
        let told = self.send(&call, fault);
        if fault == Some(CallFault::CrashDuring) {
            match self.process.die().await {}
        }
        let heard = timeout(call.timeout, async {
            match told.await {
                Ok(reply) => reply,
                Err(_) => pending().await,
            }
        });
        let reply = heard.await.unwrap_or(Reply::NoAnswer);
        if fault == Some(CallFault::CrashAfter) {
            match self.process.die().await {}
        }
        self.process.runs().await;
        Answer { reply, endpoint }
    }
}

impl World {
    /// A copy of a call arrives after a while; whoever carries the answer gets it.
    fn deliver(self: &Arc<Self>, call: &Call, there: Duration, answered: impl FnOnce(Reply) + Send + 'static) {
        let (world, call) = (self.clone(), call.clone());
        self.run(async move {
            sleep(there).await;
            let handled = world.participants.receive(&call, &world.faults);
            world.trace.note(format_args!("{call:?} arrived, epoch {}: {:?}", call.epoch, handled.reply));
            if let Some(later) = handled.later {
                let finishing = world.clone();
                world.run(async move { finishing.finish(later).await });
            }
            answered(handled.reply);
        });
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
        let told = self.ask(saga, &ask, "participant").await;
        self.trace.note(format_args!("{saga}/{step}/{operation} told: {told}"));
    }

    /// Asks something of a saga until the coordinator has answered; gives the answer in words.
    pub(crate) async fn ask(&self, saga: &SagaKey, ask: &Ask, who: &str) -> String {
        for _ in 0..ASKS_MAX {
            if let Some(node) = self.node_for(saga) {
                let once = || self.ask_once(&node, saga, ask, who);
                // Some ask twice at once; whichever answer comes is believed.
                let twice = self.faults.is_random() && self.network.chance(300);
                let (first, second) = if twice { tokio::join!(once(), once()) } else { (once().await, None) };
                if let Some(answer) = first.or(second) {
                    return answer;
                }
            }
            sleep(TELL_AGAIN).await;
        }
        "no answer".to_owned()
    }

    /// One try; `None` where nobody knows what came of it.
    async fn ask_once(&self, node: &Coordinator, saga: &SagaKey, ask: &Ask, who: &str) -> Option<String> {
        let by = By { principal: who.to_owned(), reason: "simulation".to_owned() };
        match timeout(PATIENCE, node.ask(saga, ask.clone(), by, None)).await.ok()? {
            Ok(answered) => Some(format!("changed: {}", answered.changed)),
            Err(RequestError::Unavailable(_) | RequestError::Elsewhere(_) | RequestError::Overloaded { .. }) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}
