//! The ways to the addresses of every participant, made anew where its registration changes.
//!
//! It connects to nobody; a way does that when it is used. Invariant: a pool has the ways of one registration, in its order,
//! and the way to an address that stays is kept, with its connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use amends_engine::ids::{Namespace, ParticipantName};

use super::Call;
use super::directory::Directory;
use super::endpoint::Endpoint;
use super::registration::Registration;

/// The way to one address.
pub(super) trait Way {
    /// A way that isn't connected yet.
    fn to(endpoint: Endpoint) -> Self;

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
        let Some(registration) = self.directory.get(&call.key.namespace, &call.participant) else {
            return Err(format!(
                "participant {} isn't registered in namespace {}",
                call.participant, call.key.namespace
            ));
        };
        // Every change under this lock is a single insert, so a panic leaves it whole.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pools.get(&call.key.namespace).and_then(|names| names.get(&call.participant));
        if let Some(pool) = known.filter(|pool| Arc::ptr_eq(&pool.registration, &registration)) {
            return Ok(pool.clone());
        }
        let pool = Arc::new(Pool::new(registration, known.map(Arc::as_ref)));
        pools.entry(call.key.namespace.clone()).or_default().insert(call.participant.clone(), pool.clone());
        Ok(pool)
    }
}

/// The addresses of one participant, as of one registration.
#[derive(Debug)]
pub(super) struct Pool<W> {
    pub(super) registration: Arc<Registration>,
    ways: Vec<Arc<W>>,
    turn: AtomicUsize,
}

impl<W: Way> Pool<W> {
    /// Keeps the ways to addresses that stay.
    fn new(registration: Arc<Registration>, before: Option<&Self>) -> Self {
        let kept = before.map(|pool| pool.ways.as_slice()).unwrap_or_default();
        let way = |endpoint: &Endpoint| {
            let known = kept.iter().find(|way| way.endpoint() == endpoint);
            known.cloned().unwrap_or_else(|| Arc::new(W::to(endpoint.clone())))
        };
        let ways = registration.endpoints.iter().map(way).collect();
        Self { registration, ways, turn: AtomicUsize::new(0) }
    }

    /// All ways, the one whose turn it is first.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Arc<W>> + Clone {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.ways.len().max(1);
        let (late, early) = self.ways.split_at(first);
        early.iter().chain(late)
    }
}
