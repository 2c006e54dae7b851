//! The examination for `doctor` and for start-up: is the file sound, is it ours, can every record be read.
//!
//! Reads only, and reads everything: on a large store it takes as long as reading the file does.
//! Invariant: a finding says what is wrong and what to do about it.

use rusqlite::{Connection, Row, params};

use super::columns::{from_u64, to_u64};
use super::logs::from_log;
use super::read::read_key;
use super::writer::Fatal;
use super::{reserve, schema};
use crate::contract::{Finding, Log, Severity, ShardId, Span};
use crate::logs::damaged_log;
use crate::record;

/// How many keys of unreadable sagas a finding names.
const NAMED: usize = 5;

/// What the connection can't tell.
pub(super) struct Outside {
    pub(super) dir: std::path::PathBuf,
    pub(super) reserve_bytes: u64,
    pub(super) fatal: Option<Fatal>,
}

/// See [`crate::Store::check`].
pub(super) fn check(conn: &Connection, outside: &Outside) -> rusqlite::Result<Vec<Finding>> {
    let mut findings = glance(conn, outside)?;
    findings.extend(integrity(conn)?);
    findings.extend(objects(conn)?);
    findings.extend(unreadable(conn)?);
    if schema::has_cells(conn)? {
        findings.extend(counts(conn)?);
    }
    if schema::has_logs(conn)? {
        findings.extend(logs(conn)?);
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// See [`crate::Store::glance`].
pub(super) fn glance(conn: &Connection, outside: &Outside) -> rusqlite::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if let Some(Fatal { message }) = &outside.fatal {
        findings.push(error(message.clone()));
    }
    findings.extend(journal(conn)?);
    let path = reserve::path_in(&outside.dir);
    if !reserve::is_whole(&path, outside.reserve_bytes) {
        let message = format!(
            "the reserve {} is in use: the disk was full, and new sagas are refused until it is back; make room",
            path.display()
        );
        findings.push(Finding { severity: Severity::Warning, message });
    }
    Ok(findings)
}

fn error(message: String) -> Finding {
    Finding { severity: Severity::Error, message }
}

fn integrity(conn: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut statement = conn.prepare("PRAGMA quick_check(20)")?;
    let lines: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if lines == ["ok"] {
        return Ok(Vec::new());
    }
    let explain = |line| format!("the database is damaged: {line}; stop, copy the directory, and restore a backup");
    Ok(lines.into_iter().map(explain).map(error).collect())
}

fn objects(conn: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut statement = conn.prepare("SELECT sql FROM sqlite_schema WHERE name = ?1")?;
    let mut findings = Vec::new();
    for (name, expected) in schema::objects_of(conn)? {
        let found: Vec<String> = statement.query_map([name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        if found.first().map(String::as_str) != Some(*expected) {
            let how = if found.is_empty() { "is missing" } else { "was changed" };
            findings.push(error(format!("{name} {how} in the database: nobody but Amends may change it")));
        }
    }
    Ok(findings)
}

fn journal(conn: &Connection) -> rusqlite::Result<Option<Finding>> {
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let message = format!("the database is in journal mode {mode} instead of wal: restart to set it right");
    Ok((mode != "wal").then(|| error(message)))
}

/// What the cells say against what is in them.
fn counts(conn: &Connection) -> rusqlite::Result<Option<Finding>> {
    let mut wrong = conn.prepare(
        "SELECT cell FROM (SELECT cell, count FROM cell UNION ALL SELECT cell, -count(*) FROM saga GROUP BY cell) \
         GROUP BY cell HAVING sum(count) <> 0",
    )?;
    let message = "counts of sagas are wrong, and lists may lack some: stop, copy the directory, and restore a backup";
    Ok(wrong.exists([])?.then(|| error(message.to_owned())))
}

/// Logs that don't have exactly the entries that their spans say.
fn logs(conn: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let count = "SELECT count(*), coalesce(min(number), ?3), coalesce(max(number), ?3 - 1) FROM log_entry \
                 WHERE shard = ?1 AND log = ?2";
    let mut statement = conn.prepare(count)?;
    let mut findings = Vec::new();
    for shard in (0..schema::shards(conn)?).map(ShardId) {
        for log in Log::ALL {
            let Span { first, next } = super::logs::span(conn, shard, log)?;
            let read = |row: &Row<'_>| Ok([to_u64(row.get(0)?), to_u64(row.get(1)?), to_u64(row.get(2)?)]);
            let [found, min, max] = statement.query_row(params![shard.0, from_log(log), from_u64(next)], read)?;
            let expected = next.saturating_sub(first);
            // As many as there should be, but others: at least one of them is missing.
            let moved = found == expected && found > 0 && (min, max + 1) != (first, next);
            findings.extend(damaged_log(shard, log, expected, found - u64::from(moved)));
        }
    }
    Ok(findings)
}

fn unreadable(conn: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut sagas = Tally::default();
    let mut statement = conn.prepare("SELECT namespace, id, state FROM saga")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !row.get_ref(2)?.as_blob().is_ok_and(|state| record::decode_state(state).is_ok()) {
            sagas.add(read_key(row, 0)?.map_or("(unreadable key)".into(), |key| key.to_string()));
        }
    }
    let mut entries = Tally::default();
    let mut statement = conn
        .prepare("SELECT saga.namespace, saga.id, history.entry FROM history JOIN saga ON saga.saga = history.saga")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !row.get_ref(2)?.as_blob().is_ok_and(|entry| record::decode_history(entry).is_ok()) {
            entries.add(read_key(row, 0)?.map_or("(unreadable key)".into(), |key| key.to_string()));
        }
    }
    let parked = "saga states can't be read; those sagas are parked: restore them from a backup";
    let gaps = "history entries can't be read; what those sagas do isn't affected";
    Ok(sagas.finding(Severity::Error, parked).into_iter().chain(entries.finding(Severity::Warning, gaps)).collect())
}

/// How many, and the first few by name.
#[derive(Default)]
struct Tally {
    count: u64,
    first: Vec<String>,
}

impl Tally {
    fn add(&mut self, key: String) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(key);
        }
    }

    fn finding(self, severity: Severity, what: &str) -> Option<Finding> {
        let Self { count, first } = self;
        (count > 0).then(|| Finding { severity, message: format!("{count} {what} (among them {})", first.join(", ")) })
    }
}
