//! The sums at the end of a headless demo, read from the participants' own databases.
//!
//! It asks no service: what counts is what is on disk. `examples/checkout/check.sql` computes the same fields by other means.
//! Invariant: amounts are whole minor units from `conservation` views; nothing passes through a float.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::stream::Counts;
use crate::exit::Failure;
use crate::output::Format;

/// What the participants hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    balance: i64,
    held: i64,
    available: i64,
    sold: i64,
}

impl Sums {
    /// Reads the views in a demo's folder.
    pub(super) fn read(data: &Path) -> Result<Self, Failure> {
        let account = open(&data.join("account.db"))?;
        let inventory = open(&data.join("inventory.db"))?;
        Ok(Self {
            balance: amount(&account, "balance")?,
            held: amount(&account, "held")?,
            available: amount(&inventory, "available")?,
            sold: amount(&inventory, "sold")?,
        })
    }

    fn money(&self) -> i64 {
        self.balance + self.held
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)
}

fn amount(database: &Connection, kind: &str) -> Result<i64, Failure> {
    let query = "SELECT amount FROM conservation WHERE kind = ?1";
    database.query_row(query, [kind], |row| row.get(0)).map_err(unreadable)
}

fn unreadable(error: rusqlite::Error) -> Failure {
    Failure::Process(std::io::Error::other(format!("a participant's database can't be read: {error}")))
}

/// The one object that a headless demo prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Report {
    started: u64,
    completed: u64,
    compensated: u64,
    stuck: u64,
    open: u64,
    money_before: i64,
    money_after: i64,
    stock_before: i64,
    stock_after: i64,
    sold: i64,
    held_after: i64,
}

impl Report {
    pub(super) fn new(counts: &Counts, before: &Sums, after: &Sums) -> Self {
        Self {
            started: counts.started,
            completed: counts.completed,
            compensated: counts.compensated,
            stuck: counts.stuck,
            open: counts.open,
            money_before: before.money(),
            money_after: after.money(),
            stock_before: before.available,
            stock_after: after.available,
            sold: after.sold - before.sold,
            held_after: after.held,
        }
    }

    /// Prints it, as a list of fields for people.
    pub(super) fn print(&self, output: Format) -> Result<(), Failure> {
        output.print(
            || serde_json::to_value(self).map_err(Failure::Answer),
            || {
                let fields = serde_json::to_value(self).unwrap_or_default();
                let lines = fields.as_object().into_iter().flatten();
                lines.map(|(name, value)| format!("{name:<14} {value}\n")).collect()
            },
        )
    }
}
