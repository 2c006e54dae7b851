//! A participant's own tables: columns that came later, and files with odd names.

use amends_participant::database::{Added, Place, Schemas};
use amends_participant::testing::PostgresServer;
use amends_participant::{Database, database::OpenError};
use sqlx::AnyConnection;
use tempfile::TempDir;

const OLDER: &str = "CREATE TABLE IF NOT EXISTS holds (id INTEGER NOT NULL)";
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS holds (id INTEGER NOT NULL, saga_id TEXT)";
const ADDED: &[Added] = &[Added { table: "holds", column: "saga_id", by: "ALTER TABLE holds ADD COLUMN saga_id TEXT" }];

async fn open(place: &Place, schema: &'static str) -> Result<Database<AnyConnection>, OpenError> {
    let added = if schema == SCHEMA { ADDED } else { &[] };
    Database::at(place, Schemas { sqlite: &[schema], postgres: &[schema], added }).await
}

async fn is_added_once_to_an_older_table_and_never_to_a_new_one(older: &Place, newer: &Place) {
    let database = open(older, OLDER).await.unwrap();
    sqlx::query("INSERT INTO holds (id) VALUES (1)").execute(&mut *writer(older).await).await.unwrap();
    drop(database);
    for place in [older, newer, older, newer] {
        let database = open(place, SCHEMA).await.unwrap();
        let found: Vec<(Option<String>,)> =
            sqlx::query_as("SELECT saga_id FROM holds").fetch_all(database.readers()).await.unwrap();
        assert_eq!(found.len(), usize::from(place == older), "{place}");
    }
}

async fn writer(place: &Place) -> Box<AnyConnection> {
    Box::new(amends_participant::testing::connect(place).await)
}

#[tokio::test]
async fn a_column_that_came_later_is_added_on_sqlite() {
    let folder = TempDir::new().unwrap();
    let [older, newer] = ["older.db", "newer.db"].map(|name| Place::File(folder.path().join(name)));
    is_added_once_to_an_older_table_and_never_to_a_new_one(&older, &newer).await;
}

#[tokio::test]
async fn a_column_that_came_later_is_added_on_postgres() {
    let (older, newer) = (PostgresServer::shared().fresh().await, PostgresServer::shared().fresh().await);
    is_added_once_to_an_older_table_and_never_to_a_new_one(&Place::Url(older), &Place::Url(newer)).await;
}

#[tokio::test]
async fn a_file_is_opened_by_its_own_name_however_odd() {
    let folder = TempDir::new().unwrap();
    for name in ["a%41b.db", "a b.db", "a?b.db", "a#b.db", "\u{fc}.db"] {
        let file = folder.path().join(name);
        open(&Place::File(file.clone()), SCHEMA).await.unwrap();
        assert!(file.exists(), "{name}");
    }
}
