//! Where a test's service keeps its data.
//!
//! Invariant: no other test sees it, and nothing of it is left when the test process has ended.

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use super::PostgresServer;
use crate::database::Place;

/// A SQLite file in a folder of its own; with `AMENDS_TEST_DATABASE=postgres` a schema of its own on
/// [`PostgresServer::shared`], so that the same tests show the same on both.
#[derive(Debug)]
pub struct TestPlace {
    place: Place,
    folder: TempDir,
}

impl TestPlace {
    /// A new one.
    ///
    /// # Panics
    /// When there is no place for it, or no Postgres.
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder for the test: {error}"));
        let place = match std::env::var("AMENDS_TEST_DATABASE").as_deref() {
            Err(_) | Ok("sqlite") => Place::File(folder.path().join("test.db")),
            Ok("postgres") => Place::Url(PostgresServer::shared().fresh().await),
            Ok(other) => panic!("AMENDS_TEST_DATABASE={other}: write sqlite or postgres"),
        };
        Self { place, folder }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A folder for whatever else the test needs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A connection beside the service's, as an auditor's.
    ///
    /// # Panics
    /// When it can't be had.
    pub async fn connect(&self) -> AnyConnection {
        connect(&self.place).await
    }
}

/// A connection to a database that is there already.
///
/// # Panics
/// When it can't be had.
pub async fn connect(place: &Place) -> AnyConnection {
    install_default_drivers();
    let url = match place {
        Place::File(file) => format!("sqlite://{}", file.display()),
        Place::Url(url) => url.clone(),
    };
    AnyConnection::connect(&url).await.unwrap_or_else(|error| panic!("{place}: {error}"))
}
