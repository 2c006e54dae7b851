//! Definitions and participants: what is registered, by whom and when.
//!
//! Doesn't look into the bodies. Invariant: a definition's version never changes but for its deprecation; a participant's revision only rises.

use amends_engine::ids::{DefinitionName, Namespace, ParticipantName, Version};
use amends_engine::payload::Digest;
use amends_engine::time::Timestamp;
use bytes::Bytes;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::columns::{from_time, from_u64, to_time, to_u64};
use super::group::Group;
use super::read::read_bytes;
use crate::contract::{DefinitionRecord, Deprecation, ParticipantRecord};
use crate::error::StoreError;

/// Ends before `WHERE`; the definition is `d`.
const DEFINITION: &str = "SELECT d.namespace, d.name, d.version, d.digest, d.registered_at, d.principal, d.body, \
                          p.at, p.principal, p.reason FROM definition AS d LEFT JOIN deprecation AS p \
                          ON p.namespace = d.namespace AND p.name = d.name AND p.version = d.version";
const PARTICIPANT: &str = "SELECT namespace, name, revision, updated_at, principal, body FROM participant";

/// What is registered: the answer to a put.
pub(super) struct Put<N> {
    pub(super) namespace: Namespace,
    pub(super) name: N,
    pub(super) body: Bytes,
    pub(super) principal: String,
    pub(super) now: Timestamp,
}

/// See [`crate::Store::put_definition`].
pub(super) fn put_definition(
    group: &Group<'_>,
    put: &Put<DefinitionName>,
) -> rusqlite::Result<Result<DefinitionRecord, StoreError>> {
    let (namespace, name) = (put.namespace.as_str(), put.name.as_str());
    let digest = Digest::of(&put.body);
    let same = format!("{DEFINITION} WHERE d.namespace = ?1 AND d.name = ?2 AND d.digest = ?3");
    if let Some(record) = definition(group.conn, &same, params![namespace, name, digest.0])? {
        return Ok(Ok(record));
    }
    let newest = "SELECT coalesce(max(version), 0) FROM definition WHERE namespace = ?1 AND name = ?2";
    let newest: u32 = group.conn.query_row(newest, [namespace, name], |row| row.get(0))?;
    let record = DefinitionRecord {
        namespace: put.namespace.clone(),
        name: put.name.clone(),
        version: Version(newest + 1),
        digest,
        registered_at: put.now,
        principal: put.principal.clone(),
        body: put.body.clone(),
        deprecated: None,
    };
    insert_definition(group.conn, &record)?;
    Ok(Ok(record))
}

/// Adds a version with its deprecation.
pub(super) fn insert_definition(conn: &Connection, record: &DefinitionRecord) -> rusqlite::Result<()> {
    let DefinitionRecord { namespace, name, version, digest, registered_at, principal, body, deprecated } = record;
    let (namespace, name) = (namespace.as_str(), name.as_str());
    conn.execute(
        "INSERT INTO definition (namespace, name, version, digest, registered_at, principal, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![namespace, name, version.0, digest.0, from_time(*registered_at), principal, &body[..]],
    )?;
    if let Some(Deprecation { at, principal, reason }) = deprecated {
        conn.execute(
            "INSERT INTO deprecation (namespace, name, version, at, principal, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![namespace, name, version.0, from_time(*at), principal, reason],
        )?;
    }
    Ok(())
}

/// Every version of every definition, by namespace, name and version.
pub(super) fn every_definition(conn: &Connection) -> rusqlite::Result<Vec<DefinitionRecord>> {
    let mut statement = conn.prepare_cached(&format!("{DEFINITION} ORDER BY d.namespace, d.name, d.version"))?;
    let rows = statement.query_map([], read_definition)?;
    rows.collect()
}

/// See [`crate::Store::get_definition`].
pub(super) fn get_definition(
    conn: &Connection,
    namespace: &Namespace,
    name: &DefinitionName,
    version: Option<Version>,
) -> rusqlite::Result<Option<DefinitionRecord>> {
    let (namespace, name) = (namespace.as_str(), name.as_str());
    match version {
        Some(version) => {
            let query = format!("{DEFINITION} WHERE d.namespace = ?1 AND d.name = ?2 AND d.version = ?3");
            definition(conn, &query, params![namespace, name, version.0])
        }
        None => {
            let query = format!("{DEFINITION} WHERE d.namespace = ?1 AND d.name = ?2 ORDER BY d.version DESC LIMIT 1");
            definition(conn, &query, params![namespace, name])
        }
    }
}

/// See [`crate::Store::definition_versions`].
pub(super) fn definition_versions(
    conn: &Connection,
    namespace: &Namespace,
    name: &DefinitionName,
) -> rusqlite::Result<Vec<DefinitionRecord>> {
    let query = format!("{DEFINITION} WHERE d.namespace = ?1 AND d.name = ?2 ORDER BY d.version");
    let mut statement = conn.prepare_cached(&query)?;
    let rows = statement.query_map([namespace.as_str(), name.as_str()], read_definition)?;
    rows.collect()
}

