//! The floor's writes on SQLite: a fenced compare-and-set each, with state, output and history, grouped in one transaction.
//!
//! With the settings that the embedded store has (write-ahead log, a full sync at each commit). One thread that does nothing else.
//! Invariant: nothing is answered before its transaction is durable.

use std::path::Path;

use rusqlite::{Connection, params};

use super::super::floor::{ENTRY, GROUP, Queue, STATE, Write};
use super::super::work::text;
use crate::exit::Failure;

const TABLES: &str = "\
    CREATE TABLE lease (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;\
    CREATE TABLE saga (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, state BLOB NOT NULL) STRICT;\
    CREATE TABLE history (saga INTEGER, revision INTEGER, entry BLOB NOT NULL, output BLOB NOT NULL, \
                          PRIMARY KEY (saga, revision)) STRICT, WITHOUT ROWID;\
    CREATE TABLE open (saga INTEGER PRIMARY KEY) STRICT;\
    INSERT INTO lease VALUES (0, 7);";

/// Writes until the queue ends.
pub(super) fn start(folder: &Path, mut queue: Queue) -> Result<(), Failure> {
    let failed = |error: rusqlite::Error| Failure::Process(std::io::Error::other(error));
    let mut connection = Connection::open(folder.join("floor.db")).map_err(failed)?;
    let _: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.execute_batch(TABLES).map_err(failed)?;
    std::thread::spawn(move || {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let accepted = write(&mut connection, &group).unwrap_or_default();
            // Nobody is told that a write was accepted which wasn't: a dropped sender fails its unit.
            for (write, accepted) in group.drain(..).zip(accepted) {
                let _ = write.accepted.send(accepted);
            }
        }
    });
    Ok(())
}

fn write(connection: &mut Connection, group: &[Write]) -> rusqlite::Result<Vec<bool>> {
    let transaction = connection.transaction()?;
    let (state, output, entry) = ("s".repeat(STATE), text(), "h".repeat(ENTRY));
    let mut accepted = Vec::with_capacity(group.len());
    {
        let owned = "SELECT epoch FROM lease WHERE shard = 0";
        let is_owned = transaction.prepare_cached(owned)?.query_row([], |row| row.get::<_, i64>(0))? == 7;
        let mut add = transaction.prepare_cached("INSERT OR IGNORE INTO saga VALUES (?1, 1, ?2)")?;
        let change = "UPDATE saga SET revision = revision + 1, state = ?3 WHERE id = ?1 AND revision = ?2";
        let mut change = transaction.prepare_cached(change)?;
        let mut tell = transaction.prepare_cached("INSERT INTO history VALUES (?1, ?2, ?3, ?4)")?;
        let mut open = transaction.prepare_cached("INSERT INTO open VALUES (?1)")?;
        let mut close = transaction.prepare_cached("DELETE FROM open WHERE saga = ?1")?;
        for Write { saga, revision, is_last, .. } in group {
            let (saga, revision) = (saga.cast_signed(), *revision as i64);
            let changed = match revision {
                0 => add.execute(params![saga, state.as_bytes()])?,
                _ => change.execute(params![saga, revision, state.as_bytes()])?,
            };
            let is_accepted = is_owned && changed == 1;
            if is_accepted {
                tell.execute(params![saga, revision, entry.as_bytes(), output.as_bytes()])?;
                match (revision, is_last) {
                    (0, _) => open.execute([saga])?,
                    (_, true) => close.execute([saga])?,
                    (_, false) => 0,
                };
            }
            accepted.push(is_accepted);
        }
    }
    transaction.commit()?;
    Ok(accepted)
}
