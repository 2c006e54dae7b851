//! The embedded store as the target of a copy: rows as they were elsewhere.
//!
//! Everything of a put is judged before the first row is written. Invariant: a put that is refused leaves no row behind.

use async_trait::async_trait;
use rusqlite::params;

use super::columns::{from_encoding, from_remembered, from_time, from_u64, to_slot};
use super::export::{record, stand, standing};
use super::group::Group;
use super::{SqliteStore, import_logs, registry};
use crate::cell::Cell;
use crate::contract::{DefinitionRecord, Document, Epoch, Log, ParticipantRecord, ShardId, Span, shard_of};
use crate::transfer::{Filling, Import, LogRecord, ReservedId, SagaRecord, Standing, TransferError};

pub(super) type Outcome<T> = rusqlite::Result<Result<T, TransferError>>;

/// Runs a put, if the store is being filled under this.
fn filled<T>(group: &mut Group<'_>, filling: &Filling, put: impl FnOnce(&mut Group<'_>) -> Outcome<T>) -> Outcome<T> {
    match standing(group.conn)? {
        Ok(Standing::Filling(current)) if current == *filling => put(group),
        Ok(standing) => Ok(Err(TransferError::Stands { standing })),
        Err(error) => Ok(Err(error.into())),
    }
}

fn begin(group: &mut Group<'_>, filling: &Filling) -> Outcome<()> {
    if matches!(standing(group.conn)?, Ok(Standing::InUse)) {
        for (table, what) in [
            ("saga", "sagas"),
            ("reserved", "ids of swept sagas"),
            ("reserved_digest", "ids of swept sagas"),
            ("definition", "definitions"),
            ("participant", "participants"),
            ("log", "logs"),
            ("document", "documents"),
        ] {
            if group.conn.prepare(&format!("SELECT 1 FROM {table}"))?.exists([])? {
                return Ok(Err(TransferError::NotEmpty { what: what.to_owned() }));
            }
        }
    }
    stand(group, &Standing::InUse, &Standing::Filling(filling.clone()), filling.epoch)
}

fn put_sagas(group: &mut Group<'_>, sagas: &[SagaRecord]) -> Outcome<u64> {
    let mut new = Vec::new();
    for saga in sagas {
        match record(group.conn, &saga.key)? {
            Ok(None) => new.push(saga),
            Ok(Some(there)) if there == *saga => {}
            Ok(Some(_)) => return Ok(Err(TransferError::Differs { what: format!("saga {}", saga.key) })),
            Err(error) => return Ok(Err(error.into())),
        }
    }
    new.iter().try_for_each(|saga| insert(group, saga))?;
    Ok(Ok(new.len() as u64))
}

