//! Definitions that a person has paused: which they are, and which sagas of theirs wait on this node.
//!
//! ```text
//!   Pause, Resume ─► document of kind `hold` ─► read at start, on news and with each heartbeat beside other nodes ─► `Holds`
//!   an attempt would begin ─► is its definition held? ─► it waits, nothing is written ─► released ─► its owner looks again
//! ```
//!
//! Nothing of it is in a saga's state: a hold costs no commit, and a clean run one atomic read per attempt. Invariants: before the
//! holds were read once, every definition counts as held, so that none is forgotten by a restart or a take-over; whoever waits is
//! told of the release, or its tenure is over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amends_engine::ids::{DefinitionName, Namespace, SagaKey};
use amends_engine::saga::{By, Paused};
use amends_engine::time::Timestamp;
use amends_store::{Document, Store, StoreError};
use bytes::Bytes;
use prost::Message as _;
use tokio::sync::mpsc;

use crate::shard::ShardEvent;

/// The kind of their documents.
const KIND: &str = "hold";
/// Documents per page of a reading.
const PAGE: usize = 256;
/// The format of their bodies.
const FORMAT: u32 = 1;

/// A definition of a tenant, in all its versions.
pub type Whose = (Namespace, DefinitionName);

type Events = mpsc::UnboundedSender<ShardEvent>;

/// A hold as it is stored.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct HoldRecord {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint64, tag = "2")]
    since: u64,
    #[prost(string, tag = "3")]
    principal: String,
    #[prost(string, tag = "4")]
    reason: String,
}

/// The holds as this node knows them.
#[derive(Debug)]
pub struct Holds {
    store: Arc<dyn Store>,
    /// Whether anything is held: all that a clean run asks.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: they haven't been read yet.
    held: Option<BTreeMap<Whose, Paused>>,
    waiting: BTreeMap<Whose, BTreeMap<SagaKey, Events>>,
    /// +1 whenever this node changes a hold: what was read before that may be out of date.
    changes: u64,
}

impl State {
    fn is_held(&self, whose: &Whose) -> bool {
        self.held.as_ref().is_none_or(|held| held.contains_key(whose))
    }

    /// Takes those out that nothing holds any more.
    fn released(&mut self) -> Vec<(SagaKey, Events)> {
        let held = &self.held;
        let goes = |whose: &Whose| held.as_ref().is_some_and(|held| !held.contains_key(whose));
        let free: Vec<Whose> = self.waiting.keys().filter(|whose| goes(whose)).cloned().collect();
        free.iter().filter_map(|whose| self.waiting.remove(whose)).flatten().collect()
    }
}

impl Holds {
    /// Nothing is known yet, so everything is held.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, any: AtomicBool::new(true), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether they have been read.
    pub(crate) fn are_known(&self) -> bool {
        self.lock().held.is_some()
    }

    /// Reads them all, and lets go what isn't held any more. After an error what was known before stands.
    pub(crate) async fn read(&self) -> Result<(), StoreError> {
        loop {
            let changes = self.lock().changes;
            let held = if crate::planted::is("hold_forgotten") { BTreeMap::new() } else { self.read_all().await? };
            if self.change(|state| {
                let current = state.changes == changes;
                if current {
                    state.held = Some(held);
                }
                current
            }) {
                return Ok(());
            }
        }
    }

    async fn read_all(&self) -> Result<BTreeMap<Whose, Paused>, StoreError> {
        let mut held = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list_documents(KIND, after.as_deref(), PAGE).await?;
            let last = page.len() < PAGE;
            after = page.last().map(|document| document.id.clone());
            held.extend(page.iter().filter_map(read));
            if last {
                return Ok(held);
            }
        }
    }

    /// Changes what is known, and tells those who may go on.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (done, released) = {
            let mut state = self.lock();
            let done = change(&mut state);
            self.any.store(state.held.as_ref().is_none_or(|held| !held.is_empty()), Ordering::SeqCst);
            (done, state.released())
        };
        for (key, events) in released {
            // The tenure may be over; then the next owner has found it by itself.
            let _ = events.send(ShardEvent::Released { key });
        }
        done
    }

    /// Whether a saga of this definition must wait; if so, its owner is told when it need not any more.
    pub(crate) fn must_wait(&self, key: &SagaKey, definition: &DefinitionName, events: &Events) -> bool {
        if !self.any.load(Ordering::SeqCst) {
            return false;
        }
        let whose = (key.namespace.clone(), definition.clone());
        let mut state = self.lock();
        let waits = state.is_held(&whose);
        if waits {
            state.waiting.entry(whose).or_default().insert(key.clone(), events.clone());
        }
        waits
    }

    /// Since when, by whom and why a definition is held; `None` also where they haven't been read yet.
    pub fn of(&self, namespace: &Namespace, definition: &DefinitionName) -> Option<Paused> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        self.lock().held.as_ref()?.get(&(namespace.clone(), definition.clone())).cloned()
    }

    /// Holds a definition from now on. One that is held already stays held as it was. Says how it is held.
    pub async fn pause(&self, whose: &Whose, by: By, now: Timestamp) -> Result<Paused, StoreError> {
        let hold = Paused { since: now, by };
        let id = id_of(whose);
        let hold = match self.store.put_document(KIND, &id, body_of(&hold), Some(0)).await {
            Ok(_) => hold,
            Err(StoreError::Conflict { .. }) => match self.store.get_document(KIND, &id).await? {
                Some(document) => read(&document).map_or(hold, |(_, hold)| hold),
                // Somebody was faster in lifting it; it is meant to be held.
                None => self.store.put_document(KIND, &id, body_of(&hold), None).await.map(|_| hold)?,
            },
            Err(error) => return Err(error),
        };
        self.change(|state| {
            state.changes += 1;
            if let Some(held) = &mut state.held {
                held.insert(whose.clone(), hold.clone());
            }
        });
        Ok(hold)
    }

    /// Lets a definition go on; says whether it was held.
    pub async fn resume(&self, whose: &Whose) -> Result<bool, StoreError> {
        let was = self.store.delete_document(KIND, &id_of(whose), None).await?;
        self.change(|state| {
            state.changes += 1;
            if let Some(held) = &mut state.held {
                held.remove(whose);
            }
        });
        Ok(was)
    }
}

/// Names can't hold a comma.
fn id_of((namespace, definition): &Whose) -> String {
    format!("{namespace},{definition}")
}

fn body_of(hold: &Paused) -> Bytes {
    let Paused { since, by } = hold;
    let record =
        HoldRecord { format: FORMAT, since: since.0, principal: by.principal.clone(), reason: by.reason.clone() };
    record.encode_to_vec().into()
}

/// One that can't be read still holds: only its words are lost.
fn read(document: &Document) -> Option<(Whose, Paused)> {
    let whose = document.id.split_once(',').and_then(|(namespace, definition)| {
        Some((Namespace::parse(namespace).ok()?, DefinitionName::parse(definition).ok()?))
    });
    let Some(whose) = whose else {
        tracing::error!(id = document.id, "a hold names no definition; it is left alone");
        return None;
    };
    let record = HoldRecord::decode(document.body.clone()).unwrap_or_else(|error| {
        tracing::error!(id = document.id, %error, "a hold can't be read; its definition stays paused");
        HoldRecord::default()
    });
    let by = By { principal: record.principal, reason: record.reason };
    Some((whose, Paused { since: Timestamp(record.since), by }))
}
