//! How anything leaves a node and its answer comes back: one road with every fault on it, to store, participants and nodes.
//!
//! What has left travels in a task of the world, so that it arrives whatever becomes of the node that sent it. It knows nothing
//! of what travels. Invariant: what is heard is something that could be heard over a real wire: silence may hide a success,
//! never the other way round, and after a crash nothing is heard at all.

use std::sync::Arc;
use std::time::Duration;

use amends_store::ShardId;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::faults::{Boundary, Channel, Fault};
use crate::process::Process;
use crate::world::World;

/// How long somebody waits for an answer that doesn't come from a store or a node.
const SILENCE: Duration = Duration::from_millis(50);

/// One life's way out.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
}

/// What is heard of something that was sent.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// This.
    Answer(T),
    /// Something else than this, which is what came of it.
    Misled(T),
    /// Nothing.
    Silence,
    /// That it never left.
    Refused,
}

/// Something is on its way, with what will go wrong with it, or it isn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It leaves.
    Leaves(Option<Fault>),
    /// It certainly doesn't.
    Refused,
}

impl Wire {
    /// Passes a boundary: what strikes before anything leaves happens here.
    pub(crate) async fn depart(&self, at: Boundary, shard: Option<ShardId>) -> Departure {
        self.process.runs().await;
        let (world, life) = (&self.world, self.process.number());
        let fault = world.faults.at(at);
        if let Some(fault) = fault {
            world.trace.note(format_args!("node {life} {at}: {fault}"));
            match fault {
                Fault::CrashBefore => match self.process.die().await {},
                Fault::NodeClock => {
                    world.set_clock(self.process.machine());
                    match self.process.die().await {}
                }
                Fault::Pause => {
                    self.process.freeze();
                    self.process.runs().await;
                }
                Fault::Refused => return Departure::Refused,
                fault => world.strike(fault, at, life, shard).await,
            }
        }
        let cut = world.is_cut(at.channel(), life);
        Departure::Leaves(if cut { Some(Fault::Drop) } else { fault })
    }

    /// Sends something that has departed. `make` is what it does when it arrives, once for each copy.
    pub(crate) async fn send<T, F>(
        &self,
        fault: Option<Fault>,
        (there, back): (Duration, Duration),
        make: F,
    ) -> Heard<T>
    where
        T: Send + 'static,
        F: Fn() -> BoxFuture<'static, T>,
    {
        let wire = &self.world.wire;
        let mut there = there;
        match fault {
            Some(Fault::Drop) => {
                sleep(SILENCE).await;
                self.process.runs().await;
                return Heard::Silence;
            }
            Some(Fault::Twice) => self.arrive(there, make(), |_| {}),
            Some(Fault::LateCopy) => self.arrive(there + wire.millis(5, 5_000), make(), |_| {}),
            Some(Fault::Delay) => there += wire.millis(300, 6_000),
            _ => {}
        }
        let (tell, told) = oneshot::channel();
        self.arrive(there, make(), move |answer| {
            tokio::spawn(async move {
                sleep(back).await;
                // A killed process doesn't listen any more.
                let _ = tell.send(answer);
            });
        });
        if fault == Some(Fault::CrashDuring) {
            match self.process.die().await {}
        }
        let answer = told.await;
        if fault == Some(Fault::CrashAfter) {
            match self.process.die().await {}
        }
        self.process.runs().await;
        match (answer, fault) {
            (Err(_), _) | (_, Some(Fault::DropAnswer)) => Heard::Silence,
            (Ok(answer), Some(Fault::Misled)) => Heard::Misled(answer),
            (Ok(answer), _) => Heard::Answer(answer),
        }
    }

    /// A copy arrives after a while.
    fn arrive<T: Send + 'static>(
        &self,
        after: Duration,
        copy: BoxFuture<'static, T>,
        answered: impl FnOnce(T) + Send + 'static,
    ) {
        self.world.run(async move {
            sleep(after).await;
            answered(copy.await);
        });
    }

    /// Asks for something that changes nothing, or is asked for only once: it waits for its own answer.
    pub(crate) async fn ask<T>(
        &self,
        at: Boundary,
        shard: Option<ShardId>,
        asked: impl Future<Output = T>,
    ) -> Heard<T> {
        let fault = match self.depart(at, shard).await {
            Departure::Refused => return Heard::Refused,
            Departure::Leaves(fault) => fault,
        };
        match fault {
            Some(Fault::Drop) => {
                sleep(SILENCE).await;
                self.process.runs().await;
                return Heard::Silence;
            }
            Some(Fault::Delay) => sleep(self.world.wire.millis(300, 6_000)).await,
            _ => {}
        }
        let answer = asked.await;
        if fault == Some(Fault::CrashAfter) {
            match self.process.die().await {}
        }
        self.process.runs().await;
        Heard::Answer(answer)
    }

    /// How long something travels to and fro; the same every time where nothing is left to chance.
    pub(crate) fn delays(&self, channel: Channel) -> (Duration, Duration) {
        let (dice, most, usual) = match channel {
            Channel::Call => (&self.world.network, 15, 2),
            Channel::Peer => (&self.world.peers, 5, 1),
            Channel::Store | Channel::Request => (&self.world.wire, 6, 1),
        };
        let one = || if self.world.faults.is_random() { dice.millis(0, most) } else { Duration::from_millis(usual) };
        (one(), one())
    }
}
