//! The embedded store as the source of a copy, and how it stands.
//!
//! Never leaves out what it can't read: that is an error with the saga's name, because a copy that lacks something would be worse
//! than none. Invariant: a mark is in the same database transaction as the end of every tenure.

use amends_engine::ids::{DefinitionName, SagaKey, Version};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{from_limit, to_remembered, to_time, to_u64};
use super::group::Group;
use super::read::{history, payloads, read_bytes};
use super::{SqliteStore, documents, logs, registry, schema, tenure};
use crate::cell::Cell;
use crate::contract::{DefinitionRecord, Epoch, Log, ShardId};
use crate::error::StoreError;
use crate::transfer::{
    Export, IndexRecord, LogRecord, Moved, ReservedId, ReservedPage, ReservedPlace, SagaRecord, Standing, TransferError,
};

/// From one standing to another, with which every tenure ends; the next epochs are higher than this one.
pub(super) fn stand(
    group: &mut Group<'_>,
    from: &Standing,
    to: &Standing,
    epoch: Epoch,
) -> rusqlite::Result<Result<(), TransferError>> {
    let standing = match standing(group.conn)? {
        Ok(standing) => standing,
        Err(error) => return Ok(Err(error.into())),
    };
    if standing == *to {
        return Ok(Ok(()));
    }
    if standing != *from {
        return Ok(Err(TransferError::Stands { standing }));
    }
    if let Err(held) = tenure::end_all(group, epoch)? {
        return Ok(Err(held));
    }
    schema::set_standing(group.conn, to).map(Ok)
}

pub(super) fn standing(conn: &Connection) -> rusqlite::Result<Result<Standing, StoreError>> {
    let unreadable = || StoreError::Corrupt { what: "how the store stands can't be read".to_owned(), source: None };
    Ok(schema::standing(conn)?.ok_or_else(unreadable))
}

/// All that is kept of a saga; `None` where there is none.
pub(super) fn record(conn: &Connection, key: &SagaKey) -> rusqlite::Result<Result<Option<SagaRecord>, StoreError>> {
    let mut statement = conn.prepare_cached(
        "SELECT saga, revision, state, due, retain_until, ops, status, stuck, definition, version, started_at, open, name \
         FROM saga LEFT JOIN cell USING (cell) WHERE namespace = ?1 AND id = ?2",
    )?;
    let found =
        statement.query_row([key.namespace.as_str(), key.id.as_str()], |row| head(conn, key, row)).optional()?;
    let Some((saga, record)) = found else { return Ok(Ok(None)) };
    let complete = record.zip(payloads(conn, saga)?).map(|(record, payloads)| SagaRecord { payloads, ..record });
    let unreadable = || StoreError::Corrupt {
        what: format!("saga {key} has a part that can't be read: restore it from a backup"),
        source: None,
    };
    Ok(complete.map(Some).ok_or_else(unreadable))
}

/// Its row's number, and all but the payloads; `None` where something can't be read.
fn head(conn: &Connection, key: &SagaKey, row: &Row<'_>) -> rusqlite::Result<(i64, Option<SagaRecord>)> {
    let time = |column: usize| row.get::<_, Option<i64>>(column).map(|time| time.map(to_time));
    let saga = row.get(0)?;
    let remembered = to_remembered(row.get_ref(5)?.as_blob()?);
    let definition = DefinitionName::parse(row.get_ref(8)?.as_str()?).ok();
    let cell = row.get_ref(12)?.as_str().ok().and_then(Cell::read);
    let Some(((remembered, definition), cell)) = remembered.zip(definition).zip(cell) else { return Ok((saga, None)) };
    let index = IndexRecord {
        status: row.get(6)?,
        stuck: row.get(7)?,
        definition,
        version: Version(row.get(9)?),
        labels: labels(conn, saga)?,
        started_at: to_time(row.get(10)?),
        open: row.get(11)?,
        held_up_at: cell.held_up_at,
        acknowledged: cell.acknowledged,
    };
    let record = SagaRecord {
        key: key.clone(),
        revision: to_u64(row.get(1)?),
        state: read_bytes(row, 2)?,
        payloads: Vec::new(),
        history: history(conn, key, 0, usize::MAX)?,
        remembered,
        due: time(3)?,
        index,
        retain_until: time(4)?,
    };
    Ok((saga, Some(record)))
}

