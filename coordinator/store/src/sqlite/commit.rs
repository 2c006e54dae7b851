//! Commits: the fence, the repeat, the revision, and then the rows, saga by saga within a group.
//!
//! Everything is judged before the saga's row is touched; what is written once (`once.rs`) comes before it too.
//! Invariant: a rejected commit leaves no row behind, and its group goes on (semantics A16).

use std::sync::Arc;

use amends_engine::payload::Digest;
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Row, params};
use tokio::sync::oneshot;

use super::columns::{from_time, from_u64, ops_contain, ops_with, to_u64};
use super::group::{Ending, Group, Work};
use super::logs;
use super::once::write_once;
use crate::cell::Cell;
use crate::contract::{Commit, Committed, shard_of};
use crate::error::CommitError;
use crate::stats::Counters;
use crate::transfer::ReservedId;

/// One answer for each commit of a call.
pub(super) type Answers = Vec<Result<Committed, CommitError>>;

/// A commit with what can be worked out about it without the database.
struct Prepared {
    commit: Commit,
    digest: Digest,
    /// The cell that it moves to.
    cell: String,
    in_shard: bool,
    /// Of a commit that may be a saga's first.
    reserved: Option<ReservedId>,
}

/// The commits of one call.
pub(super) struct Commits {
    commits: Vec<Prepared>,
    answers: Answers,
    reply: oneshot::Sender<Answers>,
    counters: Arc<Counters>,
}

impl Commits {
    /// Hashes are made here, in the caller's thread: the writer's is the bottleneck.
    pub(super) fn new(
        commits: Vec<Commit>,
        shards: u16,
        reply: oneshot::Sender<Answers>,
        counters: Arc<Counters>,
    ) -> Self {
        let prepare = |commit: Commit| {
            let in_shard = shard_of(&commit.key, shards) == commit.lease.shard;
            let reserved = (commit.expected_revision == 0).then(|| ReservedId::of(&commit.key));
            let cell = Cell::text(&commit.key.namespace, &commit.index);
            Prepared { digest: commit.digest(), cell, in_shard, reserved, commit }
        };
        let answers = Vec::with_capacity(commits.len());
        Self { commits: commits.into_iter().map(prepare).collect(), answers, reply, counters }
    }
}

impl Work for Commits {
    fn run(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        self.answers.clear();
        for prepared in &self.commits {
            self.answers.push(apply(group, prepared)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, ending: &Ending) {
        let count = self.commits.len();
        let answers: Answers = match ending {
            Ending::Committed => self.answers,
            Ending::Full => (0..count).map(|_| Err(CommitError::Full)).collect(),
            Ending::Unknown(failed) => (0..count).map(|_| Err(CommitError::Ambiguous(failed.source()))).collect(),
        };
        let written = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Now { .. }))).count();
        self.counters.add_commits(written as u64);
        // Whoever asked may have gone away; what was written stays written.
        let _ = self.reply.send(answers);
    }

    fn weight(&self) -> usize {
        self.commits.len()
    }
}

/// What a commit needs to know of the saga as it is.
struct Found {
    saga: i64,
    revision: u64,
    repeated: bool,
    ops: Vec<u8>,
    /// The cell it is in.
    cell: i64,
    /// Whether anything but state and due time changes, which costs more indices.
    moves: bool,
}

fn apply(group: &mut Group<'_>, prepared: &Prepared) -> rusqlite::Result<Result<Committed, CommitError>> {
    let Prepared { commit, digest, cell, in_shard, reserved } = prepared;
    if !in_shard {
        return Ok(Err(CommitError::WrongShard));
    }
    if !group.tenures[usize::from(commit.lease.shard.0)].is_of(&commit.lease) {
        return Ok(Err(CommitError::Fenced));
    }
    let cell = group.cells.number(group.conn, cell)?;
    let found = find(group, prepared, cell)?;
    if found.as_ref().is_some_and(|found| found.repeated) {
        let number = group.tenures[usize::from(commit.lease.shard.0)].commits();
        return Ok(Ok(Committed::Duplicate { number }));
    }
    let revision = found.as_ref().map_or(0, |found| found.revision);
    if commit.expected_revision != revision {
        return Ok(Err(CommitError::Stale { expected: commit.expected_revision, found: revision }));
    }
    let saga = match &found {
        Some(found) => found.saga,
        None => match admit(group, commit, *reserved)? {
            Ok(()) => *group.next_saga,
            Err(refused) => return Ok(Err(refused)),
        },
    };
    if let Err(refused) = group.tenures[usize::from(commit.lease.shard.0)].spans.with(&commit.logs) {
        return Ok(Err(refused));
    }
    if let Err(refused) = write_once(group, saga, commit)? {
        return Ok(Err(refused));
    }
    match found {
        Some(found) => update(group, commit, &found, cell)?,
        None => insert(group, commit, digest, cell)?,
    }
    logs::write(group, commit.lease.shard, commit.op, &commit.logs)?;
    Ok(Ok(Committed::Now { number: group.tenures[usize::from(commit.lease.shard.0)].count() }))
}

