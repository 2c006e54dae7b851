//! Reading sagas one by one and by due time.
//!
//! Damage stays with the saga that has it: a saga with a payload that can't be read is given with an empty state, which no
//! decoder takes, so that it is parked and the others run. Invariant: a saga is never given with only some of its payloads.

use amends_engine::ids::{Namespace, SagaId, SagaKey};
use amends_engine::payload::{Payload, PayloadKey};
use amends_engine::time::Timestamp;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

use super::columns::{from_limit, from_slot, from_time, from_u64, to_encoding, to_time, to_u64};
use crate::contract::{ShardId, StoredSaga};

/// The columns that [`Head`] is read from.
const HEAD: &str = "saga.saga, saga.namespace, saga.id, saga.revision, saga.due, saga.state";

/// A saga without its payloads.
struct Head {
    saga: i64,
    /// `None` where the names can't be read.
    key: Option<SagaKey>,
    revision: u64,
    due: Option<Timestamp>,
    state: Bytes,
}

impl Head {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            saga: row.get(0)?,
            key: read_key(row, 1)?,
            revision: to_u64(row.get(3)?),
            due: row.get::<_, Option<i64>>(4)?.map(to_time),
            state: read_bytes(row, 5)?,
        })
    }

    /// Adds the payloads; `None` where nobody could be told whose they are.
    fn complete(self, conn: &Connection) -> rusqlite::Result<Option<StoredSaga>> {
        let Self { saga, key, revision, due, state } = self;
        let Some(key) = key else {
            tracing::error!(saga, "a saga's row is damaged and left out: its names can't be read");
            return Ok(None);
        };
        Ok(Some(match payloads(conn, saga)? {
            Some(payloads) => StoredSaga { key, revision, state, payloads, due },
            None => {
                tracing::error!(%key, "a saga has a payload that can't be read");
                StoredSaga { key, revision, state: Bytes::new(), payloads: Vec::new(), due }
            }
        }))
    }
}

/// A saga's key from two columns; `None` where they hold no names.
pub(super) fn read_key(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<SagaKey>> {
    let text = |column: usize| row.get_ref(column).map(|value| value.as_str().ok());
    let (Some(namespace), Some(id)) = (text(first)?, text(first + 1)?) else { return Ok(None) };
    let names = Namespace::parse(namespace).and_then(|namespace| Ok((namespace, SagaId::parse(id)?)));
    Ok(names.ok().map(|(namespace, id)| SagaKey { namespace, id }))
}

/// The bytes of a column.
pub(super) fn read_bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

/// All payloads of a saga in the order of their keys; `None` when one of them can't be read.
pub(super) fn payloads(conn: &Connection, saga: i64) -> rusqlite::Result<Option<Vec<(PayloadKey, Payload)>>> {
    let mut statement =
        conn.prepare_cached("SELECT slot, encoding, bytes FROM payload WHERE saga = ?1 ORDER BY slot")?;
    let rows = statement.query_map([saga], |row| {
        let (slot, encoding) = (from_slot(row.get(0)?), to_encoding(row.get(1)?));
        let bytes = read_bytes(row, 2)?;
        Ok(slot.zip(encoding).map(|(key, encoding)| (key, Payload { encoding, bytes })))
    })?;
    rows.collect()
}

/// See [`crate::Store::get`].
pub(super) fn get(conn: &Connection, key: &SagaKey) -> rusqlite::Result<Option<StoredSaga>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {HEAD} FROM saga WHERE namespace = ?1 AND id = ?2"))?;
    let head = statement.query_row([key.namespace.as_str(), key.id.as_str()], Head::read).optional()?;
    head.map_or(Ok(None), |head| head.complete(conn))
}

/// See [`crate::Store::history`].
pub(super) fn history(
    conn: &Connection,
    key: &SagaKey,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Bytes)>> {
    let mut statement = conn.prepare_cached(
        "SELECT sequence, entry FROM history \
         WHERE saga = (SELECT saga FROM saga WHERE namespace = ?1 AND id = ?2) AND sequence >= ?3 \
         ORDER BY sequence LIMIT ?4",
    )?;
    let (namespace, id) = (key.namespace.as_str(), key.id.as_str());
    let rows = statement.query_map(params![namespace, id, from_u64(from), from_limit(limit)], |row| {
        Ok((to_u64(row.get(0)?), read_bytes(row, 1)?))
    })?;
    rows.collect()
}

/// Which sagas [`due`] is to find.
pub(super) struct Due {
    pub(super) shard: ShardId,
    pub(super) after: Option<Timestamp>,
    pub(super) until: Timestamp,
    pub(super) resume: Option<(Timestamp, SagaKey)>,
    pub(super) limit: usize,
}

/// See [`crate::Store::due`].
pub(super) fn due(conn: &Connection, which: &Due) -> rusqlite::Result<Vec<StoredSaga>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {HEAD} FROM saga INDEXED BY saga_due \
         WHERE shard = :shard AND open = 1 AND due > :after AND due <= :until \
         AND due >= :at AND (due, namespace, id) > (:at, :namespace, :id) \
         ORDER BY due, namespace, id LIMIT :limit"
    ))?;
    // Times are stored from 0 up, and no name is empty: these come before all of them.
    let beginning = (-1, "", "");
    let (at, namespace, id) = which
        .resume
        .as_ref()
        .map_or(beginning, |(due, key)| (from_time(*due), key.namespace.as_str(), key.id.as_str()));
    let rows = statement.query_map(
        named_params! {
            ":shard": which.shard.0,
            ":after": which.after.map_or(-1, from_time),
            ":until": from_time(which.until),
            ":at": at,
            ":namespace": namespace,
            ":id": id,
            ":limit": from_limit(which.limit),
        },
        Head::read,
    )?;
    rows.map(|head| head?.complete(conn)).filter_map(Result::transpose).collect()
}

/// See [`crate::Store::oldest_start`].
pub(super) fn oldest_start(conn: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = conn.prepare_cached("SELECT min(started_at) FROM saga INDEXED BY saga_started")?;
    statement.query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.map(to_time)))
}

/// See [`crate::Store::open_sagas`].
pub(super) fn open_sagas(conn: &Connection, shard: ShardId) -> rusqlite::Result<u64> {
    let mut statement =
        conn.prepare_cached("SELECT count(*) FROM saga INDEXED BY saga_due WHERE shard = ?1 AND open = 1")?;
    statement.query_row([shard.0], |row| row.get(0).map(to_u64))
}
