//! What is let in: connections, rates by principal, and what gives way when there is too much to do.
//!
//! ```text
//!   connection ─► network allowed? ─► room for it and its address?              (addresses, connections, listener)
//!   request    ─► the principal's rate ─► room ─► starting gives way first, then looking; finishing never (bucket, admission)
//! ```
//!
//! The decisions are pure and take the time as an argument; this file is their shell. Invariants: what was accepted is never
//! touched here; completions, cancels and repairs are never refused for load; every refusal says when to come again.

mod addresses;
mod admission;
mod bucket;
mod connections;
mod listener;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::Load;
use crate::config::{FrontDoorConfig, LimitsConfig};
use crate::grpc::Refusal;
use admission::{Admission, Level};
use bucket::{Bucket, Rate};

pub(crate) use addresses::Networks;
pub(crate) use connections::Connections;
pub(crate) use listener::{guarded, incoming, serve_http};

/// Principals whose rates are remembered; past that those are forgotten that have used nothing lately.
const PRINCIPALS_MAX: usize = 10_000;
/// When to try again where too many requests are under way.
const CROWDED_RETRY: Duration = Duration::from_secs(1);

/// What has been refused and let in since the start; only ever grows.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests refused because their principal asked too often.
    pub(crate) over_rate: AtomicUsize,
    /// Starts refused because the coordinator had too much to do.
    pub(crate) starts_shed: AtomicUsize,
    /// Reads refused for the same reason.
    pub(crate) reads_shed: AtomicUsize,
}

/// What the counts are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontDoorSnapshot {
    /// Requests refused because their principal asked too often.
    pub over_rate: usize,
    /// Starts refused because the coordinator had too much to do.
    pub starts_shed: usize,
    /// Reads refused for the same reason.
    pub reads_shed: usize,
    /// Requests under way.
    pub in_flight: usize,
    /// Of 1000 starts, how many are let in at present.
    pub starts_admitted_per_mille: u32,
}

/// Judges requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FrontDoor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Instant,
    starts: Rate,
    others: Rate,
    buckets: Mutex<BTreeMap<(String, bool), Bucket>>,
    admission: Mutex<Admission>,
    in_flight: AtomicUsize,
    starting: AtomicUsize,
    room: usize,
    counts: Counts,
}

/// A request that was let in; it is under way until this goes.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Shared>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A start that waits for its commit, until this goes.
#[derive(Debug)]
pub(crate) struct Starting {
    shared: Arc<Shared>,
    begun: Instant,
}

impl Starting {
    /// It is durable. What is refused says nothing of the queue: the store may be down, or the request wrong.
    pub(crate) fn committed(self) {
        let (took, now) = (self.begun.elapsed(), self.shared.epoch.elapsed());
        let under_way = self.shared.starting.load(Ordering::Relaxed);
        self.shared.admission.lock().unwrap_or_else(PoisonError::into_inner).sample(took, under_way, now);
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.shared.starting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FrontDoor {
    pub(crate) fn new(config: &FrontDoorConfig, limits: &LimitsConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                epoch: Instant::now(),
                starts: Rate::per_second(config.starts_per_second),
                others: Rate::per_second(config.requests_per_second),
                buckets: Mutex::default(),
                admission: Mutex::new(Admission::new(config.start_time_target)),
                in_flight: AtomicUsize::new(0),
                starting: AtomicUsize::new(0),
                room: limits.requests,
                counts: Counts::default(),
            }),
        }
    }

    /// Whether a request is let in now; `None` where nobody's rate is counted.
    pub(crate) fn admit(&self, principal: Option<&str>, load: Load) -> Result<Pass, Refusal> {
        let now = self.shared.epoch.elapsed();
        if let Some(principal) = principal {
            self.shared.within_rate(principal, load, now)?;
        }
        self.shared.has_capacity(load, now)?;
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Pass(self.shared.clone()))
    }

    /// A start is handed to the runtime; what is returned goes when that has answered.
    pub(crate) fn starting(&self) -> Starting {
        self.shared.starting.fetch_add(1, Ordering::Relaxed);
        Starting { shared: self.shared.clone(), begun: Instant::now() }
    }

    /// What has been let in and refused so far.
    pub fn snapshot(&self) -> FrontDoorSnapshot {
        let counts = &self.shared.counts;
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let admission = self.shared.admission.lock().unwrap_or_else(PoisonError::into_inner);
        FrontDoorSnapshot {
            over_rate: of(&counts.over_rate),
            starts_shed: of(&counts.starts_shed),
            reads_shed: of(&counts.reads_shed),
            in_flight: of(&self.shared.in_flight),
            starts_admitted_per_mille: admission.starts_per_mille(),
        }
    }
}

