//! Tables of a participant's own: made at every start where they aren't there yet, and given the columns that they have got since.
//!
//! Never changes or removes a column. Invariant: a database of any earlier version has every column when it is open.

use crate::barrier::{BarrierConnection, Flavour, Value};

const COLUMN_SQLITE: &str = "SELECT count(*) AS number FROM pragma_table_info($1) WHERE name = $2";

const COLUMN_POSTGRES: &str = "SELECT count(*) AS number FROM pg_attribute \
     WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped";

/// A column that a table has got since it was first made: `CREATE TABLE IF NOT EXISTS` leaves an older table as it is.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// `ALTER TABLE … ADD COLUMN …`, run where the table has no such column.
    pub by: &'static str,
}

/// Runs the schemas in order, then adds what older tables lack.
pub(super) async fn make<C: BarrierConnection>(
    db: &mut C,
    schemas: &[&'static str],
    added: &[Added],
) -> Result<(), sqlx::Error> {
    for schema in schemas {
        db.script(schema).await?;
    }
    for Added { table, column, by } in added {
        let query = match db.flavour() {
            Flavour::Sqlite => COLUMN_SQLITE,
            Flavour::Postgres => COLUMN_POSTGRES,
        };
        let found = db.fetch(query, &[Value::Text(Some(table)), Value::Text(Some(column))]).await?;
        if found.and_then(|found| found.number) == Some(0) {
            db.script(by).await?;
        }
    }
    Ok(())
}
