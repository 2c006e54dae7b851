//! Logs and documents of a copy: the embedded store as their target.
//!
//! Judged before the first row is written, like everything of a put.

use rusqlite::{OptionalExtension as _, params};

use super::columns::from_u64;
use super::group::Group;
use super::import::Outcome;
use super::logs::{from_log, insert, record};
use super::{documents, tenure};
use crate::contract::{Document, Log, ShardId, Span};
use crate::transfer::{LogRecord, TransferError};

/// See [`crate::transfer::Import::put_log`].
pub(super) fn put_log(
    group: &mut Group<'_>,
    shard: ShardId,
    log: Log,
    span: Span,
    records: &[LogRecord],
) -> Outcome<()> {
    let there = match tenure::tenure_of(group, shard) {
        Ok(tenure) => tenure.spans.of(log),
        Err(error) => return Ok(Err(error.into())),
    };
    if there != span && there != Span::NEW {
        return Ok(Err(TransferError::Differs { what: format!("{} log of shard {}", log.name(), shard.0) }));
    }
    let mut new = Vec::new();
    let mut statement = group
        .conn
        .prepare_cached("SELECT number, op, body FROM log_entry WHERE shard = ?1 AND log = ?2 AND number = ?3")?;
    for it in records {
        let found = statement.query_row(params![shard.0, from_log(log), from_u64(it.number)], record).optional()?;
        match found {
            None => new.push(it),
            Some(found) if found == *it => {}
            Some(_) => return Ok(Err(TransferError::differs_in_log(shard, log, it.number))),
        }
    }
    for LogRecord { number, op, body } in new {
        insert(group.conn, shard, log, (*number, *op), body)?;
    }
    group.tenures[usize::from(shard.0)].spans.set(log, span);
    Ok(Ok(()))
}

/// See [`crate::transfer::Import::put_documents`].
pub(super) fn put_documents(group: &mut Group<'_>, records: &[Document]) -> Outcome<()> {
    let mut new = Vec::new();
    for it in records {
        match documents::get(group.conn, &it.kind, &it.id)? {
            None => new.push(it),
            Some(there) if there == *it => {}
            Some(_) => return Ok(Err(TransferError::Differs { what: format!("{} document {}", it.kind, it.id) })),
        }
    }
    for Document { kind, id, revision, body } in new {
        documents::save(group.conn, kind, id, *revision, body)?;
        documents::raise(group.conn, *revision)?;
    }
    Ok(Ok(()))
}