fn find(group: &Group<'_>, prepared: &Prepared, cell: i64) -> rusqlite::Result<Option<Found>> {
    let Prepared { commit, digest, .. } = prepared;
    let mut statement = group
        .conn
        .prepare_cached("SELECT saga, revision, ops, cell, retain_until FROM saga WHERE namespace = ?1 AND id = ?2")?;
    let key = &commit.key;
    let retain_until = commit.retain_until.map_or(ValueRef::Null, |at| ValueRef::Integer(from_time(at)));
    let found = |row: &Row<'_>| {
        let ops = row.get_ref(2)?.as_blob()?;
        Ok(Found {
            saga: row.get(0)?,
            revision: to_u64(row.get(1)?),
            repeated: ops_contain(ops, commit.op, digest),
            ops: ops_with(ops, commit.op, digest),
            cell: row.get(3)?,
            moves: row.get_ref(3)? != ValueRef::Integer(cell) || row.get_ref(4)? != retain_until,
        })
    };
    statement.query_row(params![key.namespace.as_str(), key.id.as_str()], found).optional()
}

/// Whether a new saga may be written.
fn admit(
    group: &Group<'_>,
    commit: &Commit,
    reserved: Option<ReservedId>,
) -> rusqlite::Result<Result<(), CommitError>> {
    let key = &commit.key;
    let mut statement = group.conn.prepare_cached(
        "SELECT 1 FROM reserved WHERE namespace = ?1 AND id = ?2 \
         UNION ALL SELECT 1 FROM reserved_digest WHERE digest = ?3",
    )?;
    if statement.exists(params![key.namespace.as_str(), key.id.as_str(), reserved.map(|id| id.0)])? {
        return Ok(Err(CommitError::Reserved));
    }
    Ok(if group.takes_new { Ok(()) } else { Err(CommitError::Full) })
}

fn insert(group: &mut Group<'_>, commit: &Commit, digest: &Digest, cell: i64) -> rusqlite::Result<()> {
    let saga = *group.next_saga;
    let (key, index) = (&commit.key, &commit.index);
    let started_at = from_time(index.started_at);
    let mut statement = group.conn.prepare_cached(
        "INSERT INTO saga (saga, namespace, id, shard, revision, open, due, status, stuck, definition, version, \
         started_at, retain_until, ops, state, cell) \
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    statement.execute(params![
        saga,
        key.namespace.as_str(),
        key.id.as_str(),
        commit.lease.shard.0,
        index.open,
        commit.due.map(from_time),
        index.status,
        index.stuck,
        index.definition.as_str(),
        index.version.0,
        started_at,
        commit.retain_until.map(from_time),
        ops_with(&[], commit.op, digest),
        &commit.state[..],
        cell,
    ])?;
    group.cells.enter(cell);
    let mut label = group.conn.prepare_cached(
        "INSERT INTO label (saga, name, value, started_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    for (name, value) in &index.labels {
        label.execute(params![saga, name, value, started_at])?;
    }
    *group.next_saga += 1;
    Ok(())
}

fn update(group: &mut Group<'_>, commit: &Commit, found: &Found, cell: i64) -> rusqlite::Result<()> {
    let (revision, due) = (from_u64(found.revision + 1), commit.due.map(from_time));
    let mut statement =
        group.conn.prepare_cached("UPDATE saga SET revision = ?2, due = ?3, ops = ?4, state = ?5 WHERE saga = ?1")?;
    statement.execute(params![found.saga, revision, due, found.ops, &commit.state[..]])?;
    if !found.moves {
        return Ok(());
    }
    let index = &commit.index;
    let mut statement = group.conn.prepare_cached(
        "UPDATE saga SET open = ?2, status = ?3, stuck = ?4, definition = ?5, version = ?6, retain_until = ?7, \
         cell = ?8 WHERE saga = ?1",
    )?;
    let (definition, version) = (index.definition.as_str(), index.version.0);
    let retain_until = commit.retain_until.map(from_time);
    statement.execute(params![
        found.saga,
        index.open,
        index.status,
        index.stuck,
        definition,
        version,
        retain_until,
        cell
    ])?;
    group.cells.leave(found.cell);
    group.cells.enter(cell);
    Ok(())
}
