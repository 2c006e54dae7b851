//! The store on Redis as the source of a copy, and looked at after one.
//!
//! Never leaves out what it can't read: that is an error with the saga's name. Invariant: a saga is read whole by one command.

use amends_engine::ids::{DefinitionName, Namespace, SagaKey, Version};
use amends_engine::time::Timestamp;
use async_trait::async_trait;
use bytes::Bytes;
use redis::Value;

use super::failure::Failure;
use super::fields::{Field, labels, to_label_texts, to_remembered, to_time};
use super::keys::slot_of;
use super::read::{pairs, text, whole};
use super::standing::{self, Change};
use super::{RedisStore, corrupt, documents, logs, registry, values};
use crate::cell::Cell;
use crate::contract::{DefinitionRecord, Epoch, Log, ShardId, Store as _};
use crate::error::StoreError;
use crate::transfer::{
    Export, IndexRecord, LogRecord, Moved, ReservedId, ReservedPage, ReservedPlace, SagaRecord, Standing, TransferError,
};

/// Which shard an id was reserved in: the same first bytes of the same digest as `shard_of`.
pub(super) fn shard_of_reserved(id: &ReservedId, shards: u16) -> ShardId {
    ShardId(u16::from_be_bytes([id.0[0], id.0[1]]) % shards.max(1))
}

fn read_record(key: &SagaKey, answer: Value) -> Result<Option<SagaRecord>, StoreError> {
    let fields = pairs(answer).map_err(Failure::store)?;
    if fields.len() == 0 {
        return Ok(None);
    }
    let unreadable = || corrupt(&format!("a part of saga {key} can't be read, restore it from a backup: it"));
    complete(key, fields).ok_or_else(unreadable).map(Some)
}

fn complete(key: &SagaKey, mut fields: std::vec::IntoIter<Value>) -> Option<SagaRecord> {
    let index = IndexRecord {
        status: String::new(),
        stuck: None,
        definition: DefinitionName::parse("-").ok()?,
        version: Version(0),
        labels: Vec::new(),
        started_at: Timestamp(0),
        open: false,
        held_up_at: None,
        acknowledged: false,
    };
    let mut record = SagaRecord {
        key: key.clone(),
        revision: 0,
        state: Bytes::new(),
        payloads: Vec::new(),
        history: Vec::new(),
        remembered: Vec::new(),
        due: None,
        index,
        retain_until: None,
    };
    let (mut digests, mut cell) = (String::new(), None);
    while let Some(name) = fields.next() {
        let name: String = values::read(name).ok()?;
        let value = values::bytes(fields.next()?).ok()??;
        let time = || Some(if value.is_empty() { None } else { Some(to_time(text(&value)?)?) });
        match name.as_str() {
            "rev" => record.revision = text(&value)?.parse().ok()?,
            "state" => record.state = value,
            "ops" => record.remembered = to_remembered(&value)?,
            "due" if value.is_empty() => record.due = None,
            "due" => record.due = Some(Timestamp(text(&value)?.parse().ok()?)),
            "keep" => record.retain_until = time()?,
            "at" => record.index.started_at = time()??,
            "cell" => cell = Some(Cell::read(text(&value)?)?),
            "labels" => digests = text(&value)?.to_owned(),
            "names" => record.index.labels = to_label_texts(text(&value)?)?,
            _ => match Field::read(&name, value) {
                Field::Payload(key, payload) => record.payloads.push((key, payload)),
                Field::History(sequence, entry) => record.history.push((sequence, entry)),
                Field::Damaged | Field::Other => return None,
            },
        }
    }
    let Cell { namespace, definition, version, status, stuck, held_up_at, acknowledged, open } = cell?;
    record.index = IndexRecord { status, stuck, definition, version, open, held_up_at, acknowledged, ..record.index };
    record.payloads.sort_by_key(|(key, _)| *key);
    record.history.sort_by_key(|(sequence, _)| *sequence);
    let whole = namespace == key.namespace && record.revision > 0 && labels(&record.index.labels) == digests;
    whole.then_some(record)
}

async fn names(store: &RedisStore) -> Result<Vec<(Namespace, DefinitionName)>, StoreError> {
    let key = store.keys.definition_names();
    let mut all = redis::cmd("ZRANGE");
    all.arg(&key).arg(0).arg(-1);
    let answers = store.router.read(vec![(slot_of(&key), all)]).await.map_err(Failure::store)?;
    let names: Vec<String> = answers.into_iter().next().map_or(Ok(Vec::new()), values::read).map_err(Failure::store)?;
    let name = |text: String| {
        let (namespace, name) = text.split_once(',')?;
        Some((Namespace::parse(namespace).ok()?, DefinitionName::parse(name).ok()?))
    };
    names.into_iter().map(|text| name(text).ok_or_else(|| corrupt("a definition's name"))).collect()
}

