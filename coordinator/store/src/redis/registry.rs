//! Definitions and participants: what is registered, by whom and when.
//!
//! Doesn't look into the bodies. Invariant: a definition's version never changes but for its deprecation; a participant's
//! revision only rises.

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, Version};
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use bytes::Bytes;
use redis::{Cmd, Value};

use super::keys::slot_of;
use super::link::Lane;
use super::{RedisStore, corrupt, numbered, unreadable, values};
use crate::contract::{DefinitionRecord, Deprecation, ParticipantRecord};
use crate::error::StoreError;
use crate::record;
use crate::redis::failure::Failure;

/// What is registered.
pub(super) struct Put<'a, N> {
    pub(super) namespace: &'a Namespace,
    pub(super) name: &'a N,
    pub(super) body: Bytes,
    pub(super) principal: &'a str,
    pub(super) now: Timestamp,
}

fn read_definition(
    version: Version,
    record: Option<Bytes>,
    deprecation: Option<Bytes>,
) -> Result<Option<DefinitionRecord>, StoreError> {
    let Some(record) = record else { return Ok(None) };
    let unreadable = |error| unreadable("a definition's record", error);
    let deprecation = deprecation.map(|bytes| record::decode_deprecation(&bytes)).transpose().map_err(unreadable)?;
    record::decode_definition(&record, version, deprecation).map(Some).map_err(unreadable)
}

/// See [`crate::Store::put_definition`].
pub(super) async fn put_definition(
    store: &RedisStore,
    put: Put<'_, DefinitionName>,
) -> Result<DefinitionRecord, StoreError> {
    let record = DefinitionRecord {
        namespace: put.namespace.clone(),
        name: put.name.clone(),
        version: Version(0),
        digest: Digest::of(&put.body),
        registered_at: put.now,
        principal: put.principal.to_owned(),
        body: put.body,
        deprecated: None,
    };
    let key = store.keys.definition(put.namespace, put.name);
    let mut call = store.scripts.put_definition.call(2);
    call.arg(&key).arg(store.keys.definition_names());
    call.arg(record.digest.to_string()).arg(format!("{},{}", put.namespace, put.name));
    call.arg(&record::encode_definition(&record)[..]);
    let answer = store.router.write(Lane::Record, slot_of(&key), &call).await.map_err(Failure::store)?;
    let (version, record, deprecation) = three(answer).map_err(Failure::store)?;
    read_definition(Version(version), record, deprecation)?.ok_or_else(|| corrupt("a definition's record"))
}

fn three(answer: Value) -> Result<(u32, Option<Bytes>, Option<Bytes>), Failure> {
    let mut parts = values::parts(answer)?;
    let version = values::read(values::next(&mut parts)?)?;
    Ok((version, values::bytes(values::next(&mut parts)?)?, parts.next().map_or(Ok(None), values::bytes)?))
}

async fn ask(store: &RedisStore, key: &str, command: Cmd) -> Result<Value, StoreError> {
    let answers = store.router.read(vec![(slot_of(key), command)]).await.map_err(Failure::store)?;
    answers.into_iter().next().ok_or_else(|| corrupt("an answer"))
}

async fn latest(store: &RedisStore, namespace: &Namespace, name: &DefinitionName) -> Result<u32, StoreError> {
    let key = store.keys.definition(namespace, name);
    let mut latest = redis::cmd("HGET");
    latest.arg(&key).arg("latest");
    let answer: Option<u32> = values::read(ask(store, &key, latest).await?).map_err(Failure::store)?;
    Ok(answer.unwrap_or(0))
}

/// These versions of a definition, those that are there.
async fn versions(
    store: &RedisStore,
    namespace: &Namespace,
    name: &DefinitionName,
    wanted: impl Iterator<Item = u32> + Clone,
) -> Result<Vec<DefinitionRecord>, StoreError> {
    let key = store.keys.definition(namespace, name);
    let mut fields = redis::cmd("HMGET");
    fields.arg(&key);
    for version in wanted.clone() {
        fields.arg(format!("version:{version}")).arg(format!("deprecation:{version}"));
    }
    if wanted.clone().next().is_none() {
        return Ok(Vec::new());
    }
    let mut parts = values::parts(ask(store, &key, fields).await?).map_err(Failure::store)?;
    let mut found = Vec::new();
    for version in wanted {
        let mut next = || values::next(&mut parts).and_then(values::bytes).map_err(Failure::store);
        found.extend(read_definition(Version(version), next()?, next()?)?);
    }
    Ok(found)
}

/// See [`crate::Store::get_definition`].
pub(super) async fn get_definition(
    store: &RedisStore,
    namespace: &Namespace,
    name: &DefinitionName,
    version: Option<Version>,
) -> Result<Option<DefinitionRecord>, StoreError> {
    let version = match version {
        Some(version) => version.0,
        None => latest(store, namespace, name).await?,
    };
    Ok(versions(store, namespace, name, std::iter::once(version)).await?.pop())
}

