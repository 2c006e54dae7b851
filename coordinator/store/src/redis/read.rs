//! Reading sagas one by one and by due time.
//!
//! A saga is one hash, read whole by one command, so that no reader sees half a commit. Damage stays with the saga that has it:
//! one with a payload that can't be read is given with an empty state, which no decoder takes. Invariant: a saga is never given
//! with only some of its payloads.

use amends_engine::ids::SagaKey;
use amends_engine::time::Timestamp;
use bytes::Bytes;
use redis::{Cmd, Value};

use super::RedisStore;
use super::failure::Failure;
use super::fields::{Field, to_member};
use super::keys::slot_of;
use super::values;
use crate::cell::Cell;
use crate::contract::{ShardId, StoredSaga, shard_of};

/// How many members of the index are read at least, however few are wanted.
const AHEAD: usize = 64;

/// A saga's hash as it was read.
struct Hash {
    saga: StoredSaga,
    history: Vec<(u64, Bytes)>,
    open: bool,
}

impl Hash {
    /// `None` where there is none.
    fn read(key: &SagaKey, answer: Value) -> Result<Option<Self>, Failure> {
        let mut parts = pairs(answer)?;
        if parts.len() == 0 {
            return Ok(None);
        }
        let saga = StoredSaga { key: key.clone(), revision: 0, state: Bytes::new(), payloads: Vec::new(), due: None };
        let mut hash = Self { saga, history: Vec::new(), open: false };
        let mut damaged = false;
        while let Some(name) = parts.next() {
            let name: String = values::read(name)?;
            let value = values::bytes(values::next(&mut parts)?)?.unwrap_or_default();
            damaged |= hash.put(&name, value).is_none();
        }
        if damaged || hash.saga.revision == 0 {
            tracing::error!(%key, "a saga has a field that can't be read");
            hash.saga.state = Bytes::new();
            hash.saga.payloads.clear();
        }
        hash.saga.payloads.sort_by_key(|(key, _)| *key);
        hash.history.sort_by_key(|(sequence, _)| *sequence);
        Ok(Some(hash))
    }

    /// Takes one field; `None` where it can't be read.
    fn put(&mut self, name: &str, value: Bytes) -> Option<()> {
        match name {
            "rev" => self.saga.revision = text(&value)?.parse().ok()?,
            "state" => self.saga.state = value,
            "due" if value.is_empty() => self.saga.due = None,
            "due" => self.saga.due = Some(Timestamp(text(&value)?.parse().ok()?)),
            "cell" => self.open = Cell::read(text(&value)?)?.open,
            _ => match Field::read(name, value) {
                Field::Payload(key, payload) => self.saga.payloads.push((key, payload)),
                Field::History(sequence, entry) => self.history.push((sequence, entry)),
                Field::Damaged => return None,
                Field::Other => {}
            },
        }
        Some(())
    }
}

pub(super) fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Names and values of a hash, one after the other.
pub(super) fn pairs(answer: Value) -> Result<std::vec::IntoIter<Value>, Failure> {
    match answer {
        Value::Map(pairs) => {
            Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect::<Vec<_>>().into_iter())
        }
        other => values::parts(other),
    }
}

pub(super) fn whole(store: &RedisStore, key: &SagaKey) -> (u16, Cmd) {
    let name = store.keys.saga(shard_of(key, store.shards), key);
    let mut all = redis::cmd("HGETALL");
    all.arg(&name);
    (slot_of(&name), all)
}

async fn hashes(store: &RedisStore, keys: &[SagaKey]) -> Result<Vec<Option<Hash>>, Failure> {
    let answers = store.router.read(keys.iter().map(|key| whole(store, key)).collect()).await?;
    keys.iter().zip(answers).map(|(key, answer)| Hash::read(key, answer)).collect()
}

/// See [`crate::Store::get`].
pub(super) async fn get(store: &RedisStore, key: &SagaKey) -> Result<Option<StoredSaga>, Failure> {
    let hash = hashes(store, std::slice::from_ref(key)).await?.pop().flatten();
    Ok(hash.map(|hash| hash.saga))
}

/// See [`crate::Store::history`].
pub(super) async fn history(
    store: &RedisStore,
    key: &SagaKey,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Bytes)>, Failure> {
    let hash = hashes(store, std::slice::from_ref(key)).await?.pop().flatten();
    let entries = hash.map(|hash| hash.history).unwrap_or_default();
    Ok(entries.into_iter().filter(|(sequence, _)| *sequence >= from).take(limit).collect())
}

/// Which sagas [`due`] is to find.
pub(super) struct Due {
    pub(super) shard: ShardId,
    pub(super) after: Option<Timestamp>,
    pub(super) until: Timestamp,
    pub(super) resume: Option<(Timestamp, SagaKey)>,
    pub(super) limit: usize,
}

impl Due {
    /// From which due time on.
    fn min(&self) -> String {
        match (&self.resume, self.after) {
            (Some((due, _)), after) if after.is_none_or(|after| *due > after) => due.0.to_string(),
            (_, Some(after)) => format!("({}", after.0),
            (_, None) => "-inf".to_owned(),
        }
    }

    /// Whether it was given before: what is due together comes by key.
    fn is_given(&self, due: f64, member: &str) -> bool {
        let Some((last, key)) = &self.resume else { return false };
        // As the index has it, which rounds times that are a quarter of a million years away.
        due == last.0 as f64 && member <= format!("{},{}", key.namespace, key.id).as_str()
    }
}

/// See [`crate::Store::due`].
pub(super) async fn due(store: &RedisStore, which: &Due) -> Result<Vec<StoredSaga>, Failure> {
    let mut found = Vec::new();
    let mut offset = 0;
    while found.len() < which.limit {
        let wanted = (which.limit - found.len()).max(AHEAD);
        let members = range(store, which, offset, wanted).await?;
        let ended = members.len() < wanted;
        offset += members.len();
        let new = members.iter().filter(|(member, due)| !which.is_given(*due, member));
        let keys: Vec<SagaKey> = new.filter_map(|(member, _)| to_member(member)).collect();
        // What was finished since the index was read isn't due any more.
        let open = hashes(store, &keys).await?.into_iter().flatten().filter(|hash| hash.open);
        found.extend(open.map(|hash| hash.saga));
        if ended {
            break;
        }
    }
    found.truncate(which.limit);
    Ok(found)
}

/// Members with their due times, from the `offset`th on.
async fn range(store: &RedisStore, which: &Due, offset: usize, count: usize) -> Result<Vec<(String, f64)>, Failure> {
    let key = store.keys.due(which.shard);
    let mut range = redis::cmd("ZRANGE");
    range.arg(&key).arg(which.min()).arg(which.until.0).arg("BYSCORE");
    range.arg("LIMIT").arg(offset).arg(i64::try_from(count).unwrap_or(i64::MAX)).arg("WITHSCORES");
    let answers = store.router.read(vec![(slot_of(&key), range)]).await?;
    answers.into_iter().next().map_or(Ok(Vec::new()), values::read)
}