impl Shared {
    fn within_rate(&self, principal: &str, load: Load, now: Duration) -> Result<(), Refusal> {
        let is_start = load == Load::Start;
        let rate = if is_start { self.starts } else { self.others };
        // What ends work gives its place to nobody.
        if rate.is_unlimited() || load == Load::Finish {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= PRINCIPALS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let bucket = buckets.entry((principal.to_owned(), is_start)).or_default();
        bucket.take(rate, now).map_err(|after| {
            self.counts.over_rate.fetch_add(1, Ordering::Relaxed);
            Refusal::TooOften { after }
        })
    }

    fn has_capacity(&self, load: Load, now: Duration) -> Result<(), Refusal> {
        let level = match load {
            Load::Finish if !crate::planted::is("finishing_shed") => return Ok(()),
            Load::Finish | Load::Start => Level::Start,
            Load::Read => Level::Read,
        };
        let under_way = self.in_flight.load(Ordering::Relaxed);
        let judged = match level.has_room(under_way, self.room) {
            true => self.admission.lock().unwrap_or_else(PoisonError::into_inner).admit(level, now),
            false => Err(CROWDED_RETRY),
        };
        judged.map_err(|after| {
            let count = match level {
                Level::Start => &self.counts.starts_shed,
                Level::Read => &self.counts.reads_shed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            Refusal::Crowded { after }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(config: &FrontDoorConfig, room: usize) -> FrontDoor {
        FrontDoor::new(config, &LimitsConfig { requests: room, ..LimitsConfig::default() })
    }

    #[test]
    fn a_principal_has_a_rate_for_starts_and_one_for_the_rest_and_finishes_at_will() {
        let config = FrontDoorConfig { starts_per_second: 1, requests_per_second: 1, ..FrontDoorConfig::default() };
        let door = door(&config, 100);
        for load in [Load::Start, Load::Read] {
            assert!(door.admit(Some("shop"), load).is_ok());
            let Err(Refusal::TooOften { after }) = door.admit(Some("shop"), load) else {
                panic!("too often: {load:?}")
            };
            assert!(after > Duration::ZERO && after <= Duration::from_secs(1));
            assert!(door.admit(Some("bank"), load).is_ok(), "another's rate is its own");
        }
        for _ in 0..10 {
            assert!(door.admit(Some("shop"), Load::Finish).is_ok());
        }
        assert_eq!(door.snapshot().over_rate, 2);
    }

    #[test]
    fn the_last_room_is_for_what_ends_work() {
        let door = door(&FrontDoorConfig::default(), 8);
        let mut passes: Vec<_> = (0..6).map(|_| door.admit(Some("a"), Load::Start).unwrap()).collect();
        assert!(matches!(door.admit(Some("a"), Load::Start), Err(Refusal::Crowded { .. })));
        passes.push(door.admit(Some("a"), Load::Read).unwrap());
        assert!(matches!(door.admit(Some("a"), Load::Read), Err(Refusal::Crowded { .. })));
        passes.push(door.admit(Some("a"), Load::Finish).unwrap());
        assert_eq!(door.snapshot().in_flight, 8);
        drop(passes);
        assert_eq!(door.snapshot().in_flight, 0);
        assert!(door.admit(Some("a"), Load::Start).is_ok());
    }
}
