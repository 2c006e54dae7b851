//! Removing what is over: finished sagas past their retention, with all that stands beside them.
//!
//! Safe to repeat and to break off: the finished saga is the truth, its removal a separate step (anomaly 27).
//! Invariant: an unfinished saga is never removed, whatever its row says of retention; a removed one's id stays reserved.

use amends_engine::time::Timestamp;
use rusqlite::{Row, params};

use super::columns::{from_limit, from_time};
use super::group::Group;
use crate::error::StoreError;

/// See [`crate::Store::sweep`].
pub(super) fn sweep(group: &mut Group<'_>, now: Timestamp, limit: usize) -> rusqlite::Result<Result<u64, StoreError>> {
    let mut over = group.conn.prepare_cached(
        "SELECT saga, namespace, id, cell FROM saga INDEXED BY saga_retention \
         WHERE open = 0 AND retain_until IS NOT NULL AND retain_until <= ?1 \
         ORDER BY retain_until, namespace, id LIMIT ?2",
    )?;
    let read = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    };
    let found: Vec<_> =
        over.query_map(params![from_time(now), from_limit(limit)], read)?.collect::<rusqlite::Result<_>>()?;
    for (saga, namespace, id, cell) in &found {
        remove(group, *saga)?;
        group.cells.leave(*cell);
        let mut reserve = group.conn.prepare_cached(
            "INSERT INTO reserved (namespace, id, swept_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        reserve.execute(params![namespace, id, from_time(now)])?;
    }
    Ok(Ok(found.len() as u64))
}

fn remove(group: &Group<'_>, saga: i64) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM saga WHERE saga = ?1",
        "DELETE FROM payload WHERE saga = ?1",
        "DELETE FROM history WHERE saga = ?1",
        "DELETE FROM label WHERE saga = ?1",
    ] {
        group.conn.prepare_cached(statement)?.execute([saga])?;
    }
    Ok(())
}
