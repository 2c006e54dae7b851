//! What is written once: payloads and history entries.
//!
//! The insert itself finds out whether something is there, which spares a look-up for all that is new. Invariant: where a
//! commit would overwrite something, all that it had inserted until then is taken out again.

use rusqlite::{Row, params};

use super::columns::{from_encoding, from_u64, to_slot};
use super::group::Group;
use crate::contract::Commit;
use crate::error::CommitError;

/// Payloads and history. Where one would be overwritten, nothing of this commit stays.
pub(super) fn write_once(group: &Group<'_>, saga: i64, commit: &Commit) -> rusqlite::Result<Result<(), CommitError>> {
    let mut written = Written { slots: Vec::with_capacity(commit.payloads.len()), sequences: Vec::new() };
    for (key, payload) in &commit.payloads {
        let slot = to_slot(*key);
        let columns = (from_encoding(payload.encoding), &payload.bytes[..]);
        match write_payload(group, saga, slot, columns)? {
            Wrote::Now => written.slots.push(slot),
            Wrote::Same => {}
            Wrote::Differs => return written.take_out(group, saga, CommitError::overwrites_payload(*key)),
        }
    }
    for (sequence, entry) in &commit.history {
        match write_history(group, saga, from_u64(*sequence), entry)? {
            Wrote::Now => written.sequences.push(from_u64(*sequence)),
            Wrote::Same => {}
            Wrote::Differs => {
                return written.take_out(group, saga, CommitError::overwrites_history(*sequence));
            }
        }
    }
    Ok(Ok(()))
}

enum Wrote {
    Now,
    Same,
    Differs,
}

impl Wrote {
    fn compared(same: bool) -> Self {
        if same { Self::Same } else { Self::Differs }
    }
}

fn write_payload(group: &Group<'_>, saga: i64, slot: i64, columns: (i64, &[u8])) -> rusqlite::Result<Wrote> {
    let mut statement = group.conn.prepare_cached(
        "INSERT INTO payload (saga, slot, encoding, bytes) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    if statement.execute(params![saga, slot, columns.0, columns.1])? == 1 {
        return Ok(Wrote::Now);
    }
    let mut statement =
        group.conn.prepare_cached("SELECT encoding, bytes FROM payload WHERE saga = ?1 AND slot = ?2")?;
    let same = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get_ref(1)?.as_blob()?) == columns);
    statement.query_row(params![saga, slot], same).map(Wrote::compared)
}

fn write_history(group: &Group<'_>, saga: i64, sequence: i64, entry: &[u8]) -> rusqlite::Result<Wrote> {
    let mut statement = group
        .conn
        .prepare_cached("INSERT INTO history (saga, sequence, entry) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    if statement.execute(params![saga, sequence, entry])? == 1 {
        return Ok(Wrote::Now);
    }
    let mut statement = group.conn.prepare_cached("SELECT entry FROM history WHERE saga = ?1 AND sequence = ?2")?;
    let same = |row: &Row<'_>| Ok(row.get_ref(0)?.as_blob()? == entry);
    statement.query_row(params![saga, sequence], same).map(Wrote::compared)
}

/// What a commit has inserted so far.
struct Written {
    slots: Vec<i64>,
    sequences: Vec<i64>,
}

impl Written {
    fn take_out(self, group: &Group<'_>, saga: i64, refused: CommitError) -> rusqlite::Result<Result<(), CommitError>> {
        let mut payload = group.conn.prepare_cached("DELETE FROM payload WHERE saga = ?1 AND slot = ?2")?;
        for slot in self.slots {
            payload.execute([saga, slot])?;
        }
        let mut history = group.conn.prepare_cached("DELETE FROM history WHERE saga = ?1 AND sequence = ?2")?;
        for sequence in self.sequences {
            history.execute([saga, sequence])?;
        }
        Ok(Err(refused))
    }
}
