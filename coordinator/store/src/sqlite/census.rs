//! Counts what a shard has open, for gauges.
//!
//! Reads only. Invariant: both numbers of a census come from one read transaction, so that no commit is between them.

use amends_engine::ids::{DefinitionName, Namespace};
use amends_engine::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::cells::{Counted, matching};
use super::columns::{to_time, to_u64};
use crate::contract::{Census, Filter, OpenCount, ShardId};

/// See [`crate::Store::census`]. Walks the unfinished sagas of the shard.
pub(super) fn census(conn: &Connection, shard: ShardId) -> rusqlite::Result<Census> {
    let number: Option<i64> = conn
        .prepare_cached("SELECT number FROM shard_commits WHERE shard = ?1")?
        .query_row([shard.0], |row| row.get(0))
        .optional()?;
    let mut statement = conn.prepare_cached(
        "SELECT namespace, definition, status, stuck, count(*) FROM saga INDEXED BY saga_due \
         WHERE shard = ?1 AND open = 1 GROUP BY namespace, definition, status, stuck \
         ORDER BY namespace, definition, status, stuck",
    )?;
    let rows = statement.query_map([shard.0], read)?;
    let open = rows.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?;
    Ok(Census { commits: number.map_or(0, to_u64), open })
}

/// `None` where the names can't be read: such a saga can't be worked on either, and is reported by whoever meets it.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<OpenCount>> {
    let text =
        |column| Ok::<_, rusqlite::Error>(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?).into_owned());
    let names = (Namespace::parse(&text(0)?), DefinitionName::parse(&text(1)?));
    let (Ok(namespace), Ok(definition)) = names else { return Ok(None) };
    let (status, stuck, count) = (text(2)?, row.get(3)?, to_u64(row.get(4)?));
    Ok(Some(OpenCount { namespace, definition, status, stuck, count }))
}

/// See [`crate::Store::oldest_open`]. Walks from the oldest saga of each cell with this status on to the first one of the
/// shard; shards are about evenly full, so that is a few.
pub(super) fn oldest_open(conn: &Connection, shard: ShardId, status: &str) -> rusqlite::Result<Option<Timestamp>> {
    let filter = Filter { statuses: vec![status.to_owned()], ..Filter::default() };
    let mut statement = conn.prepare_cached(
        "SELECT started_at FROM saga INDEXED BY saga_cell WHERE cell = ?1 AND shard = ?2 ORDER BY started_at LIMIT 1",
    )?;
    let mut oldest = None;
    for Counted { number, .. } in matching(conn, &filter)?.0.into_iter().filter(|counted| counted.cell.open) {
        let first = statement.query_row((number, shard.0), |row| row.get(0).map(to_time)).optional()?;
        oldest = first.into_iter().chain(oldest).min();
    }
    Ok(oldest)
}
