//! Documents: small records that no shard owns.
//!
//! Doesn't look into the bodies. Invariant: every put gets a revision that no document had before, from one counter.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{from_limit, from_u64, to_u64};
use super::group::Group;
use super::read::read_bytes;
use crate::contract::Document;
use crate::error::StoreError;

const DOCUMENT: &str = "SELECT kind, id, revision, body FROM document";

/// See [`crate::Store::put_document`].
pub(super) fn put(
    group: &Group<'_>,
    kind: &str,
    id: &str,
    body: &[u8],
    expected: Option<u64>,
) -> rusqlite::Result<Result<u64, StoreError>> {
    if let Err(conflict) = expect(group.conn, kind, id, expected)? {
        return Ok(Err(conflict));
    }
    let next = "INSERT INTO document_revision (only, revision) VALUES (0, 1) \
                ON CONFLICT DO UPDATE SET revision = revision + 1 RETURNING revision";
    let revision = to_u64(group.conn.prepare_cached(next)?.query_row([], |row| row.get(0))?);
    save(group.conn, kind, id, revision, body)?;
    Ok(Ok(revision))
}

/// Adds a document, or puts it in the place of what was there.
pub(super) fn save(conn: &Connection, kind: &str, id: &str, revision: u64, body: &[u8]) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO document (kind, id, revision, body) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET revision = ?3, body = ?4",
    )?;
    statement.execute(params![kind, id, from_u64(revision), body]).map(|_| ())
}

/// Lets every later revision be higher than this one.
pub(super) fn raise(conn: &Connection, revision: u64) -> rusqlite::Result<()> {
    let raise = "INSERT INTO document_revision (only, revision) VALUES (0, ?1) \
                 ON CONFLICT DO UPDATE SET revision = max(revision, ?1)";
    conn.prepare_cached(raise)?.execute([from_u64(revision)]).map(|_| ())
}

fn expect(conn: &Connection, kind: &str, id: &str, expected: Option<u64>) -> rusqlite::Result<Result<(), StoreError>> {
    let Some(expected) = expected else { return Ok(Ok(())) };
    let mut statement = conn.prepare_cached("SELECT revision FROM document WHERE kind = ?1 AND id = ?2")?;
    let found = statement.query_row([kind, id], |row| row.get(0)).optional()?.map_or(0, to_u64);
    Ok(if expected == found { Ok(()) } else { Err(StoreError::Conflict { expected, found }) })
}

/// See [`crate::Store::get_document`].
pub(super) fn get(conn: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Document>> {
    let mut statement = conn.prepare_cached(&format!("{DOCUMENT} WHERE kind = ?1 AND id = ?2"))?;
    statement.query_row([kind, id], read).optional()
}

/// See [`crate::Store::list_documents`].
pub(super) fn list(
    conn: &Connection,
    kind: &str,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<Document>> {
    let from = if after.is_some() { "AND id > ?2" } else { "AND ?2 = ''" };
    let mut statement = conn.prepare_cached(&format!("{DOCUMENT} WHERE kind = ?1 {from} ORDER BY id LIMIT ?3"))?;
    statement.query_map(params![kind, after.unwrap_or_default(), from_limit(limit)], read)?.collect()
}

/// See [`crate::transfer::Export::document_kinds`].
pub(super) fn kinds(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached("SELECT DISTINCT kind FROM document ORDER BY kind")?.query_map([], |row| row.get(0))?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Document> {
    let body: Bytes = read_bytes(row, 3)?;
    Ok(Document { kind: row.get(0)?, id: row.get(1)?, revision: to_u64(row.get(2)?), body })
}

/// See [`crate::Store::delete_document`].
pub(super) fn delete(
    group: &Group<'_>,
    kind: &str,
    id: &str,
    expected: Option<u64>,
) -> rusqlite::Result<Result<bool, StoreError>> {
    if let Err(conflict) = expect(group.conn, kind, id, expected)? {
        return Ok(Err(conflict));
    }
    let deleted = group.conn.prepare_cached("DELETE FROM document WHERE kind = ?1 AND id = ?2")?.execute([kind, id])?;
    Ok(Ok(deleted > 0))
}
