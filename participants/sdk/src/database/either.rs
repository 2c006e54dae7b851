//! One service on either database: the place says which, and its handlers work on sqlx's `AnyConnection`.
//!
//! For services that must run on both, such as the example participants. A service on one database uses that one's own
//! connection type, which knows all of its data types; `Any` knows whole numbers, floats, texts, bytes and booleans.

use std::path::PathBuf;

use sqlx::AnyConnection;
use sqlx::ConnectOptions;
use sqlx::any::{AnyConnectOptions, install_default_drivers};
use sqlx::sqlite::SqliteConnectOptions;

use super::postgres::without_password;
use super::{Added, Database, OpenError, postgres, sqlite};

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A Postgres server: `postgres://…`.
    Url(String),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({self})")
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(&without_password(url)),
        }
    }
}

/// A participant's tables, for both databases. Run in order at every start, so they say `CREATE … IF NOT EXISTS`.
#[derive(Debug, Clone, Copy)]
pub struct Schemas<'s> {
    /// For SQLite.
    pub sqlite: &'s [&'static str],
    /// For Postgres.
    pub postgres: &'s [&'static str],
    /// Columns that these tables have got since they were first made, for databases from before; on both.
    pub added: &'s [Added],
}

impl Database<AnyConnection> {
    /// Opens the database at this place, the barrier's tables and the participant's own.
    ///
    /// # Errors
    /// When it can't be opened or reached, or the schema doesn't fit.
    pub async fn at(place: &Place, schemas: Schemas<'_>) -> Result<Self, OpenError> {
        install_default_drivers();
        let opened = async {
            match place {
                Place::File(path) => {
                    // What is made of this reads `%41` in a name as `A`, and would open another file.
                    let path = path.to_string_lossy().replace('%', "%25");
                    let file = SqliteConnectOptions::new().filename(path).create_if_missing(true).to_url_lossy();
                    let options = AnyConnectOptions::from_url(&file)?.disable_statement_logging();
                    sqlite::open(sqlite::SqliteFile(options), schemas.sqlite, schemas.added).await
                }
                Place::Url(url) => postgres::open(url.parse()?, schemas.postgres, schemas.added).await,
            }
        };
        opened.await.map_err(|source| OpenError { place: place.to_string(), source })
    }
}
