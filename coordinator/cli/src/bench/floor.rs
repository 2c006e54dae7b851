//! The floor: the calls of a saga and the writes between them, with nothing around them.
//!
//! Calls one after the other (or at once, where the saga's steps are), each between two writes that are gathered as the coordinator
//! gathers its commits: while one group is being written the next collects. No coordinator, no definitions, no timers. Who writes
//! them is the store's floor (`redis/floor.rs`, `embedded/floor.rs`). Invariant: a write that wasn't accepted fails its unit,
//! and what failed is no floor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::load::{self, Load, Measured};
use super::proto::Echo;
use super::proto::noop_client::NoopClient;
use super::work::{Shape, Work, text};
use crate::exit::Failure;

/// How many writes go in one group at most.
pub(super) const GROUP: usize = 512;
/// The lengths of a record of a state and of a history entry, about as the store has them.
pub(super) const STATE: usize = 256;
pub(super) const ENTRY: usize = 128;

/// A write that waits for its group.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) saga: u64,
    pub(super) revision: usize,
    pub(super) is_last: bool,
    pub(super) accepted: oneshot::Sender<bool>,
}

/// Where writes wait.
pub(super) type Queue = mpsc::UnboundedReceiver<Write>;

/// What is needed to run units.
#[derive(Debug)]
pub(super) struct Floor {
    channel: Channel,
    queue: mpsc::UnboundedSender<Write>,
    writes: Arc<AtomicU64>,
    /// No two units of a store are the same.
    first: AtomicU64,
}

/// One unit's way to calls and writes.
#[derive(Clone)]
struct Unit {
    client: NoopClient<Channel>,
    queue: mpsc::UnboundedSender<Write>,
    writes: Arc<AtomicU64>,
    saga: u64,
}

impl Floor {
    /// Whoever writes takes the queue.
    pub(super) fn new(channel: Channel) -> (Self, Queue) {
        let (queue, waiting) = mpsc::unbounded_channel();
        (Self { channel, queue, writes: Arc::default(), first: AtomicU64::new(0) }, waiting)
    }

    /// How many writes were accepted.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Units like these sagas; with `start`, each with one call more.
    pub(super) async fn run(&self, work: Work, start: bool, load: Load, length: Duration) -> Result<Measured, Failure> {
        let first = self.first.fetch_add(1 << 32, Ordering::Relaxed);
        let unit = Unit {
            client: NoopClient::new(self.channel.clone()),
            queue: self.queue.clone(),
            writes: self.writes.clone(),
            saga: 0,
        };
        load::run(load, length, move |number| {
            let mut unit = Unit { saga: first + number, ..unit.clone() };
            async move {
                if start {
                    unit.call().await?;
                }
                unit.run(work, number).await
            }
        })
        .await
    }
}

impl Unit {
    async fn run(&mut self, work: Work, number: u64) -> Result<(), ()> {
        let calls = work.calls(number);
        self.write(0, false).await?;
        let at_once = if work.shape == Shape::Parallel { work.steps - 1 } else { 0 };
        let mut called = JoinSet::new();
        for _ in 0..at_once {
            let mut unit = self.clone();
            called.spawn(async move { unit.call().await });
        }
        // Each answer has a write of its own, and a saga's writes come one after the other.
        let mut answers = 0;
        while let Some(answer) = called.join_next().await {
            answer.map_err(|_| ())??;
            answers += 1;
            self.write(answers, false).await?;
        }
        for place in at_once..calls {
            self.call().await?;
            self.write(place + 1, place + 1 == calls).await?;
        }
        Ok(())
    }

    async fn call(&mut self) -> Result<(), ()> {
        self.client.call(Echo { text: text() }).await.map(drop).map_err(|_| ())
    }

    async fn write(&self, revision: usize, is_last: bool) -> Result<(), ()> {
        let (accepted, answer) = oneshot::channel();
        self.queue.send(Write { saga: self.saga, revision, is_last, accepted }).map_err(|_| ())?;
        if !answer.await.map_err(|_| ())? {
            return Err(());
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
