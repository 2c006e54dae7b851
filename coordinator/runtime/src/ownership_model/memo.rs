//! What decides, each decision made once: the product's own functions behind small numbers, so that worlds are cheap to copy.
//!
//! A saga's state, a store's content, a commit and a participant's row are kept here and named by an [`Id`]. Invariant: two that
//! differ in anything that a later decision could depend on have different names. (A saga's history is left out: nothing reads it.)

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amends_definition::{Compiled, Format, parse};
use amends_engine::begin;
use amends_engine::event::Event;
use amends_engine::ids::{Namespace, SagaId, SagaKey, Version};
use amends_engine::outcome::{CallFacts, Doubt, Outcome, Why};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::saga::{By, Saga, SagaHead};
use amends_engine::time::Timestamp;
use amends_participant::barrier::row::Row;
use amends_store::memory::MemoryStore;
use amends_store::transfer::Export;
use amends_store::{Commit, Committed, Epoch, Lease, Nonce, OpId, ShardId, Store, StoreError, Tenure, record};
use futures::FutureExt;

use crate::shard::Values;
use crate::shard::rejected::Rejected;
use crate::shard::turn::{Change, CommitAt};

use super::packet::Ended;
use super::world::{Bounds, CallId, Id, LEASE, NODES};

/// The one shard.
pub(super) const SHARD: ShardId = ShardId(0);

/// What moves a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Moved {
    Started,
    Loaded,
    Due,
    Cancelled,
    Answered(CallId, Ended),
}

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Acquire(u8, Nonce),
    Release(Lease),
    Commit(Id),
    Sweep,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Acquired { epoch: u64, commits: u64 },
    Held,
    Committed(Result<Committed, Rejected>),
    Nothing,
}

type Known = (Saga, BTreeMap<PayloadKey, Payload>);

/// What the saga was, its number, the time, and what moved it.
type TurnKey = (Option<Id>, u8, Timestamp, Moved);

/// All that was ever decided.
pub(super) struct Memo {
    pub(super) bounds: Bounds,
    clock: Arc<AtomicU64>,
    compiled: Compiled,
    sagas: Vec<Known>,
    saga_ids: HashMap<Vec<u8>, Id>,
    /// What the saga becomes, and the commit but for its lease.
    turns: HashMap<TurnKey, Option<(Id, Id)>>,
    drafts: Vec<Commit>,
    commits: Vec<Commit>,
    commit_ids: HashMap<(Id, Lease), Id>,
    stores: Vec<MemoryStore>,
    store_ids: HashMap<String, Id>,
    answers: HashMap<(Id, Timestamp, Asked), (Id, Said)>,
    loads: HashMap<(Id, u8), Option<Id>>,
    rows: Vec<Row>,
}