fn insert(group: &mut Group<'_>, record: &SagaRecord) -> rusqlite::Result<()> {
    let saga = *group.next_saga;
    let cell = group.cells.number(group.conn, &Cell::text_of(&record.key.namespace, &record.index))?;
    let SagaRecord { key, revision, state, payloads, history, remembered, due, index, retain_until } = record;
    let shards = u16::try_from(group.tenures.len()).unwrap_or(u16::MAX);
    let mut statement = group.conn.prepare_cached(
        "INSERT INTO saga (saga, namespace, id, shard, revision, open, due, status, stuck, definition, version, \
         started_at, retain_until, ops, state, cell) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    let started_at = from_time(index.started_at);
    statement.execute(params![
        saga,
        key.namespace.as_str(),
        key.id.as_str(),
        shard_of(key, shards).0,
        from_u64(*revision),
        index.open,
        due.map(from_time),
        index.status,
        index.stuck,
        index.definition.as_str(),
        index.version.0,
        started_at,
        retain_until.map(from_time),
        from_remembered(remembered),
        &state[..],
        cell,
    ])?;
    group.cells.enter(cell);
    let mut label =
        group.conn.prepare_cached("INSERT INTO label (saga, name, value, started_at) VALUES (?1, ?2, ?3, ?4)")?;
    for (name, value) in &index.labels {
        label.execute(params![saga, name, value, started_at])?;
    }
    let mut payload =
        group.conn.prepare_cached("INSERT INTO payload (saga, slot, encoding, bytes) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, content) in payloads {
        payload.execute(params![saga, to_slot(*key), from_encoding(content.encoding), &content.bytes[..]])?;
    }
    let mut entries = group.conn.prepare_cached("INSERT INTO history (saga, sequence, entry) VALUES (?1, ?2, ?3)")?;
    for (sequence, entry) in history {
        entries.execute(params![saga, from_u64(*sequence), &entry[..]])?;
    }
    *group.next_saga += 1;
    Ok(())
}

fn put_reserved(group: &mut Group<'_>, ids: &[ReservedId]) -> Outcome<()> {
    let mut statement =
        group.conn.prepare_cached("INSERT INTO reserved_digest (digest) VALUES (?1) ON CONFLICT DO NOTHING")?;
    for id in ids {
        statement.execute([id.0])?;
    }
    Ok(Ok(()))
}

/// Puts registered records: one that is there must be the same.
fn put_all<R: PartialEq>(
    group: &mut Group<'_>,
    records: &[R],
    get: impl Fn(&Group<'_>, &R) -> rusqlite::Result<Option<R>>,
    insert: impl Fn(&Group<'_>, &R) -> rusqlite::Result<()>,
    name: impl Fn(&R) -> String,
) -> Outcome<()> {
    let mut new = Vec::new();
    for record in records {
        match get(group, record)? {
            None => new.push(record),
            Some(there) if there == *record => {}
            Some(_) => return Ok(Err(TransferError::Differs { what: name(record) })),
        }
    }
    new.into_iter().try_for_each(|record| insert(group, record))?;
    Ok(Ok(()))
}

fn put_definitions(group: &mut Group<'_>, records: &[DefinitionRecord]) -> Outcome<()> {
    put_all(
        group,
        records,
        |group, it| registry::get_definition(group.conn, &it.namespace, &it.name, Some(it.version)),
        |group, it| registry::insert_definition(group.conn, it),
        |it| format!("definition {}/{}, version {}", it.namespace, it.name, it.version.0),
    )
}

fn put_participants(group: &mut Group<'_>, records: &[ParticipantRecord]) -> Outcome<()> {
    put_all(
        group,
        records,
        |group, it| registry::get_participant(group.conn, &it.namespace, &it.name),
        |group, it| registry::save_participant(group.conn, it),
        |it| format!("participant {}/{}", it.namespace, it.name),
    )
}

#[async_trait]
impl Import for SqliteStore {
    async fn begin(&self, filling: &Filling) -> Result<(), TransferError> {
        let filling = filling.clone();
        self.writer.call(move |group| begin(group, &filling).map(Ok)).await?
    }

    async fn put_sagas(&self, filling: &Filling, sagas: Vec<SagaRecord>) -> Result<u64, TransferError> {
        let filling = filling.clone();
        self.writer.call(move |group| filled(group, &filling, |group| put_sagas(group, &sagas)).map(Ok)).await?
    }

    async fn put_reserved(&self, filling: &Filling, ids: Vec<ReservedId>) -> Result<(), TransferError> {
        let filling = filling.clone();
        self.writer.call(move |group| filled(group, &filling, |group| put_reserved(group, &ids)).map(Ok)).await?
    }

    async fn put_definitions(&self, filling: &Filling, records: Vec<DefinitionRecord>) -> Result<(), TransferError> {
        let filling = filling.clone();
        self.writer.call(move |group| filled(group, &filling, |group| put_definitions(group, &records)).map(Ok)).await?
    }

    async fn put_participants(&self, filling: &Filling, records: Vec<ParticipantRecord>) -> Result<(), TransferError> {
        let filling = filling.clone();
        self.writer
            .call(move |group| filled(group, &filling, |group| put_participants(group, &records)).map(Ok))
            .await?
    }

    async fn put_log(
        &self,
        filling: &Filling,
        shard: ShardId,
        log: Log,
        span: Span,
        records: Vec<LogRecord>,
    ) -> Result<(), TransferError> {
        let filling = filling.clone();
        let put = move |group: &mut Group<'_>| {
            filled(group, &filling, |group| import_logs::put_log(group, shard, log, span, &records)).map(Ok)
        };
        self.writer.call(put).await?
    }

    async fn put_documents(&self, filling: &Filling, documents: Vec<Document>) -> Result<(), TransferError> {
        let filling = filling.clone();
        let put = move |group: &mut Group<'_>| {
            filled(group, &filling, |group| import_logs::put_documents(group, &documents)).map(Ok)
        };
        self.writer.call(put).await?
    }

    async fn finish(&self, filling: &Filling) -> Result<(), TransferError> {
        let from = Standing::Filling(filling.clone());
        self.writer.call(move |group| stand(group, &from, &Standing::InUse, Epoch(0)).map(Ok)).await?
    }
}