/// See [`crate::Store::definition_versions`].
pub(super) async fn definition_versions(
    store: &RedisStore,
    namespace: &Namespace,
    name: &DefinitionName,
) -> Result<Vec<DefinitionRecord>, StoreError> {
    let latest = latest(store, namespace, name).await?;
    versions(store, namespace, name, 1..=latest).await
}

/// See [`crate::Store::deprecate_definition`].
pub(super) async fn deprecate_definition(
    store: &RedisStore,
    namespace: &Namespace,
    name: &DefinitionName,
    version: Version,
    deprecation: Option<Deprecation>,
) -> Result<Option<DefinitionRecord>, StoreError> {
    let key = store.keys.definition(namespace, name);
    let mark = deprecation.as_ref().map(record::encode_deprecation).unwrap_or_default();
    let mut call = store.scripts.deprecate.call(1);
    call.arg(&key).arg(version.0).arg(&mark[..]);
    let answer = store.router.write(Lane::Record, slot_of(&key), &call).await.map_err(Failure::store)?;
    let record = values::bytes(answer).map_err(Failure::store)?;
    read_definition(version, record, Some(mark).filter(|mark| !mark.is_empty()))
}

/// See [`crate::Store::list_definitions`].
pub(super) async fn list_definitions(
    store: &RedisStore,
    namespace: &Namespace,
) -> Result<Vec<DefinitionRecord>, StoreError> {
    let key = store.keys.definition_names();
    let mut names = redis::cmd("ZRANGE");
    names.arg(&key).arg(format!("[{namespace},")).arg(format!("({namespace}-")).arg("BYLEX");
    let names: Vec<String> = values::read(ask(store, &key, names).await?).map_err(Failure::store)?;
    let mut found = Vec::new();
    for name in names {
        let name = name.split_once(',').and_then(|(_, name)| DefinitionName::parse(name).ok());
        let name = name.ok_or_else(|| corrupt("a definition's name"))?;
        found.extend(get_definition(store, namespace, &name, None).await?);
    }
    Ok(found)
}

/// See [`crate::Store::put_participant`].
pub(super) async fn put_participant(
    store: &RedisStore,
    put: Put<'_, ParticipantName>,
    expected: Option<u64>,
) -> Result<ParticipantRecord, StoreError> {
    let mut record = ParticipantRecord {
        namespace: put.namespace.clone(),
        name: put.name.clone(),
        revision: 0,
        updated_at: put.now,
        principal: put.principal.to_owned(),
        body: put.body,
    };
    let key = store.keys.participants();
    let mut call = store.scripts.put_participant.call(1);
    call.arg(&key).arg(format!("{},{}", put.namespace, put.name));
    call.arg(expected.map(|revision| revision.to_string()).unwrap_or_default());
    call.arg(&record::encode_participant(&record)[..]);
    let answer = store.router.write(Lane::Record, slot_of(&key), &call).await.map_err(Failure::store)?;
    let (done, revision): (u64, u64) = values::read(answer).map_err(Failure::store)?;
    if done == 0 {
        return Err(StoreError::Conflict { expected: expected.unwrap_or(0), found: revision });
    }
    record.revision = revision;
    Ok(record)
}

fn read_participant(value: &[u8]) -> Result<ParticipantRecord, StoreError> {
    let (revision, bytes) = numbered(value).ok_or_else(|| corrupt("a participant's record"))?;
    record::decode_participant(bytes, revision).map_err(|error| unreadable("a participant's record", error))
}

/// See [`crate::Store::get_participant`].
pub(super) async fn get_participant(
    store: &RedisStore,
    namespace: &Namespace,
    name: &ParticipantName,
) -> Result<Option<ParticipantRecord>, StoreError> {
    let key = store.keys.participants();
    let mut get = redis::cmd("HGET");
    get.arg(&key).arg(format!("{namespace},{name}"));
    let value = values::bytes(ask(store, &key, get).await?).map_err(Failure::store)?;
    value.map(|value| read_participant(&value)).transpose()
}

/// See [`crate::Store::all_participants`].
pub(super) async fn all_participants(store: &RedisStore) -> Result<Vec<ParticipantRecord>, StoreError> {
    let key = store.keys.participants();
    let mut all = redis::cmd("HVALS");
    all.arg(&key);
    let records: Vec<Vec<u8>> = values::read(ask(store, &key, all).await?).map_err(Failure::store)?;
    let mut found: Vec<ParticipantRecord> =
        records.iter().map(|value| read_participant(value)).collect::<Result<_, _>>()?;
    found.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(found)
}
