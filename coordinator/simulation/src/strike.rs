//! Faults that strike more than what is just travelling: clocks that are set, a store that fails over or is away, a shard that
//! somebody else takes, a wire that is cut.
//!
//! Invariant: whatever is away comes back by itself within seconds, so that a run can come to rest.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use amends_store::{Nonce, ShardId, Store};

use crate::faults::{Boundary, Channel, Fault};
use crate::trace::lock;
use crate::world::World;

/// How far a clock may be set, back or forth, in milliseconds.
const CLOCK_STEPS: [i64; 6] = [-90_000, -5_000, -700, 700, 5_000, 90_000];
/// A lease that somebody takes only to give it back.
const SHORT: Duration = Duration::from_secs(5);

/// What is out of order at the moment.
#[derive(Debug, Default)]
pub(crate) struct Outages(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the store is back.
    store_back: Duration,
    /// When a side is reached again: the life of a node, or 0 for clients.
    cut: BTreeMap<(Channel, u32), Duration>,
    /// By how much a machine's clock is ahead, in milliseconds.
    clocks: BTreeMap<u32, i64>,
    store_clock: i64,
}

impl Outages {
    /// By how many milliseconds a machine's clock is ahead.
    pub(crate) fn clock_of(&self, machine: u32) -> i64 {
        lock(&self.0).clocks.get(&machine).copied().unwrap_or_default()
    }

    /// By how many milliseconds the store's clock is ahead.
    pub(crate) fn store_clock(&self) -> i64 {
        lock(&self.0).store_clock
    }
}

impl World {
    /// Whether nothing gets through at the moment.
    pub(crate) fn is_cut(&self, channel: Channel, life: u32) -> bool {
        let (now, state) = (self.clock.elapsed(), lock(&self.outages.0));
        let cut = state.cut.get(&(channel, life)).is_some_and(|until| now < *until);
        cut || (channel == Channel::Store && now < state.store_back)
    }

    /// A machine's clock is set; whatever runs there sees it when it starts again.
    pub(crate) fn set_clock(&self, machine: u32) {
        let step = self.clock_step();
        *lock(&self.outages.0).clocks.entry(machine).or_default() += step;
        self.trace.note(format_args!("machine {machine}'s clock is set by {step} ms"));
    }

    /// Carries out a fault of this kind, at the shard that is concerned if one is.
    pub(crate) async fn strike(&self, fault: Fault, at: Boundary, life: u32, shard: Option<ShardId>) {
        let dice = self.faults.dice();
        match fault {
            Fault::StoreClock => {
                let step = self.clock_step();
                lock(&self.outages.0).store_clock += step;
                self.trace.note(format_args!("store's clock is set by {step} ms"));
            }
            Fault::Fenced => {
                let any = u16::try_from(dice.below(u64::from(self.store.info().shards))).unwrap_or_default();
                self.supplant(shard.unwrap_or(ShardId(any))).await;
            }
            Fault::LostTail => self.fail_over(),
            Fault::StoreDown => {
                let back = self.clock.elapsed() + dice.millis(200, 8_000);
                lock(&self.outages.0).store_back = back;
                self.trace.note(format_args!("store is away until {} ms", back.as_millis()));
            }
            Fault::Partition => {
                let until = self.clock.elapsed() + dice.millis(200, 8_000);
                lock(&self.outages.0).cut.insert((at.channel(), life), until);
                self.trace.note(format_args!(
                    "node {life} is cut off at {:?} until {} ms",
                    at.channel(),
                    until.as_millis()
                ));
            }
            _ => {}
        }
    }

    fn clock_step(&self) -> i64 {
        self.faults.dice().pick(&CLOCK_STEPS).copied().unwrap_or_default()
    }

    /// Another process under the owner's name takes its shard, as one that is started twice, and ends at once.
    async fn supplant(&self, shard: ShardId) {
        let tenures = self.store.tenures().await.unwrap_or_default();
        let Some(owner) = tenures.into_iter().find(|it| it.shard == shard && !it.node.is_empty()) else { return };
        let nonce = Nonce(u128::from(self.faults.dice().below(u64::MAX)));
        let acquired =
            self.write(async { (self.store.acquire(shard, &owner.node, nonce, SHORT).await, Vec::new()) }).await;
        let Some(Ok(acquired)) = acquired else { return };
        let epoch = acquired.lease.epoch.0;
        self.trace.note(format_args!("store gives shard {} to a double of {} with epoch {epoch}", shard.0, owner.node));
        self.write(async { (self.store.release(acquired.lease).await, Vec::new()) }).await;
    }
}
