//! Statements for both databases that lock rows on the one that has locks on rows.

/// One statement for both databases: `locking!(db, "SELECT … WHERE id = $1", "FOR UPDATE")`, or with more text after the
/// clause. The clause is there on Postgres only; SQLite has no such words and needs none, since a transaction of ours
/// holds its one write lock from the beginning.
///
/// A row that a handler reads and then changes must be locked on Postgres, where others may be changing it at the same time.
#[macro_export]
macro_rules! locking {
    ($db:expr, $before:literal, $clause:literal) => {
        $crate::locking!($db, $before, $clause, "")
    };
    ($db:expr, $before:literal, $clause:literal, $after:literal) => {
        match $crate::barrier::BarrierConnection::flavour(&*$db) {
            $crate::barrier::Flavour::Postgres => concat!($before, " ", $clause, $after),
            $crate::barrier::Flavour::Sqlite => concat!($before, $after),
        }
    };
}
