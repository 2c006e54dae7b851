//! Which cell each saga is in, and how many each has: what counts are read from, and lists are merged from.
//!
//! The writer keeps the cells' numbers in memory, because it is the only one that gives them, and writes how many moved once per
//! group. Invariant: in every state of the database a cell's count is the number of rows that name it.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::columns::to_u64;
use crate::cell::Cell;
use crate::contract::Filter;
use crate::planted;

/// The writer's side.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The number of each cell that there ever was. They are few: kinds of sagas, not sagas.
    numbers: BTreeMap<String, i64>,
    /// By how much each has changed in this group.
    moved: BTreeMap<i64, i64>,
}

impl Cells {
    /// As the database has them.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut statement = conn.prepare("SELECT name, cell FROM cell")?;
        let numbers =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        Ok(Self { numbers, moved: BTreeMap::new() })
    }

    /// The number of a cell, which is made where there is none yet.
    pub(super) fn number(&mut self, conn: &Connection, name: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        conn.prepare_cached("INSERT INTO cell (name, count) VALUES (?1, 0)")?.execute([name])?;
        let number = conn.last_insert_rowid();
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    /// A saga comes into a cell.
    pub(super) fn enter(&mut self, cell: i64) {
        *self.moved.entry(cell).or_default() += 1;
    }

    /// A saga leaves a cell.
    pub(super) fn leave(&mut self, cell: i64) {
        if !planted::is("count_not_moved") {
            *self.moved.entry(cell).or_default() -= 1;
        }
    }

    /// Writes what this group has changed: beside the commit numbers the last thing before its end.
    pub(super) fn save(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut statement = conn.prepare_cached("UPDATE cell SET count = count + ?2 WHERE cell = ?1")?;
        for (cell, by) in std::mem::take(&mut self.moved).into_iter().filter(|(_, by)| *by != 0) {
            statement.execute(params![cell, by])?;
        }
        Ok(())
    }
}

/// A cell as a reader sees it.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) number: i64,
    pub(super) cell: Cell,
    pub(super) count: u64,
}

/// The cells that have sagas and pass a filter, and whether those are all that have any.
pub(super) fn matching(conn: &Connection, filter: &Filter) -> rusqlite::Result<(Vec<Counted>, bool)> {
    let mut statement = conn.prepare_cached("SELECT cell, name, count FROM cell WHERE count > 0")?;
    let mut rows = statement.query([])?;
    let (mut found, mut every) = (Vec::new(), true);
    while let Some(row) = rows.next()? {
        let cell = row.get_ref(1)?.as_str().ok().and_then(Cell::read).filter(|cell| cell.matches(filter));
        match cell {
            Some(cell) => found.push(Counted { number: row.get(0)?, cell, count: to_u64(row.get(2)?) }),
            None => every = false,
        }
    }
    Ok((found, every))
}

/// Puts every saga of an older file into its cell. It isn't known of any where it is held up.
pub(super) fn fill(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "ALTER TABLE saga ADD COLUMN cell INTEGER NOT NULL DEFAULT 0;
         INSERT INTO cell (name, count)
           SELECT namespace || ',' || definition || ',' || version || ',' || status || ',' || coalesce(stuck, '') || ',' || open,
             count(*) FROM saga GROUP BY 1;
         UPDATE saga SET cell = (SELECT cell.cell FROM cell WHERE cell.name = saga.namespace || ',' || saga.definition || ','
           || saga.version || ',' || saga.status || ',' || coalesce(saga.stuck, '') || ',' || saga.open);
         DROP INDEX saga_status; DROP INDEX saga_stuck; DROP INDEX saga_definition;",
    )
}