impl Memo {
    pub(super) fn new(bounds: Bounds) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let mut memo = Self {
            bounds,
            compiled: compiled(bounds.steps, bounds.parallel),
            sagas: Vec::new(),
            saga_ids: HashMap::new(),
            turns: HashMap::new(),
            drafts: Vec::new(),
            commits: Vec::new(),
            commit_ids: HashMap::new(),
            stores: Vec::new(),
            store_ids: HashMap::new(),
            answers: HashMap::new(),
            loads: HashMap::new(),
            rows: vec![Row::Absent],
            clock: clock.clone(),
        };
        let empty = MemoryStore::new(1, Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))));
        memo.name_store(empty);
        memo
    }

    pub(super) fn saga(&self, id: Id) -> &Saga {
        &self.sagas[id as usize].0
    }

    fn name_saga(&mut self, known: Known) -> Id {
        let mut key = record::encode_state(&known.0.state).to_vec();
        known.1.keys().for_each(|payload| key.extend(format!("{payload:?}").bytes()));
        let next = u32::try_from(self.sagas.len()).unwrap();
        *self.saga_ids.entry(key).or_insert_with(|| {
            self.sagas.push(known);
            next
        })
    }

    /// A saga's turn, prepared as the owner prepares it: what it becomes, and the draft of its commit. `None`: nothing changes.
    pub(super) fn turn(&mut self, number: u8, from: Option<Id>, moved: Moved, now: Timestamp) -> Option<(Id, Id)> {
        if let Some(turned) = self.turns.get(&(from, number, now, moved)) {
            return *turned;
        }
        let (mut change, stored) = match from {
            None => (Change::begun(self.begun(number, now)), BTreeMap::new()),
            Some(id) => {
                let (saga, stored) = self.sagas[id as usize].clone();
                (Change::new(saga), stored)
            }
        };
        if let Some(event) = event(moved) {
            change.apply(&event, now, &mut |_| true);
        }
        let turned = change.changed.then(|| {
            change.prepare(&self.compiled, &mut Values::default(), &stored, now, &mut |_| true);
            let lease = Lease { shard: SHARD, epoch: Epoch(0), nonce: Nonce(0) };
            let at = CommitAt { lease, op: OpId(0), node: NODES[0], now, retention: Duration::ZERO };
            let (saga, payloads, draft) = change.into_commit(&at);
            let mut all = stored;
            all.extend(payloads);
            self.drafts.push(draft);
            (self.name_saga((saga, all)), u32::try_from(self.drafts.len() - 1).unwrap())
        });
        self.turns.insert((from, number, now, moved), turned);
        turned
    }

    fn begun(&self, number: u8, now: Timestamp) -> amends_engine::Changed {
        let input = Payload::json("{}");
        let head = SagaHead {
            key: key(number),
            definition: self.compiled.engine().name().clone(),
            version: Version(1),
            input: input.digest(),
            labels: Vec::new(),
            principal: "model".to_owned(),
            traceparent: String::new(),
        };
        begin(head, self.compiled.engine().clone(), input, now)
    }

    /// The commit of a draft under a lease. An owner commits a revision of a saga once in a tenure, so its op id is its own.
    pub(super) fn commit(&mut self, draft: Id, lease: Lease) -> Id {
        let next = u32::try_from(self.commits.len()).unwrap();
        *self.commit_ids.entry((draft, lease)).or_insert_with(|| {
            let commit = self.drafts[draft as usize].clone();
            let op = OpId(lease.nonce.0 << 64 | u128::from(draft));
            self.commits.push(Commit { lease, op, ..commit });
            next
        })
    }

    /// Asks a store at a time.
    pub(super) fn ask(&mut self, store: Id, now: Timestamp, asked: Asked) -> (Id, Said) {
        if let Some(answer) = self.answers.get(&(store, now, asked)) {
            return *answer;
        }
        self.clock.store(now.0, Ordering::Relaxed);
        let clock = self.clock.clone();
        let after = self.stores[store as usize].fork(Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))));
        let said = match asked {
            Asked::Acquire(node, nonce) => {
                match at_once(after.acquire(SHARD, NODES[usize::from(node)], nonce, LEASE)) {
                    Ok(acquired) => Said::Acquired { epoch: acquired.lease.epoch.0, commits: acquired.commits },
                    Err(StoreError::Held { .. }) => Said::Held,
                    Err(error) => panic!("{error}"),
                }
            }
            Asked::Release(lease) => {
                at_once(after.release(lease)).unwrap();
                Said::Nothing
            }
            Asked::Commit(commit) => {
                let result = at_once(after.commit(vec![self.commits[commit as usize].clone()])).remove(0);
                Said::Committed(result.map_err(|error| Rejected::of(&error, false)))
            }
            Asked::Sweep => {
                at_once(after.sweep(now, 10)).unwrap();
                Said::Nothing
            }
        };
        let answer = (self.name_store(after), said);
        self.answers.insert((store, now, asked), answer);
        answer
    }

    fn name_store(&mut self, store: MemoryStore) -> Id {
        let keys: Vec<SagaKey> = (0..self.bounds.sagas).map(key).collect();
        let mut records = at_once(store.records(&keys)).unwrap();
        records.iter_mut().flatten().for_each(|record| record.history.clear());
        let reserved = at_once(store.reserved(None, keys.len())).unwrap().ids;
        let content = format!("{:?} {records:?} {reserved:?}", at_once(store.tenures()).unwrap());
        let next = u32::try_from(self.stores.len()).unwrap();
        *self.store_ids.entry(content).or_insert_with(|| {
            self.stores.push(store);
            next
        })
    }

    /// What a store says of who has what.
    pub(super) fn tenures(&self, store: Id) -> Vec<Tenure> {
        at_once(self.stores[store as usize].tenures()).unwrap()
    }

    /// When the oldest saga began that a store has.
    pub(super) fn oldest_start(&self, store: Id) -> Option<Timestamp> {
        at_once(self.stores[store as usize].oldest_start()).unwrap()
    }

    /// Reads a saga back, if a store has it and it is open.
    pub(super) fn load(&mut self, store: Id, number: u8) -> Option<Id> {
        if let Some(loaded) = self.loads.get(&(store, number)) {
            return *loaded;
        }
        let stored = at_once(self.stores[store as usize].get(&key(number))).unwrap();
        let loaded = stored.and_then(|stored| {
            let state = record::decode_state(&stored.state).unwrap();
            let open = !state.phase.is_terminal();
            let saga = Saga::resume(state, self.compiled.engine().clone()).unwrap();
            open.then(|| self.name_saga((saga, stored.payloads.into_iter().collect())))
        });
        self.loads.insert((store, number), loaded);
        loaded
    }

    pub(super) fn row(&self, id: Id) -> &Row {
        &self.rows[id as usize]
    }

    pub(super) fn name_row(&mut self, row: Row) -> Id {
        let found = self.rows.iter().position(|known| *known == row);
        let index = found.unwrap_or_else(|| {
            self.rows.push(row);
            self.rows.len() - 1
        });
        u32::try_from(index).unwrap()
    }
}

