//! A database with one business table, on SQLite or Postgres, and handlers that do, refuse, fail or wait.
//!
//! Each handler first writes to the table, so that a change that should have been rolled back shows. Replies are numbered
//! by the table's rows, so that a repeated reply can be told from a new one.

use amends_participant::database::{Place, Schemas};
use amends_participant::testing::{PostgresServer, StepCall, reason};
use amends_participant::{Answer, Barrier, Database, Failure, pending, rejected};
use sqlx::AnyConnection;
use tempfile::TempDir;
use tonic::{Code, Request, Response, Status};

pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS made (id INTEGER NOT NULL, what TEXT NOT NULL)";

pub(crate) struct Fixture {
    pub(crate) place: Place,
    pub(crate) database: Database<AnyConnection>,
    pub(crate) barrier: Barrier<AnyConnection>,
    pub(crate) _folder: Option<TempDir>,
}

pub(crate) async fn open(place: &Place) -> (Database<AnyConnection>, Barrier<AnyConnection>) {
    let database = Database::at(place, Schemas { sqlite: &[SCHEMA], postgres: &[SCHEMA], added: &[] }).await.unwrap();
    let barrier = Barrier::new(database.clone(), "test.v1.Test");
    (database, barrier)
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let place = Place::File(folder.path().join("test.db"));
        Self { _folder: Some(folder), ..Self::at(place).await }
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Place::Url(PostgresServer::shared().fresh().await)).await
    }

    pub(crate) async fn at(place: Place) -> Self {
        let (database, barrier) = open(&place).await;
        Self { place, database, barrier, _folder: None }
    }

    /// A call whose handler takes effect.
    pub(crate) async fn does(&self, request: Request<String>) -> Result<String, Status> {
        let answer = self.barrier.handle(request, |db, _, what| Box::pin(make(db, what))).await;
        answer.map(Response::into_inner)
    }

    /// A call whose handler refuses after it has written.
    pub(crate) async fn refuses(&self, request: Request<String>) -> Result<String, Status> {
        let handle = self.barrier.handle(request, |db, _, what| {
            Box::pin(async move {
                make(db, what).await?;
                Err::<Answer<String>, _>(rejected("NO_ROOM", "there is no room"))
            })
        });
        handle.await.map(Response::into_inner)
    }

    /// A call whose handler breaks after it has written.
    pub(crate) async fn fails(&self, request: Request<String>) -> Result<String, Status> {
        let handle = self.barrier.handle(request, |db, _, what| {
            Box::pin(async move {
                make(db, what).await?;
                Err::<Answer<String>, _>(Failure::failed("broken"))
            })
        });
        handle.await.map(Response::into_inner)
    }

    /// A call whose handler accepts and says that the effect comes later.
    pub(crate) async fn waits(&self, request: Request<String>) -> Result<Response<String>, Status> {
        self.barrier.handle(request, |_, _, _| Box::pin(async { pending() })).await
    }

    /// What took effect, in order.
    pub(crate) async fn made(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT what FROM made ORDER BY id").fetch_all(self.database.readers()).await.unwrap()
    }
}

pub(crate) async fn make(db: &mut AnyConnection, what: String) -> Result<Answer<String>, Failure> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO made (id, what) SELECT coalesce(max(id), 0) + 1, CAST($1 AS TEXT) FROM made RETURNING id",
    )
    .bind(&what)
    .fetch_one(db)
    .await?;
    Ok(Answer::Done(format!("{what} #{id}")))
}

pub(crate) fn step(saga: &str) -> StepCall {
    StepCall::new(saga, "reserve")
}

/// Code and reason of a refusal, for short assertions.
pub(crate) fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

/// Makes two tests of each function named: one on SQLite, one on Postgres.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $test() { super::$test(crate::fixture::Fixture::sqlite().await).await })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $test() { super::$test(crate::fixture::Fixture::postgres().await).await })+
        }
    };
}
pub(crate) use on_both_databases;
