//! Documents: small records that no shard owns, all in one slot, so that a script can change one with its kind's list of ids.
//!
//! Doesn't look into the bodies. Invariant: every put gets a revision that no document had before, from one counter.

use bytes::Bytes;
use redis::Cmd;

use super::failure::Failure;
use super::keys::slot_of;
use super::link::Lane;
use super::{RedisStore, corrupt, numbered, values};
use crate::contract::Document;
use crate::error::StoreError;

/// See [`crate::Store::put_document`].
pub(super) async fn put(
    store: &RedisStore,
    kind: &str,
    id: &str,
    body: &[u8],
    expected: Option<u64>,
) -> Result<u64, StoreError> {
    let mut call = store.scripts.put_document.call(3);
    begin(&mut call, store, kind, id, expected);
    call.arg(body);
    change(store, &call, expected).await
}

/// See [`crate::Store::delete_document`].
pub(super) async fn delete(
    store: &RedisStore,
    kind: &str,
    id: &str,
    expected: Option<u64>,
) -> Result<bool, StoreError> {
    let mut call = store.scripts.delete_document.call(3);
    begin(&mut call, store, kind, id, expected);
    Ok(change(store, &call, expected).await? == 1)
}

fn begin(call: &mut Cmd, store: &RedisStore, kind: &str, id: &str, expected: Option<u64>) {
    call.arg(&store.keys.documents_of(kind)).arg(kind).arg(id);
    call.arg(expected.map(|revision| revision.to_string()).unwrap_or_default());
}

async fn change(store: &RedisStore, call: &Cmd, expected: Option<u64>) -> Result<u64, StoreError> {
    let slot = slot_of(&store.keys.documents());
    let answer = store.router.write(Lane::Record, slot, call).await.map_err(Failure::store)?;
    let (done, value): (u64, u64) = values::read(answer).map_err(Failure::store)?;
    if done == 0 {
        return Err(StoreError::Conflict { expected: expected.unwrap_or(0), found: value });
    }
    Ok(value)
}

async fn ask(store: &RedisStore, command: Cmd) -> Result<redis::Value, StoreError> {
    let asked = vec![(slot_of(&store.keys.documents()), command)];
    let answers = store.router.read(asked).await.map_err(Failure::store)?;
    answers.into_iter().next().ok_or_else(|| Failure::Nonsense("a read has no answer").store())
}

/// See [`crate::Store::get_document`].
pub(super) async fn get(store: &RedisStore, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
    Ok(some(store, kind, vec![id.to_owned()]).await?.pop())
}

/// See [`crate::Store::list_documents`].
pub(super) async fn list(
    store: &RedisStore,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Document>, StoreError> {
    let [_, ids, _] = store.keys.documents_of(kind);
    let mut range = redis::cmd("ZRANGE");
    range.arg(&ids).arg(after.map_or("-".to_owned(), |after| format!("({after}"))).arg("+").arg("BYLEX");
    range.arg("LIMIT").arg(0).arg(i64::try_from(limit).unwrap_or(i64::MAX));
    let ids: Vec<String> = values::read(ask(store, range).await?).map_err(Failure::store)?;
    some(store, kind, ids).await
}

/// Those of these documents that are there, in the order of the ids.
async fn some(store: &RedisStore, kind: &str, ids: Vec<String>) -> Result<Vec<Document>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let [.., documents] = store.keys.documents_of(kind);
    let mut get = redis::cmd("HMGET");
    get.arg(&documents).arg(&ids);
    let parts = values::parts(ask(store, get).await?).map_err(Failure::store)?;
    let mut found = Vec::new();
    for (id, value) in ids.into_iter().zip(parts) {
        // Gone in between.
        let Some(value) = values::bytes(value).map_err(Failure::store)? else { continue };
        let (revision, body) = numbered(&value).ok_or_else(|| corrupt(&format!("the {kind} document {id}")))?;
        found.push(Document { kind: kind.to_owned(), id, revision, body: Bytes::copy_from_slice(body) });
    }
    Ok(found)
}

/// See [`crate::transfer::Export::document_kinds`].
pub(super) async fn kinds(store: &RedisStore) -> Result<Vec<String>, StoreError> {
    let mut names = redis::cmd("HKEYS");
    names.arg(store.keys.documents());
    let names: Vec<String> = values::read(ask(store, names).await?).map_err(Failure::store)?;
    let mut kinds: Vec<String> =
        names.iter().filter_map(|name| name.strip_prefix("kind:").map(str::to_owned)).collect();
    kinds.sort();
    Ok(kinds)
}
