//! The tables, and how a database file is recognised as ours.
//!
//! An older file is brought up to date when it is opened: each version since the first adds objects, and 6 puts every saga into
//! its cell. Invariant: a file of another program or of a newer schema is never written to; tables are created in one database
//! transaction together with the marks that say whose they are and of which version.
//!
//! Why it looks as it does: a saga's row is small and rewritten at every commit, so payloads and history stand beside it;
//! sagas are numbered in the order of their start, so that what is being worked on lies together on few pages.

use amends_engine::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use uuid::Uuid;

use super::cells;
use super::columns::from_time;
use crate::transfer::Standing;

/// "AMND": tells our files from those of others.
pub(super) const APPLICATION_ID: i32 = 0x414d_4e44;

/// The version of the tables below.
pub(super) const VERSION: i32 = 6;

/// What each version after the first has added, by the names in [`OBJECTS`].
const ADDED: &[(i32, &[&str])] = &[
    (2, &["deprecation"]),
    (3, &["shard_commits"]),
    (4, &["reserved_digest"]),
    (5, &["log", "log_entry", "document", "document_revision"]),
    (CELLS, &["cell"]),
];

/// The version since which every saga is in a cell.
const CELLS: i32 = 6;

/// Every table and index with the statement that makes it.
pub(super) const OBJECTS: &[(&str, &str)] = &[
    ("meta", "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"),
    (
        "shard",
        "CREATE TABLE shard (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, nonce BLOB, node TEXT NOT NULL, \
         lease_until INTEGER NOT NULL) STRICT",
    ),
    // Absent for a shard that has had no commit since there is this table.
    ("shard_commits", "CREATE TABLE shard_commits (shard INTEGER PRIMARY KEY, number INTEGER NOT NULL) STRICT"),
    (
        "saga",
        "CREATE TABLE saga (saga INTEGER PRIMARY KEY, namespace TEXT NOT NULL, id TEXT NOT NULL, \
         shard INTEGER NOT NULL, revision INTEGER NOT NULL, open INTEGER NOT NULL, due INTEGER, status TEXT NOT NULL, \
         stuck TEXT, definition TEXT NOT NULL, version INTEGER NOT NULL, started_at INTEGER NOT NULL, \
         retain_until INTEGER, ops BLOB NOT NULL, state BLOB NOT NULL, cell INTEGER NOT NULL DEFAULT 0) STRICT",
    ),
    ("saga_key", "CREATE UNIQUE INDEX saga_key ON saga (namespace, id)"),
    ("saga_due", "CREATE INDEX saga_due ON saga (shard, due, namespace, id) WHERE open = 1"),
    ("saga_started", "CREATE INDEX saga_started ON saga (started_at)"),
    // The cells by name (`crate::cell`), with how many sagas are in each. One that is empty stays.
    ("cell", "CREATE TABLE cell (cell INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, count INTEGER NOT NULL) STRICT"),
    ("saga_cell", "CREATE INDEX saga_cell ON saga (cell, started_at)"),
    (
        "saga_retention",
        "CREATE INDEX saga_retention ON saga (retain_until, namespace, id) WHERE open = 0 AND retain_until IS NOT NULL",
    ),
    (
        "payload",
        "CREATE TABLE payload (saga INTEGER NOT NULL, slot INTEGER NOT NULL, encoding INTEGER NOT NULL, \
         bytes BLOB NOT NULL, PRIMARY KEY (saga, slot)) STRICT, WITHOUT ROWID",
    ),
    (
        "history",
        "CREATE TABLE history (saga INTEGER NOT NULL, sequence INTEGER NOT NULL, entry BLOB NOT NULL, \
         PRIMARY KEY (saga, sequence)) STRICT, WITHOUT ROWID",
    ),
    (
        "label",
        "CREATE TABLE label (saga INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, \
         started_at INTEGER NOT NULL, PRIMARY KEY (saga, name, value)) STRICT, WITHOUT ROWID",
    ),
    ("label_value", "CREATE INDEX label_value ON label (name, value, started_at)"),
    (
        "reserved",
        "CREATE TABLE reserved (namespace TEXT NOT NULL, id TEXT NOT NULL, swept_at INTEGER NOT NULL, \
         PRIMARY KEY (namespace, id)) STRICT, WITHOUT ROWID",
    ),
    // Ids that were reserved in the store that this one was copied from. Older programs don't look here, nor at how a store
    // stands (`meta`), and can't open it because of this version's number.
    ("reserved_digest", "CREATE TABLE reserved_digest (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID"),
    (
        "definition",
        "CREATE TABLE definition (namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, \
         digest BLOB NOT NULL, registered_at INTEGER NOT NULL, principal TEXT NOT NULL, body BLOB NOT NULL, \
         PRIMARY KEY (namespace, name, version)) STRICT",
    ),
    (
        "deprecation",
        "CREATE TABLE deprecation (namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, \
         at INTEGER NOT NULL, principal TEXT NOT NULL, reason TEXT NOT NULL, \
         PRIMARY KEY (namespace, name, version)) STRICT, WITHOUT ROWID",
    ),
    (
        "participant",
        "CREATE TABLE participant (namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, \
         updated_at INTEGER NOT NULL, principal TEXT NOT NULL, body BLOB NOT NULL, \
         PRIMARY KEY (namespace, name)) STRICT",
    ),
    // Absent for a log that never had an entry.
    (
        "log",
        "CREATE TABLE log (shard INTEGER NOT NULL, log INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL, \
         PRIMARY KEY (shard, log)) STRICT, WITHOUT ROWID",
    ),
    (
        "log_entry",
        "CREATE TABLE log_entry (shard INTEGER NOT NULL, log INTEGER NOT NULL, number INTEGER NOT NULL, \
         op BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (shard, log, number)) STRICT, WITHOUT ROWID",
    ),
    (
        "document",
        "CREATE TABLE document (kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL, \
         PRIMARY KEY (kind, id)) STRICT",
    ),
    // The highest revision that a document ever had; absent before the first one.
    (
        "document_revision",
        "CREATE TABLE document_revision (only INTEGER PRIMARY KEY CHECK (only = 0), revision INTEGER NOT NULL) STRICT",
    ),
];

