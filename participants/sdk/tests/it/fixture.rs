//! A database with one business table, and handlers that do, refuse, fail or wait.
//!
//! Each handler first writes to the table, so that a change that should have been rolled back shows. Replies are numbered
//! by the table's rows, so that a repeated reply can be told from a new one.

use std::path::Path;

use amends_participant::testing::{StepCall, reason};
use amends_participant::{Answer, Barrier, Database, Failure, pending, rejected};
use sqlx::SqliteConnection;
use tempfile::TempDir;
use tonic::{Code, Request, Response, Status};

pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS made (id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT";

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) database: Database,
    pub(crate) barrier: Barrier,
}

pub(crate) async fn open(path: &Path) -> (Database, Barrier) {
    let database = Database::open(path, &[SCHEMA]).await.unwrap();
    let barrier = Barrier::new(database.clone(), "test.v1.Test");
    (database, barrier)
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let (database, barrier) = open(&dir.path().join("test.db")).await;
        Self { dir, database, barrier }
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

pub(crate) async fn make(db: &mut SqliteConnection, what: String) -> Result<Answer<String>, Failure> {
    let made = sqlx::query("INSERT INTO made (what) VALUES (?)").bind(&what).execute(db).await?;
    Ok(Answer::Done(format!("{what} #{}", made.last_insert_rowid())))
}

pub(crate) fn step(saga: &str) -> StepCall {
    StepCall::new(saga, "reserve")
}

/// Code and reason of a refusal, for short assertions.
pub(crate) fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}
