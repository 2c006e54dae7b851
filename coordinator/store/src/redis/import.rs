//! The store on Redis as the target of a copy: what the scripts of commits and registrations would have written, at once.
//!
//! Sagas go a script call per shard, judged and written as one; nothing that is there is ever written over. Invariant: every put
//! may be sent twice, and one that comes late, after the store was opened, is refused by the shard itself.

use std::collections::BTreeMap;

use amends_engine::time::Timestamp;
use async_trait::async_trait;
use futures::future::try_join_all;
use redis::Cmd;

use super::export::{held, shard_of_reserved};
use super::failure::Failure;
use super::fields::{from_payload, from_time, history_field, label_texts, labels, payload_field};
use super::keys::slot_of;
use super::link::Lane;
use super::standing::{self, Change};
use super::{RedisStore, import_logs, logs, values};
use crate::cell::Cell;
use crate::contract::{DefinitionRecord, Document, Epoch, Log, ParticipantRecord, ShardId, Span, Store as _, shard_of};
use crate::record;
use crate::transfer::{Export as _, Filling, Import, LogRecord, ReservedId, SagaRecord, Standing, TransferError};

/// How many bytes one script call carries at most, roughly: Redis does nothing else meanwhile.
const CALL: usize = 1024 * 1024;

/// Names and values.
type Fields = Vec<(String, Vec<u8>)>;

/// A saga's fields, as the commits that led to it would have left them.
fn fields(saga: &SagaRecord) -> Fields {
    let SagaRecord { key, revision, state, payloads, history, remembered, due, index, retain_until } = saga;
    let time = |time: Option<Timestamp>| time.map(from_time).unwrap_or_default().into_bytes();
    let fixed = [
        ("rev", revision.to_string().into_bytes()),
        ("state", state.to_vec()),
        ("ops", remembered.iter().flat_map(|commit| commit.to_bytes()).collect()),
        ("due", due.map(|due| due.0.to_string()).unwrap_or_default().into_bytes()),
        ("cell", Cell::text_of(&key.namespace, index).into_bytes()),
        ("keep", time(*retain_until)),
        ("at", time(Some(index.started_at))),
        ("labels", labels(&index.labels).into_bytes()),
    ];
    let mut fields: Fields = fixed.map(|(name, value)| (name.to_owned(), value)).into();
    if !index.labels.is_empty() {
        fields.push(("names".to_owned(), label_texts(&index.labels).into_bytes()));
    }
    fields.extend(payloads.iter().map(|(key, payload)| (payload_field(*key), from_payload(payload).to_vec())));
    fields.extend(history.iter().map(|(sequence, entry)| (history_field(*sequence), entry.to_vec())));
    fields
}

/// Sagas of one shard that go together.
struct Call {
    shard: ShardId,
    sagas: Vec<(SagaRecord, Fields)>,
}

fn calls(sagas: Vec<SagaRecord>, shards: u16) -> Vec<Call> {
    let mut by_shard: BTreeMap<ShardId, Vec<SagaRecord>> = BTreeMap::new();
    for saga in sagas {
        by_shard.entry(shard_of(&saga.key, shards)).or_default().push(saga);
    }
    let mut calls: Vec<Call> = Vec::new();
    for (shard, sagas) in by_shard {
        let mut size = CALL;
        for saga in sagas {
            let fields = fields(&saga);
            let own: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
            size += own;
            if size > CALL {
                size = own;
                calls.push(Call { shard, sagas: Vec::new() });
            }
            if let Some(call) = calls.last_mut() {
                call.sagas.push((saga, fields));
            }
        }
    }
    calls
}

async fn send(store: &RedisStore, filling: &Standing, call: &Call) -> Result<u64, TransferError> {
    let [lease, due, ended, index, counts, _] = store.keys.shard(call.shard);
    let mut command: Cmd = store.scripts.import_sagas.call(5 + call.sagas.len());
    command.arg(&[lease.as_str(), due.as_str(), ended.as_str(), index.as_str(), counts.as_str()]);
    for (saga, _) in &call.sagas {
        command.arg(store.keys.saga(call.shard, &saga.key));
    }
    command.arg(filling.to_string());
    for (saga, fields) in &call.sagas {
        command.arg(saga.key.namespace.as_str()).arg(saga.key.id.as_str()).arg(fields.len());
        for (name, value) in fields {
            command.arg(name).arg(&value[..]);
        }
    }
    let answer = store.router.write(Lane::Commit, slot_of(&lease), &command).await;
    let mut parts = answer.and_then(values::parts).map_err(Failure::store)?;
    let mut next = || values::next(&mut parts);
    match next().and_then(values::number).map_err(Failure::store)? {
        0 => Ok(next().and_then(values::number).map_err(Failure::store)?),
        1 => Err(TransferError::Stands { standing: store.standing().await? }),
        _ => {
            let which: usize = next().and_then(values::read).map_err(Failure::store)?;
            let name = call.sagas.get(which).map_or_else(String::new, |(saga, _)| saga.key.to_string());
            Err(TransferError::Differs { what: format!("saga {name}") })
        }
    }
}

/// For what is in no shard: looked at beforehand, which is enough where nothing is ever written over.
async fn must_be_filled(store: &RedisStore, filling: &Filling) -> Result<(), TransferError> {
    match store.standing().await? {
        Standing::Filling(current) if current == *filling => Ok(()),
        standing => Err(TransferError::Stands { standing }),
    }
}

