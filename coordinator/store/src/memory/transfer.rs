//! The memory store as source and target of a copy: the plainest form of [`crate::transfer`].
//!
//! Invariant: a put that is refused changes nothing.

use std::collections::BTreeMap;

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;
use async_trait::async_trait;

use super::logs::Logs;
use super::saga::Row;
use super::{Inner, MemoryStore};
use crate::contract::{DefinitionRecord, Document, Epoch, Log, ParticipantRecord, ShardId, Span, shard_of};
use crate::error::StoreError;
use crate::transfer::{
    Export, Filling, Import, LogRecord, Moved, ReservedId, ReservedPage, ReservedPlace, SagaRecord, Standing,
    TransferError,
};

impl Inner {
    /// From one standing to another; nobody has a shard afterwards, and epochs go on above this one.
    fn stand(&mut self, from: &Standing, to: Standing, epoch: Epoch, now: Timestamp) -> Result<(), TransferError> {
        if self.standing == to {
            return Ok(());
        }
        if self.standing != *from {
            return Err(TransferError::Stands { standing: self.standing.clone() });
        }
        let tenures = || (0..).map(ShardId).zip(&self.tenures);
        let held = tenures().filter_map(|(shard, tenure)| tenure.told(shard)).find(|tenure| tenure.is_held(now));
        if let Some(held) = held {
            return Err(TransferError::Held { node: held.node, until: held.held_until.unwrap_or(now) });
        }
        self.tenures.iter_mut().for_each(|tenure| tenure.end(epoch));
        self.standing = to;
        Ok(())
    }

    fn must_be_filled(&self, filling: &Filling) -> Result<(), TransferError> {
        if self.standing == Standing::Filling(filling.clone()) {
            return Ok(());
        }
        Err(TransferError::Stands { standing: self.standing.clone() })
    }

    fn holds(&self) -> Option<&'static str> {
        [
            (self.sagas.is_empty(), "sagas"),
            (self.reserved.is_empty(), "ids of swept sagas"),
            (self.definitions.is_empty(), "definitions"),
            (self.participants.is_empty(), "participants"),
            (self.logs.iter().all(Logs::is_new), "logs"),
            (self.documents.kinds().is_empty(), "documents"),
        ]
        .into_iter()
        .find_map(|(empty, what)| (!empty).then_some(what))
    }
}

/// Puts what isn't there, all or nothing; says how many weren't.
fn put<K: Ord, V>(
    into: &mut BTreeMap<K, V>,
    items: Vec<(K, V)>,
    same: impl Fn(&K, &V, &V) -> bool,
    name: impl Fn(&K) -> String,
) -> Result<u64, TransferError> {
    let differs = |(key, value): &&(K, V)| into.get(key).is_some_and(|there| !same(key, there, value));
    if let Some((key, _)) = items.iter().find(differs) {
        return Err(TransferError::Differs { what: name(key) });
    }
    let before = into.len();
    into.extend(items);
    Ok((into.len() - before) as u64)
}

#[async_trait]
impl Export for MemoryStore {
    async fn standing(&self) -> Result<Standing, StoreError> {
        Ok(self.lock().standing.clone())
    }

    async fn records(&self, keys: &[SagaKey]) -> Result<Vec<Option<SagaRecord>>, StoreError> {
        let inner = self.lock();
        Ok(keys.iter().map(|key| inner.sagas.get(key).map(|row| row.exported(key))).collect())
    }

    async fn reserved(&self, from: Option<ReservedPlace>, limit: usize) -> Result<ReservedPage, StoreError> {
        let skip = from.and_then(|ReservedPlace(place)| place.parse().ok()).unwrap_or(0);
        let inner = self.lock();
        let ids: Vec<ReservedId> = inner.reserved.iter().skip(skip).take(limit).copied().collect();
        let end = skip + ids.len();
        Ok(ReservedPage { next: (end < inner.reserved.len()).then(|| ReservedPlace(end.to_string())), ids })
    }

    async fn count_reserved(&self) -> Result<u64, StoreError> {
        Ok(self.lock().reserved.len() as u64)
    }

    async fn are_reserved(&self, ids: &[ReservedId]) -> Result<Vec<bool>, StoreError> {
        let inner = self.lock();
        Ok(ids.iter().map(|id| inner.reserved.contains(id)).collect())
    }