fn labels(conn: &Connection, saga: i64) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = conn.prepare_cached("SELECT name, value FROM label WHERE saga = ?1 ORDER BY name, value")?;
    statement.query_map([saga], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Ids that were swept here come first, by their key; then those of the store that this one was copied from, by digest.
fn reserved(conn: &Connection, from: Option<&ReservedPlace>, limit: usize) -> rusqlite::Result<ReservedPage> {
    let place = from.map_or("key ,", |ReservedPlace(place)| place.as_str());
    if let Some((namespace, id)) = place.strip_prefix("key ").and_then(|key| key.split_once(',')) {
        let mut statement = conn.prepare_cached(
            "SELECT namespace, id FROM reserved WHERE (namespace, id) > (?1, ?2) ORDER BY namespace, id LIMIT ?3",
        )?;
        let keys: Vec<(String, String)> = statement
            .query_map(params![namespace, id, from_limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let next = match keys.last().filter(|_| keys.len() == limit) {
            Some((namespace, id)) => format!("key {namespace},{id}"),
            None => "digest ".to_owned(),
        };
        let ids = keys.iter().map(|(namespace, id)| of_text(namespace, id)).collect();
        return Ok(ReservedPage { ids, next: Some(ReservedPlace(next)) });
    }
    let after: Vec<u8> = (0..place.len().saturating_sub(7) / 2)
        .filter_map(|byte| u8::from_str_radix(place.get(7 + 2 * byte..9 + 2 * byte)?, 16).ok())
        .collect();
    let mut statement =
        conn.prepare_cached("SELECT digest FROM reserved_digest WHERE digest > ?1 ORDER BY digest LIMIT ?2")?;
    let ids: Vec<ReservedId> = statement
        .query_map(params![after, from_limit(limit)], |row| row.get(0).map(ReservedId))?
        .collect::<rusqlite::Result<_>>()?;
    let hex = |id: &ReservedId| id.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let next = ids.last().filter(|_| ids.len() == limit).map(|id| ReservedPlace(format!("digest {}", hex(id))));
    Ok(ReservedPage { ids, next })
}

fn of_text(namespace: &str, id: &str) -> ReservedId {
    ReservedId::of_text(&format!("{namespace}/{id}"))
}

fn are_reserved(conn: &Connection, ids: &[ReservedId]) -> rusqlite::Result<Vec<bool>> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM reserved_digest WHERE digest = ?1")?;
    let mut found = ids.iter().map(|id| statement.exists([id.0])).collect::<rusqlite::Result<Vec<bool>>>()?;
    if found.iter().all(|found| *found) {
        return Ok(found);
    }
    let mut statement = conn.prepare_cached("SELECT namespace, id FROM reserved")?;
    let own = statement.query_map([], |row| Ok(of_text(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)))?;
    let own: std::collections::BTreeSet<ReservedId> = own.collect::<rusqlite::Result<_>>()?;
    ids.iter().zip(&mut found).for_each(|(id, found)| *found |= own.contains(id));
    Ok(found)
}

#[async_trait]
impl Export for SqliteStore {
    async fn standing(&self) -> Result<Standing, StoreError> {
        self.readers.read(|tx| standing(tx)).await?
    }

    async fn records(&self, keys: &[SagaKey]) -> Result<Vec<Option<SagaRecord>>, StoreError> {
        let keys = keys.to_vec();
        let read =
            self.readers.read(move |tx| keys.iter().map(|key| record(tx, key)).collect::<rusqlite::Result<Vec<_>>>());
        read.await?.into_iter().collect()
    }

    async fn reserved(&self, from: Option<ReservedPlace>, limit: usize) -> Result<ReservedPage, StoreError> {
        self.readers.read(move |tx| reserved(tx, from.as_ref(), limit)).await
    }

    async fn count_reserved(&self) -> Result<u64, StoreError> {
        let count = "SELECT (SELECT count(*) FROM reserved) + (SELECT count(*) FROM reserved_digest)";
        self.readers.read(|tx| tx.query_row(count, [], |row| row.get(0).map(to_u64))).await
    }

    async fn are_reserved(&self, ids: &[ReservedId]) -> Result<Vec<bool>, StoreError> {
        let ids = ids.to_vec();
        self.readers.read(move |tx| are_reserved(tx, &ids)).await
    }

    async fn every_definition(&self) -> Result<Vec<DefinitionRecord>, StoreError> {
        self.readers.read(|tx| registry::every_definition(tx)).await
    }

    async fn log_records(
        &self,
        shard: ShardId,
        log: Log,
        from: u64,
        limit: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        let shard = self.known(shard)?;
        self.readers.read(move |tx| logs::records(tx, shard, log, from, limit)).await
    }

    async fn document_kinds(&self) -> Result<Vec<String>, StoreError> {
        self.readers.read(|tx| documents::kinds(tx)).await
    }

    async fn mark_moved(&self, moved: &Moved) -> Result<(), TransferError> {
        let to = Standing::Moved(moved.clone());
        self.writer.call(move |group| stand(group, &Standing::InUse, &to, Epoch(0)).map(Ok)).await?
    }

    async fn reopen(&self) -> Result<(), TransferError> {
        let reopen = |group: &mut Group<'_>| match standing(group.conn)? {
            Ok(standing @ Standing::Filling(_)) => Ok(Err(TransferError::Stands { standing })),
            Ok(from) => stand(group, &from, &Standing::InUse, Epoch(0)),
            Err(error) => Ok(Err(error.into())),
        };
        self.writer.call(move |group| reopen(group).map(Ok)).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_come_in_pages_behind_the_keys() {
        let conn = Connection::open_in_memory().unwrap();
        for (name, statement) in schema::OBJECTS.iter().filter(|(name, _)| name.starts_with("reserved")) {
            conn.execute_batch(statement).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        for byte in [0_u8, 7, 255] {
            conn.execute("INSERT INTO reserved_digest VALUES (?1)", [[byte; 16]]).unwrap();
        }
        conn.execute("INSERT INTO reserved VALUES ('default', 'order-1', 0), ('team', 'order-1', 0)", []).unwrap();
        let (mut ids, mut place) = (Vec::new(), None);
        loop {
            let page = reserved(&conn, place.as_ref(), 1).unwrap();
            ids.extend(page.ids);
            place = page.next;
            if place.is_none() {
                break;
            }
        }
        let digests = [0, 7, 255].map(|byte| ReservedId([byte; 16]));
        assert_eq!(ids, [&[of_text("default", "order-1"), of_text("team", "order-1")], &digests[..]].concat());
        assert_eq!(are_reserved(&conn, &ids).unwrap(), [true; 5]);
        assert_eq!(are_reserved(&conn, &[ReservedId([1; 16]), ids[0]]).unwrap(), [false, true]);
    }
}
