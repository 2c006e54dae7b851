//! The ways to the addresses of every participant, made anew where its registration or its addresses change.
//!
//! It connects to nobody; a way does that when it is used. It only carries what is known to `balance.rs`, which picks. Invariant: a
//! pool has the ways of one membership, in its order, and the way to an address that stays is kept, with its connections, its
//! health and its count of calls under way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use amends_engine::ids::{Namespace, ParticipantName};
use amends_engine::time::Timestamp;

use super::balance::{self, Ask, Peer, Turns, ejected_max};
use super::directory::Directory;
use super::ejection::{Health, Standing};
use super::endpoint::Endpoint;
use super::members::{Member, Membership};
use super::recent::Recent;
use super::state::EndpointState;
use super::verdict::Verdict;
use super::{Call, Registration};
use crate::seam::Seams;

/// The way to one address.
pub(super) trait Way {
    /// A way that isn't connected yet. It notes in `health` whether it can connect, and nothing else.
    fn to(endpoint: Endpoint, health: Arc<Health>) -> Self;

    /// Where it leads.
    fn endpoint(&self) -> &Endpoint;
}

type ByName<W> = BTreeMap<ParticipantName, Arc<Pool<W>>>;

/// All participants' pools.
#[derive(Debug)]
pub(super) struct Pools<W> {
    directory: Arc<Directory>,
    pools: Mutex<BTreeMap<Namespace, ByName<W>>>,
}

impl<W: Way> Pools<W> {
    /// Finds participants in `directory`.
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self { directory, pools: Mutex::default() }
    }

    /// The pool of the call's participant, as it is registered now; else why there is none.
    pub(super) fn get(&self, call: &Call) -> Result<Arc<Pool<W>>, String> {
        let (namespace, name) = (&call.key.namespace, &call.participant);
        self.of(namespace, name).ok_or_else(|| format!("participant {name} isn't registered in namespace {namespace}"))
    }

    /// How the addresses of a participant stand; none where it isn't registered.
    pub(super) fn states(&self, namespace: &Namespace, name: &ParticipantName, now: Timestamp) -> Vec<EndpointState> {
        self.of(namespace, name).map(|pool| pool.states(now)).unwrap_or_default()
    }

    fn of(&self, namespace: &Namespace, name: &ParticipantName) -> Option<Arc<Pool<W>>> {
        let membership = self.directory.membership(namespace, name)?;
        // Every change under this lock is a single insert, so a panic leaves it whole.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pools.get(namespace).and_then(|names| names.get(name));
        if let Some(pool) = known.filter(|pool| Arc::ptr_eq(&pool.membership, &membership)) {
            return Some(pool.clone());
        }
        let pool = Arc::new(Pool::new(membership, known.map(Arc::as_ref)));
        pools.entry(namespace.clone()).or_default().insert(name.clone(), pool.clone());
        Some(pool)
    }
}

/// The addresses of one participant, as of one membership.
#[derive(Debug)]
pub(super) struct Pool<W> {
    membership: Arc<Membership>,
    slots: Vec<Arc<Slot<W>>>,
    turns: Mutex<Turns>,
    /// Where calls failed of late; outlives the pool.
    recent: Arc<Mutex<Recent>>,
}

/// One address with what is known of it.
#[derive(Debug)]
pub(super) struct Slot<W> {
    pub(super) way: Arc<W>,
    health: Arc<Health>,
    in_flight: Arc<AtomicU32>,
}

/// An address that a call was given. It counts as under way until this is dropped.
#[derive(Debug)]
pub(super) struct Picked<W> {
    pub(super) way: Arc<W>,
    health: Arc<Health>,
    in_flight: Arc<AtomicU32>,
}

impl<W> Drop for Picked<W> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W: Way> Pool<W> {
    /// Keeps the ways to addresses that stay.
    fn new(membership: Arc<Membership>, before: Option<&Self>) -> Self {
        // With other TLS settings a connection is another one.
        let before = before.filter(|pool| pool.registration().tls == membership.registration.tls);
        let kept = before.map(|pool| pool.slots.as_slice()).unwrap_or_default();
        let slot = |member: &Member| {
            let known = kept.iter().find(|slot| *slot.way.endpoint() == member.endpoint);
            known.cloned().unwrap_or_else(|| {
                let health = Arc::<Health>::default();
                let way = Arc::new(W::to(member.endpoint.clone(), health.clone()));
                Arc::new(Slot { way, health, in_flight: Arc::default() })
            })
        };
        let slots = membership.members.iter().map(slot).collect();
        let recent = before.map(|pool| pool.recent.clone()).unwrap_or_default();
        Self { membership, slots, turns: Mutex::default(), recent }
    }

