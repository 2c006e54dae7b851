//! The little that the barrier asks of a connection, the same for SQLite, Postgres and sqlx's `Any`.
//!
//! No rule and no statement of the barrier is in here. Invariant: the statements that it is given are constants, so that
//! nothing a caller sends can become SQL.

use futures::future::BoxFuture;
#[cfg(feature = "postgres")]
use sqlx::{AnyConnection, PgConnection};
use sqlx::{Connection, Database, Executor, FromRow, SqliteConnection};

use crate::barrier::columns::Stored;

/// How a database is locked and spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// One write lock for the whole database, taken by `BEGIN IMMEDIATE`.
    Sqlite,
    /// Locks on rows.
    Postgres,
}

/// A value in a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'v> {
    /// A text, or NULL.
    Text(Option<&'v str>),
    /// A number, or NULL.
    Number(Option<i64>),
    /// Bytes, or NULL.
    Bytes(Option<&'v [u8]>),
}

/// A connection that the barrier can work on: sqlx's `SqliteConnection`, `PgConnection` and `AnyConnection`.
pub trait BarrierConnection:
    Connection<Database = <Self as BarrierConnection>::Sql> + private::Sealed + 'static
{
    /// Its database, as sqlx names it.
    type Sql: Database<Connection = Self>;

    /// Which of the two it speaks to.
    fn flavour(&self) -> Flavour;

    /// Runs a statement; says how many rows it has changed.
    #[doc(hidden)]
    fn execute<'c>(
        &'c mut self,
        statement: &'static str,
        values: &'c [Value<'c>],
    ) -> BoxFuture<'c, Result<u64, sqlx::Error>>;

    /// Runs a query for one row, of which some columns may be asked for.
    #[doc(hidden)]
    fn fetch<'c>(
        &'c mut self,
        query: &'static str,
        values: &'c [Value<'c>],
    ) -> BoxFuture<'c, Result<Option<Stored>, sqlx::Error>>;

    /// Runs statements without values.
    #[doc(hidden)]
    fn script(&mut self, statements: &'static str) -> BoxFuture<'_, Result<(), sqlx::Error>>;
}

mod private {
    pub trait Sealed {}
}

macro_rules! barrier_connection {
    ($connection:ty, $database:ty, |$db:ident| $flavour:expr) => {
        impl private::Sealed for $connection {}

        impl BarrierConnection for $connection {
            type Sql = $database;

            fn flavour(&self) -> Flavour {
                let $db = self;
                $flavour
            }

            fn execute<'c>(
                &'c mut self,
                statement: &'static str,
                values: &'c [Value<'c>],
            ) -> BoxFuture<'c, Result<u64, sqlx::Error>> {
                let query = barrier_connection!(bind sqlx::query::<$database>(statement), values);
                Box::pin(async move { Ok(query.execute(self).await?.rows_affected()) })
            }

            fn fetch<'c>(
                &'c mut self,
                query: &'static str,
                values: &'c [Value<'c>],
            ) -> BoxFuture<'c, Result<Option<Stored>, sqlx::Error>> {
                let query = barrier_connection!(bind sqlx::query::<$database>(query), values);
                Box::pin(async move {
                    let row = query.fetch_optional(self).await?;
                    row.as_ref().map(Stored::from_row).transpose()
                })
            }

            fn script(&mut self, statements: &'static str) -> BoxFuture<'_, Result<(), sqlx::Error>> {
                Box::pin(async move { Executor::execute(self, sqlx::raw_sql(statements)).await.map(|_| ()) })
            }
        }
    };
    (bind $query:expr, $values:ident) => {
        $values.iter().fold($query, |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    };
}

barrier_connection!(SqliteConnection, sqlx::Sqlite, |_db| Flavour::Sqlite);
#[cfg(feature = "postgres")]
barrier_connection!(PgConnection, sqlx::Postgres, |_db| Flavour::Postgres);
#[cfg(feature = "postgres")]
barrier_connection!(AnyConnection, sqlx::Any, |db| match db.backend_name() {
    "PostgreSQL" => Flavour::Postgres,
    _ => Flavour::Sqlite,
});