/// The objects that a file of its own version has: an older one is examined as what it is.
pub(super) fn objects_of(
    conn: &Connection,
) -> rusqlite::Result<impl Iterator<Item = &'static (&'static str, &'static str)>> {
    let version: i32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let later = move |name: &str| {
        let added = ADDED.iter().any(|(of, names)| *of > version && names.contains(&name));
        // A saga's row had another form.
        added || version < CELLS && ["saga", "saga_cell"].contains(&name)
    };
    Ok(OBJECTS.iter().filter(move |(name, _)| !later(name)))
}

/// Whether there are logs in a file, by its version.
pub(super) fn has_logs(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(objects_of(conn)?.any(|(name, _)| *name == "log"))
}

/// Whether a file counts its sagas, by its version.
pub(super) fn has_cells(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(objects_of(conn)?.any(|(name, _)| *name == "cell"))
}

/// What a file says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in it yet.
    Empty,
    /// Ours, of this version.
    Ours,
    /// Ours, of an older version.
    Older(i32),
    /// Ours, of a newer version.
    Newer(i32),
    /// Somebody else's.
    Foreign,
}

/// What this database file is. Reads only, so that a foreign file is left as it was.
pub(super) fn kind_of(conn: &Connection) -> rusqlite::Result<Kind> {
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let objects: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version) {
        (0, 0) if objects == 0 => Kind::Empty,
        (APPLICATION_ID, VERSION) => Kind::Ours,
        (APPLICATION_ID, newer) if newer > VERSION => Kind::Newer(newer),
        (APPLICATION_ID, older) if older >= 1 => Kind::Older(older),
        _ => Kind::Foreign,
    })
}

/// Makes everything, all or nothing.
pub(super) fn create(conn: &mut Connection, shards: u16, now: Timestamp) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    for (_, statement) in OBJECTS {
        tx.execute_batch(statement)?;
    }
    fill(&tx, shards, now)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}

/// Adds what an older file doesn't have, all or nothing. Programs of that older version can't open it any more.
pub(super) fn upgrade(conn: &mut Connection, from: i32) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    let added = ADDED.iter().filter(|(version, _)| *version > from).flat_map(|(_, names)| names.iter());
    for name in added {
        object(&tx, name)?;
    }
    if from < CELLS {
        cells::fill(&tx)?;
        object(&tx, "saga_cell")?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}

fn object(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    OBJECTS.iter().filter(|(object, _)| *object == name).try_for_each(|(_, statement)| tx.execute_batch(statement))
}

fn fill(tx: &Transaction<'_>, shards: u16, now: Timestamp) -> rusqlite::Result<()> {
    let mut meta = tx.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)")?;
    meta.execute(params!["store_id", Uuid::now_v7().to_string()])?;
    meta.execute(params!["created_at", from_time(now).to_string()])?;
    let mut shard =
        tx.prepare("INSERT INTO shard (shard, epoch, nonce, node, lease_until) VALUES (?1, 0, NULL, '', 0)")?;
    for number in 0..shards {
        shard.execute([number])?;
    }
    Ok(())
}

/// A value of the `meta` table.
pub(super) fn meta(conn: &Connection, name: &str) -> rusqlite::Result<String> {
    conn.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
}

/// How the store stands; `None` where its mark can't be read.
pub(super) fn standing(conn: &Connection) -> rusqlite::Result<Option<Standing>> {
    let text = meta(conn, "standing").optional()?;
    Ok(Standing::read(text.as_deref().unwrap_or_default()))
}

/// Changes how it stands.
pub(super) fn set_standing(conn: &Connection, standing: &Standing) -> rusqlite::Result<()> {
    let set = "INSERT INTO meta (name, value) VALUES ('standing', ?1) ON CONFLICT DO UPDATE SET value = ?1";
    conn.execute(set, [standing.to_string()]).map(|_| ())
}

/// How many shards the store has.
pub(super) fn shards(conn: &Connection) -> rusqlite::Result<u16> {
    conn.query_row("SELECT count(*) FROM shard", [], |row| row.get(0))
}