/// Steps that can be undone, called over HTTP, which needs no descriptors.
fn compiled(steps: u8, parallel: bool) -> Compiled {
    let mut source = "saga: model\ntimeout: 8000h\nsteps:\n".to_owned();
    let after = if parallel { "after: []" } else { "" };
    for number in 1..=steps {
        source += &format!(
            "  - step: s{number}\n    participant: desk\n    {after}\n    action: {{ http: \"POST /do\", retry: {{ max_attempts: 2 }} }}\n    \
             compensate: {{ http: \"POST /undo\", retry: {{ max_attempts: 2 }} }}\n"
        );
    }
    let document = parse(&source, Format::Yaml, "model").expect("document");
    Compiled::compile(&document, Version(1), &BTreeMap::new()).expect("compiled")
}

fn key(number: u8) -> SagaKey {
    SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(&format!("s{number}")).unwrap() }
}

/// The memory store does everything in one step.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the memory store waits for nothing")
}

fn event(moved: Moved) -> Option<Event> {
    let by = || By { principal: "model".to_owned(), reason: "why not".to_owned() };
    match moved {
        Moved::Started => None,
        Moved::Loaded => Some(Event::Loaded),
        Moved::Due => Some(Event::Due),
        Moved::Cancelled => Some(Event::Cancel(by())),
        Moved::Answered(id, ended) => Some(answered(id, ended)),
    }
}

/// A call's end, as the owner hears of it.
pub(super) fn answered((step, operation, attempt): CallId, ended: Ended) -> Event {
    let unknown = |doubt| Outcome::Unknown { doubt, why: Why::default() };
    let outcome = match ended {
        Ended::Succeeded => Outcome::Succeeded(Payload::json("{}")),
        Ended::Refused => Outcome::Rejected { why: Why::new("FAILED_PRECONDITION", ""), last_word: true },
        Ended::StaleEpoch => unknown(Doubt::StaleEpoch),
        Ended::RowMissing => unknown(Doubt::RowMissing),
        Ended::Unclear => unknown(Doubt::NoAnswer),
    };
    Event::Answered { step, operation, attempt, outcome, retry_after: Duration::ZERO, call: CallFacts::default() }
}