/// All ids that are reserved in a shard: a whole shard is a page, because a set can't be read from a place on.
async fn reserved_in(store: &RedisStore, shard: ShardId) -> Result<Vec<ReservedId>, StoreError> {
    let [.., key] = store.keys.shard(shard);
    let mut all = redis::cmd("SMEMBERS");
    all.arg(&key);
    let answers = store.router.read(vec![(slot_of(&key), all)]).await.map_err(Failure::store)?;
    let members: Vec<Vec<u8>> =
        answers.into_iter().next().map_or(Ok(Vec::new()), values::read).map_err(Failure::store)?;
    let ids = members
        .into_iter()
        .filter(|member| member != b"~")
        .map(|member| member.try_into().map(ReservedId).map_err(|_| corrupt("a reserved id")));
    ids.collect()
}

#[async_trait]
impl Export for RedisStore {
    async fn standing(&self) -> Result<Standing, StoreError> {
        standing::of(self).await
    }

    async fn records(&self, keys: &[SagaKey]) -> Result<Vec<Option<SagaRecord>>, StoreError> {
        let asks = keys.iter().map(|key| whole(self, key)).collect();
        let answers = self.router.read(asks).await.map_err(Failure::store)?;
        keys.iter().zip(answers).map(|(key, answer)| read_record(key, answer)).collect()
    }

    async fn reserved(&self, from: Option<ReservedPlace>, _limit: usize) -> Result<ReservedPage, StoreError> {
        let shard = from.and_then(|ReservedPlace(shard)| shard.parse().ok()).unwrap_or(0);
        let ids = reserved_in(self, ShardId(shard)).await?;
        let next = (shard + 1 < self.shards).then(|| ReservedPlace((shard + 1).to_string()));
        Ok(ReservedPage { ids, next })
    }

    async fn count_reserved(&self) -> Result<u64, StoreError> {
        let ask = |shard| {
            let [.., key] = self.keys.shard(shard);
            let mut count = redis::cmd("SCARD");
            count.arg(&key);
            (slot_of(&key), count)
        };
        let answers = self.router.read(self.all_shards().map(ask).collect()).await.map_err(Failure::store)?;
        let counts: Result<Vec<u64>, Failure> = answers.into_iter().map(values::number).collect();
        // Without the members that never go.
        Ok(counts.map_err(Failure::store)?.iter().map(|count| count.saturating_sub(1)).sum())
    }

    async fn are_reserved(&self, ids: &[ReservedId]) -> Result<Vec<bool>, StoreError> {
        let ask = |id: &ReservedId| {
            let [.., key] = self.keys.shard(shard_of_reserved(id, self.shards));
            let mut is_there = redis::cmd("SISMEMBER");
            is_there.arg(&key).arg(&id.0[..]);
            (slot_of(&key), is_there)
        };
        let answers = self.router.read(ids.iter().map(ask).collect()).await.map_err(Failure::store)?;
        answers
            .into_iter()
            .map(|answer| values::number(answer).map(|found| found == 1).map_err(Failure::store))
            .collect()
    }

    async fn every_definition(&self) -> Result<Vec<DefinitionRecord>, StoreError> {
        let mut names = names(self).await?;
        // The comma sorts below what a name may have, and so does the end of a namespace.
        names.sort();
        let mut all = Vec::new();
        for (namespace, name) in names {
            all.extend(registry::definition_versions(self, &namespace, &name).await?);
        }
        Ok(all)
    }

    async fn log_records(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        logs::entries(self, self.known(shard)?, log, from, limit).await
    }

    async fn document_kinds(&self) -> Result<Vec<String>, StoreError> {
        documents::kinds(self).await
    }

    async fn mark_moved(&self, moved: &Moved) -> Result<(), TransferError> {
        if let Some(held) = held(self).await? {
            return Err(held);
        }
        let to = Standing::Moved(moved.clone());
        let change = Change { from: &Standing::InUse, to: &to, epoch: Epoch(0), empty: false };
        standing::close(self, &change).await
    }

    async fn reopen(&self) -> Result<(), TransferError> {
        match self.standing().await? {
            standing @ Standing::Filling(_) => Err(TransferError::Stands { standing }),
            from => {
                let change = Change { from: &from, to: &Standing::InUse, epoch: Epoch(0), empty: false };
                standing::open(self, &change).await
            }
        }
    }
}

/// The first node that has a shard, looked for before anything is written.
pub(super) async fn held(store: &RedisStore) -> Result<Option<TransferError>, TransferError> {
    let now = store.now().await?;
    let held = store.tenures().await?.into_iter().find(|tenure| tenure.is_held(now));
    Ok(held.map(|held| TransferError::Held { node: held.node, until: held.held_until.unwrap_or(now) }))
}
