//! The logs of the shards: entries beside each other in one table, and for each log which numbers it has.
//!
//! The writer keeps the spans in memory with the tenures, and writes those that changed once per group. A commit without entries
//! costs nothing here. Invariant: an entry is in the same database transaction as its log's span.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{from_limit, from_u64, to_u64};
use super::group::Group;
use super::read::read_bytes;
use super::tenure::{Tenure, tenure_of};
use crate::contract::{Append, Committed, Lease, Log, OpId, ShardId, Span};
use crate::error::{CommitError, StoreError};
use crate::logs::Spans;
use crate::transfer::LogRecord;

/// A log as a column has it.
pub(super) fn from_log(log: Log) -> i64 {
    match log {
        Log::Audit => 1,
        Log::Outbox => 2,
    }
}

/// The spans of a shard's logs.
pub(super) fn load(conn: &Connection, shard: ShardId) -> rusqlite::Result<Spans> {
    let mut spans = Spans::NEW;
    for log in Log::ALL {
        spans.set(log, span(conn, shard, log)?);
    }
    Ok(spans)
}

/// See [`crate::Store::log_span`].
pub(super) fn span(conn: &Connection, shard: ShardId, log: Log) -> rusqlite::Result<Span> {
    let mut statement = conn.prepare_cached("SELECT first, next FROM log WHERE shard = ?1 AND log = ?2")?;
    let read = |row: &Row<'_>| Ok(Span { first: to_u64(row.get(0)?), next: to_u64(row.get(1)?) });
    Ok(statement.query_row(params![shard.0, from_log(log)], read).optional()?.unwrap_or(Span::NEW))
}

/// Says which numbers a log has.
pub(super) fn save_span(conn: &Connection, shard: ShardId, log: Log, span: Span) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO log (shard, log, first, next) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET first = ?3, next = ?4",
    )?;
    statement.execute(params![shard.0, from_log(log), from_u64(span.first), from_u64(span.next)]).map(|_| ())
}

/// Writes the spans that this group has changed: the last thing before its end.
pub(super) fn save(conn: &Connection, tenures: &mut [Tenure]) -> rusqlite::Result<()> {
    for (shard, tenure) in (0_u16..).zip(tenures).filter(|(_, tenure)| tenure.spans != tenure.saved_spans) {
        for log in Log::ALL.into_iter().filter(|log| tenure.spans.of(*log) != tenure.saved_spans.of(*log)) {
            save_span(conn, ShardId(shard), log, tenure.spans.of(log))?;
        }
        tenure.saved_spans = tenure.spans;
    }
    Ok(())
}

/// Writes entries that were judged.
pub(super) fn write(group: &mut Group<'_>, shard: ShardId, op: OpId, entries: &[Append]) -> rusqlite::Result<()> {
    for Append { log, number, body } in entries {
        insert(group.conn, shard, *log, (*number, op), body)?;
        let spans = &mut group.tenures[usize::from(shard.0)].spans;
        spans.set(*log, Span { next: number + 1, ..spans.of(*log) });
    }
    Ok(())
}

/// Adds an entry.
pub(super) fn insert(
    conn: &Connection,
    shard: ShardId,
    log: Log,
    (number, op): (u64, OpId),
    body: &[u8],
) -> rusqlite::Result<()> {
    let mut statement =
        conn.prepare_cached("INSERT INTO log_entry (shard, log, number, op, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute(params![shard.0, from_log(log), from_u64(number), op.0.to_be_bytes(), body]).map(|_| ())
}

/// See [`crate::Store::append`].
pub(super) fn append(
    group: &mut Group<'_>,
    lease: &Lease,
    op: OpId,
    entries: &[Append],
) -> rusqlite::Result<Result<Committed, CommitError>> {
    let shard = usize::from(lease.shard.0);
    let Some(tenure) = group.tenures.get(shard).filter(|tenure| tenure.is_of(lease)) else {
        return Ok(Err(CommitError::Fenced));
    };
    if is_there(group.conn, lease.shard, op, entries)? {
        return Ok(Ok(Committed::Duplicate { number: tenure.commits() }));
    }
    if let Err(refused) = tenure.spans.with(entries) {
        return Ok(Err(refused));
    }
    write(group, lease.shard, op, entries)?;
    Ok(Ok(Committed::Now { number: group.tenures[shard].count() }))
}

/// Whether this write is in the logs already.
fn is_there(conn: &Connection, shard: ShardId, op: OpId, entries: &[Append]) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM log_entry WHERE shard = ?1 AND log = ?2 AND number = ?3 AND op = ?4 AND body = ?5",
    )?;
    for Append { log, number, body } in entries {
        if !statement.exists(params![shard.0, from_log(*log), from_u64(*number), op.0.to_be_bytes(), &body[..]])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// See [`crate::Store::read_log`].
pub(super) fn read(
    conn: &Connection,
    shard: ShardId,
    log: Log,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Bytes)>> {
    Ok(records(conn, shard, log, from, limit)?.into_iter().map(|it| (it.number, it.body)).collect())
}

/// See [`crate::transfer::Export::log_records`].
pub(super) fn records(
    conn: &Connection,
    shard: ShardId,
    log: Log,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<LogRecord>> {
    let mut statement = conn.prepare_cached(
        "SELECT number, op, body FROM log_entry WHERE shard = ?1 AND log = ?2 AND number >= ?3 ORDER BY number LIMIT ?4",
    )?;
    statement.query_map(params![shard.0, from_log(log), from_u64(from), from_limit(limit)], record)?.collect()
}

/// An entry from its number, op id and body.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<LogRecord> {
    let op = OpId(u128::from_be_bytes(row.get(1)?));
    Ok(LogRecord { number: to_u64(row.get(0)?), op, body: read_bytes(row, 2)? })
}

/// See [`crate::Store::trim_log`].
pub(super) fn trim(
    group: &mut Group<'_>,
    lease: &Lease,
    log: Log,
    below: u64,
) -> rusqlite::Result<Result<(), StoreError>> {
    match tenure_of(group, lease.shard) {
        Ok(tenure) if tenure.is_of(lease) => {}
        Ok(_) => return Ok(Err(StoreError::LeaseLost)),
        Err(error) => return Ok(Err(error)),
    }
    let spans = &mut group.tenures[usize::from(lease.shard.0)].spans;
    let span = spans.of(log).trimmed(below);
    spans.set(log, span);
    let mut statement =
        group.conn.prepare_cached("DELETE FROM log_entry WHERE shard = ?1 AND log = ?2 AND number < ?3")?;
    statement.execute(params![lease.shard.0, from_log(log), from_u64(span.first)])?;
    Ok(Ok(()))
}