    async fn every_definition(&self) -> Result<Vec<DefinitionRecord>, StoreError> {
        Ok(self.lock().definitions.values().flatten().cloned().collect())
    }

    async fn log_records(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        Ok(self.lock().logs(shard)?.records(log, from, limit))
    }

    async fn document_kinds(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.lock().documents.kinds())
    }

    async fn mark_moved(&self, moved: &Moved) -> Result<(), TransferError> {
        let now = (self.clock)();
        self.lock().stand(&Standing::InUse, Standing::Moved(moved.clone()), Epoch(0), now)
    }

    async fn reopen(&self) -> Result<(), TransferError> {
        let now = (self.clock)();
        let mut inner = self.lock();
        match inner.standing.clone() {
            filling @ Standing::Filling(_) => Err(TransferError::Stands { standing: filling }),
            from => inner.stand(&from, Standing::InUse, Epoch(0), now),
        }
    }
}

#[async_trait]
impl Import for MemoryStore {
    async fn begin(&self, filling: &Filling) -> Result<(), TransferError> {
        let now = (self.clock)();
        let mut inner = self.lock();
        let held = inner.holds().filter(|_| inner.standing == Standing::InUse);
        if let Some(what) = held {
            return Err(TransferError::NotEmpty { what: what.to_owned() });
        }
        inner.stand(&Standing::InUse, Standing::Filling(filling.clone()), filling.epoch, now)
    }

    async fn put_sagas(&self, filling: &Filling, sagas: Vec<SagaRecord>) -> Result<u64, TransferError> {
        let mut inner = self.lock();
        inner.must_be_filled(filling)?;
        let shards = inner.shards();
        let row = |saga: SagaRecord| (saga.key.clone(), Row::imported(shard_of(&saga.key, shards), saga));
        let rows = sagas.into_iter().map(row).collect();
        let same = |key: &SagaKey, one: &Row, other: &Row| one.exported(key) == other.exported(key);
        put(&mut inner.sagas, rows, same, |key| format!("saga {key}"))
    }

    async fn put_reserved(&self, filling: &Filling, ids: Vec<ReservedId>) -> Result<(), TransferError> {
        let mut inner = self.lock();
        inner.must_be_filled(filling)?;
        inner.reserved.extend(ids);
        Ok(())
    }

    async fn put_definitions(&self, filling: &Filling, records: Vec<DefinitionRecord>) -> Result<(), TransferError> {
        let mut inner = self.lock();
        inner.must_be_filled(filling)?;
        let key = |record: &DefinitionRecord| (record.namespace.clone(), record.name.clone(), record.version);
        let there = inner.definitions.values().flatten().map(|record| (key(record), record.clone()));
        let mut versions: BTreeMap<_, _> = there.collect();
        let new = records.into_iter().map(|record| (key(&record), record)).collect();
        put(
            &mut versions,
            new,
            |_, one, other| one == other,
            |(namespace, name, version)| format!("definition {namespace}/{name}, version {}", version.0),
        )?;
        inner.definitions.clear();
        for ((namespace, name, _), record) in versions {
            inner.definitions.entry((namespace, name)).or_default().push(record);
        }
        Ok(())
    }

    async fn put_participants(&self, filling: &Filling, records: Vec<ParticipantRecord>) -> Result<(), TransferError> {
        let mut inner = self.lock();
        inner.must_be_filled(filling)?;
        let new = records.into_iter().map(|record| ((record.namespace.clone(), record.name.clone()), record)).collect();
        let name = |(namespace, name): &(_, _)| format!("participant {namespace}/{name}");
        put(&mut inner.participants, new, |_, one, other| one == other, name)?;
        Ok(())
    }

    async fn put_log(
        &self,
        filling: &Filling,
        shard: ShardId,
        log: Log,
        span: Span,
        records: Vec<LogRecord>,
    ) -> Result<(), TransferError> {
        let mut inner = self.lock();
        inner.must_be_filled(filling)?;
        inner.logs(shard)?.put((shard, log), span, records)
    }

    async fn put_documents(&self, filling: &Filling, documents: Vec<Document>) -> Result<(), TransferError> {
        let mut inner = self.lock();
        inner.must_be_filled(filling)?;
        inner.documents.import(documents)
    }

    async fn finish(&self, filling: &Filling) -> Result<(), TransferError> {
        let now = (self.clock)();
        self.lock().stand(&Standing::Filling(filling.clone()), Standing::InUse, Epoch(0), now)
    }
}