/// See [`crate::Store::deprecate_definition`].
pub(super) fn deprecate_definition(
    group: &Group<'_>,
    namespace: &Namespace,
    name: &DefinitionName,
    version: Version,
    deprecation: Option<&Deprecation>,
) -> rusqlite::Result<Result<Option<DefinitionRecord>, StoreError>> {
    let Some(record) = get_definition(group.conn, namespace, name, Some(version))? else { return Ok(Ok(None)) };
    let key = (namespace.as_str(), name.as_str());
    group.conn.execute(
        "DELETE FROM deprecation WHERE namespace = ?1 AND name = ?2 AND version = ?3",
        params![key.0, key.1, version.0],
    )?;
    if let Some(Deprecation { at, principal, reason }) = deprecation {
        group.conn.execute(
            "INSERT INTO deprecation (namespace, name, version, at, principal, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![key.0, key.1, version.0, from_time(*at), principal, reason],
        )?;
    }
    Ok(Ok(Some(DefinitionRecord { deprecated: deprecation.cloned(), ..record })))
}

/// See [`crate::Store::list_definitions`].
pub(super) fn list_definitions(conn: &Connection, namespace: &Namespace) -> rusqlite::Result<Vec<DefinitionRecord>> {
    let mut statement = conn.prepare_cached(&format!(
        "{DEFINITION} WHERE d.namespace = ?1 AND d.version = \
         (SELECT max(version) FROM definition WHERE namespace = d.namespace AND name = d.name) ORDER BY d.name"
    ))?;
    let rows = statement.query_map([namespace.as_str()], read_definition)?;
    rows.collect()
}

fn definition(conn: &Connection, query: &str, params: impl Params) -> rusqlite::Result<Option<DefinitionRecord>> {
    conn.prepare_cached(query)?.query_row(params, read_definition).optional()
}

fn read_definition(row: &Row<'_>) -> rusqlite::Result<DefinitionRecord> {
    Ok(DefinitionRecord {
        namespace: name(row, 0, Namespace::parse)?,
        name: name(row, 1, DefinitionName::parse)?,
        version: Version(row.get(2)?),
        digest: Digest(row.get(3)?),
        registered_at: to_time(row.get(4)?),
        principal: row.get(5)?,
        body: read_bytes(row, 6)?,
        deprecated: match row.get::<_, Option<i64>>(7)? {
            Some(at) => Some(Deprecation { at: to_time(at), principal: row.get(8)?, reason: row.get(9)? }),
            None => None,
        },
    })
}

/// See [`crate::Store::put_participant`].
pub(super) fn put_participant(
    group: &Group<'_>,
    put: &Put<ParticipantName>,
    expected: Option<u64>,
) -> rusqlite::Result<Result<ParticipantRecord, StoreError>> {
    let found = get_participant(group.conn, &put.namespace, &put.name)?.map_or(0, |record| record.revision);
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Ok(Err(StoreError::Conflict { expected, found }));
    }
    let record = ParticipantRecord {
        namespace: put.namespace.clone(),
        name: put.name.clone(),
        revision: found + 1,
        updated_at: put.now,
        principal: put.principal.clone(),
        body: put.body.clone(),
    };
    save_participant(group.conn, &record)?;
    Ok(Ok(record))
}

/// Adds a participant, or puts it in the place of what was there.
pub(super) fn save_participant(conn: &Connection, record: &ParticipantRecord) -> rusqlite::Result<()> {
    let ParticipantRecord { namespace, name, revision, updated_at, principal, body } = record;
    let (namespace, name) = (namespace.as_str(), name.as_str());
    conn.execute(
        "INSERT INTO participant (namespace, name, revision, updated_at, principal, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET revision = excluded.revision, \
         updated_at = excluded.updated_at, principal = excluded.principal, body = excluded.body",
        params![namespace, name, from_u64(*revision), from_time(*updated_at), principal, &body[..]],
    )?;
    Ok(())
}

/// See [`crate::Store::get_participant`].
pub(super) fn get_participant(
    conn: &Connection,
    namespace: &Namespace,
    name: &ParticipantName,
) -> rusqlite::Result<Option<ParticipantRecord>> {
    let mut statement = conn.prepare_cached(&format!("{PARTICIPANT} WHERE namespace = ?1 AND name = ?2"))?;
    statement.query_row([namespace.as_str(), name.as_str()], read_participant).optional()
}

/// See [`crate::Store::list_participants`].
pub(super) fn list_participants(conn: &Connection, namespace: &Namespace) -> rusqlite::Result<Vec<ParticipantRecord>> {
    let mut statement = conn.prepare_cached(&format!("{PARTICIPANT} WHERE namespace = ?1 ORDER BY name"))?;
    let rows = statement.query_map([namespace.as_str()], read_participant)?;
    rows.collect()
}

/// See [`crate::Store::all_participants`].
pub(super) fn all_participants(conn: &Connection) -> rusqlite::Result<Vec<ParticipantRecord>> {
    let mut statement = conn.prepare_cached(&format!("{PARTICIPANT} ORDER BY namespace, name"))?;
    let rows = statement.query_map([], read_participant)?;
    rows.collect()
}

fn read_participant(row: &Row<'_>) -> rusqlite::Result<ParticipantRecord> {
    Ok(ParticipantRecord {
        namespace: name(row, 0, Namespace::parse)?,
        name: name(row, 1, ParticipantName::parse)?,
        revision: to_u64(row.get(2)?),
        updated_at: to_time(row.get(3)?),
        principal: row.get(4)?,
        body: read_bytes(row, 5)?,
    })
}

fn name<N, E>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Result<N, E>) -> rusqlite::Result<N>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    Ok(parse(text).map_err(FromSqlError::other)?)
}