async fn must_be_empty(store: &RedisStore) -> Result<(), TransferError> {
    let sagas = store.count(&Default::default()).await?;
    for (empty, what) in [
        (sagas.is_empty(), "sagas"),
        (store.count_reserved().await? == 0, "ids of swept sagas"),
        (store.every_definition().await?.is_empty(), "definitions"),
        (store.all_participants().await?.is_empty(), "participants"),
        (logs::are_new(store).await?, "logs"),
        (store.document_kinds().await?.is_empty(), "documents"),
    ] {
        if !empty {
            return Err(TransferError::NotEmpty { what: what.to_owned() });
        }
    }
    Ok(())
}

/// Sets fields that aren't there yet, all or none; `false` where something else is there.
async fn once(store: &RedisStore, key: &str, fields: &[(String, Vec<u8>)]) -> Result<bool, TransferError> {
    let mut call = store.scripts.import_once.call(1);
    call.arg(key);
    for (name, value) in fields {
        call.arg(name).arg(&value[..]);
    }
    let answer = store.router.write(Lane::Record, slot_of(key), &call).await.map_err(Failure::store)?;
    Ok(values::number(answer).map_err(Failure::store)? == 1)
}

/// The name goes first: what is listed without a version is nothing, a version that isn't listed would be lost.
async fn put_definition(store: &RedisStore, it: &DefinitionRecord) -> Result<(), TransferError> {
    let (names, key) = (store.keys.definition_names(), store.keys.definition(&it.namespace, &it.name));
    let mut add = redis::cmd("ZADD");
    add.arg(&names).arg(0).arg(format!("{},{}", it.namespace, it.name));
    store.router.write(Lane::Record, slot_of(&names), &add).await.map_err(Failure::store)?;
    let number = it.version.0;
    let mark = it.deprecated.as_ref().map(record::encode_deprecation).unwrap_or_default();
    let fields = [
        (format!("version:{number}"), record::encode_definition(it).to_vec()),
        (format!("digest:{}", it.digest), number.to_string().into_bytes()),
        (format!("deprecation:{number}"), mark.to_vec()),
    ];
    if !once(store, &key, &fields).await? {
        let what = format!("definition {}/{}, version {number}", it.namespace, it.name);
        return Err(TransferError::Differs { what });
    }
    Ok(())
}

/// Of each definition the highest version's number, from which the next one is counted.
async fn put_latest(store: &RedisStore, records: &[DefinitionRecord]) -> Result<(), TransferError> {
    let mut latest: BTreeMap<String, u32> = BTreeMap::new();
    for it in records {
        let highest = latest.entry(store.keys.definition(&it.namespace, &it.name)).or_default();
        *highest = (*highest).max(it.version.0);
    }
    for (key, version) in latest {
        let mut set = redis::cmd("HSET");
        set.arg(&key).arg("latest").arg(version);
        store.router.write(Lane::Record, slot_of(&key), &set).await.map_err(Failure::store)?;
    }
    Ok(())
}

#[async_trait]
impl Import for RedisStore {
    async fn begin(&self, filling: &Filling) -> Result<(), TransferError> {
        if self.standing().await? == Standing::InUse {
            must_be_empty(self).await?;
            if let Some(held) = held(self).await? {
                return Err(held);
            }
        }
        let to = Standing::Filling(filling.clone());
        let change = Change { from: &Standing::InUse, to: &to, epoch: filling.epoch, empty: true };
        standing::close(self, &change).await
    }

    async fn put_sagas(&self, filling: &Filling, sagas: Vec<SagaRecord>) -> Result<u64, TransferError> {
        let filling = Standing::Filling(filling.clone());
        let calls = calls(sagas, self.shards);
        let added = try_join_all(calls.iter().map(|call| send(self, &filling, call))).await?;
        Ok(added.into_iter().sum())
    }

    async fn put_reserved(&self, filling: &Filling, ids: Vec<ReservedId>) -> Result<(), TransferError> {
        must_be_filled(self, filling).await?;
        let mut by_shard: BTreeMap<ShardId, Vec<ReservedId>> = BTreeMap::new();
        for id in ids {
            by_shard.entry(shard_of_reserved(&id, self.shards)).or_default().push(id);
        }
        for (shard, ids) in by_shard {
            let [.., key] = self.keys.shard(shard);
            let mut add = redis::cmd("SADD");
            add.arg(&key);
            ids.iter().for_each(|id| _ = add.arg(&id.0[..]));
            self.router.write(Lane::Record, slot_of(&key), &add).await.map_err(Failure::store)?;
        }
        Ok(())
    }

    async fn put_definitions(&self, filling: &Filling, records: Vec<DefinitionRecord>) -> Result<(), TransferError> {
        must_be_filled(self, filling).await?;
        for it in &records {
            put_definition(self, it).await?;
        }
        put_latest(self, &records).await
    }

    async fn put_participants(&self, filling: &Filling, records: Vec<ParticipantRecord>) -> Result<(), TransferError> {
        must_be_filled(self, filling).await?;
        let key = self.keys.participants();
        for it in &records {
            let mut value = format!("{}:", it.revision).into_bytes();
            value.extend(record::encode_participant(it));
            if !once(self, &key, &[(format!("{},{}", it.namespace, it.name), value)]).await? {
                return Err(TransferError::Differs { what: format!("participant {}/{}", it.namespace, it.name) });
            }
        }
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
        import_logs::put_log(self, &Standing::Filling(filling.clone()), (shard, log, span), &records).await
    }

    async fn put_documents(&self, filling: &Filling, documents: Vec<Document>) -> Result<(), TransferError> {
        must_be_filled(self, filling).await?;
        for it in &documents {
            import_logs::put_document(self, it).await?;
        }
        Ok(())
    }

    async fn finish(&self, filling: &Filling) -> Result<(), TransferError> {
        let from = Standing::Filling(filling.clone());
        let change = Change { from: &from, to: &Standing::InUse, epoch: Epoch(0), empty: false };
        standing::open(self, &change).await
    }
}