    /// As it is registered.
    pub(super) fn registration(&self) -> &Registration {
        &self.membership.registration
    }

    /// Begins to look for an address for a call.
    pub(super) fn search<'p>(&'p self, call: &'p Call) -> Search<'p, W> {
        Search { pool: self, call, tried: vec![false; self.slots.len()] }
    }

    /// Takes in what a call came to.
    pub(super) fn note(&self, picked: &Picked<W>, call: &Call, verdict: Verdict, now: Timestamp) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Answered => {
                recent.forget(call);
                picked.health.lock().call_answered();
            }
            Verdict::Failed(why) => {
                recent.failed(call, picked.way.endpoint());
                let others = |slot: &&Arc<Slot<W>>| !Arc::ptr_eq(&slot.health, &picked.health);
                let ejected = self.slots.iter().filter(others).filter(|slot| slot.standing(now) == Standing::Ejected);
                let may_eject = ejected.count() < ejected_max(self.slots.len());
                picked.health.lock().call_failed(now, why, may_eject);
            }
        }
    }

    fn states(&self, now: Timestamp) -> Vec<EndpointState> {
        let state = |(member, slot): (&Member, &Arc<Slot<W>>)| {
            let (health, in_flight) = (slot.health.lock(), slot.in_flight.load(Ordering::Relaxed));
            EndpointState::new(member, &health, in_flight, now)
        };
        self.membership.members.iter().zip(&self.slots).map(state).collect()
    }
}

impl<W> Slot<W> {
    fn standing(&self, now: Timestamp) -> Standing {
        self.health.lock().standing(now)
    }
}

/// One attempt's way through a pool: every address at most once.
#[derive(Debug)]
pub(super) struct Search<'p, W> {
    pool: &'p Pool<W>,
    call: &'p Call,
    tried: Vec<bool>,
}

impl<W: Way> Search<'_, W> {
    /// The address to try next; `None`: there is none left that makes sense.
    pub(super) fn next(&mut self, seams: &Seams) -> Option<Picked<W>> {
        let (pool, now) = (self.pool, seams.now());
        let peer = |(place, (slot, member)): (usize, (&Arc<Slot<W>>, &'_ Member))| {
            let health = slot.health.lock();
            (place, health.standing(now), health.is_failing(), slot.in_flight.load(Ordering::Relaxed), member.weight)
        };
        let known: Vec<_> = pool.slots.iter().zip(&pool.membership.members).enumerate().map(peer).collect();
        let peers: Vec<Peer<'_>> = known
            .into_iter()
            .zip(&pool.membership.members)
            .map(|((place, standing, failing, in_flight, weight), member)| Peer {
                name: member.endpoint.as_str(),
                in_flight,
                weight,
                tier: member.tier,
                standing,
                failing,
                tried: self.tried[place],
            })
            .collect();
        let ask = Ask { saga: self.saga(), failed_at: self.failed_at() };
        let mut turns = pool.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let place = balance::pick(self.way(), &peers, ask, &mut turns, &mut || seams.unit())?;
        self.tried[place] = true;
        let Slot { way, health, in_flight } = pool.slots[place].as_ref();
        in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Picked { way: way.clone(), health: health.clone(), in_flight: in_flight.clone() })
    }

    /// Why there is nobody to try.
    pub(super) fn why_none(&self, now: Timestamp) -> String {
        let why = self.pool.slots.iter().find_map(|slot| {
            let health = slot.health.lock();
            let why = health.unreached_because(now).map(str::to_owned);
            why.or_else(|| health.last_failure().map(|(_, why)| why.clone()))
        });
        why.unwrap_or_else(|| "no address is known: see `amends participant describe`".to_owned())
    }

    fn way(&self) -> balance::Balancing {
        self.pool.registration().discovery.balancing
    }

    /// Only where it matters: it costs a digest.
    fn saga(&self) -> u64 {
        match self.way() {
            balance::Balancing::SagaHash => balance::hash(self.call.key.to_string().as_bytes()),
            _ => 0,
        }
    }

    fn failed_at(&self) -> Option<usize> {
        let recent = self.pool.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoint = recent.failed_at(self.call)?;
        self.pool.slots.iter().position(|slot| slot.way.endpoint() == endpoint)
    }
}

#[cfg(test)]
mod tests;
