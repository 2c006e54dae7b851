//! Two operations of one step in two open Postgres transactions at once (semantics A5), on the participant's own connections.
//!
//! The second must wait for the first to end, and then see what it has left; that it waits is read from the server itself.

use std::time::Duration;

use amends_participant::barrier::decide::Bar;
use amends_participant::barrier::{RunError, Verdict, ensure_schema, run_in};
use amends_participant::key::{CallContext, StepKey};
use amends_participant::testing::PostgresServer;
use amends_participant::{Answer, Failure, Operation, rejected};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::task::JoinHandle;

use crate::fixture::SCHEMA;

type Told = Result<Verdict<String>, RunError>;

struct Table(PgPool);

/// A call that was begun while another transaction of its step is open.
struct Second(JoinHandle<Told>);

impl Table {
    async fn new() -> Self {
        let pool = PgPool::connect(&PostgresServer::shared().fresh().await).await.unwrap();
        let mut db = pool.acquire().await.unwrap();
        ensure_schema(&mut *db).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut *db).await.unwrap();
        drop(db);
        Self(pool)
    }

    async fn begin(&self) -> Transaction<'static, Postgres> {
        self.0.begin().await.unwrap()
    }

    /// Makes the call in a transaction of its own, commits it, and returns once it waits for a lock or has ended.
    async fn second(&self, operation: Operation) -> Second {
        let mut transaction = self.begin().await;
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *transaction).await.unwrap();
        let second = tokio::spawn(async move {
            let told = call(&mut transaction, operation).await;
            transaction.commit().await?;
            told
        });
        loop {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
            let waits: i64 = sqlx::query_scalar(waits).bind(pid).fetch_one(&self.0).await.unwrap();
            if waits == 1 || second.is_finished() {
                return Second(second);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn made(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT what FROM made ORDER BY id").fetch_all(&self.0).await.unwrap()
    }
}

impl Second {
    async fn told(self) -> Verdict<String> {
        self.0.await.unwrap().unwrap()
    }
}

async fn call(db: &mut PgConnection, operation: Operation) -> Told {
    run_in(db, &context(operation, 1), [0; 32], |db, call| Box::pin(make(db, call.operation.as_str()))).await
}

fn context(operation: Operation, epoch: u64) -> CallContext {
    let key = StepKey { namespace: "default".into(), saga_id: "s".into(), step: "reserve".into(), element: None };
    let idempotency_key = format!("{key}/{operation}");
    CallContext { key, operation, attempt: 1, epoch, expects_succeeded: false, idempotency_key, origin: None }
}

async fn make(db: &mut PgConnection, what: &str) -> Result<Answer<String>, Failure> {
    let made = "INSERT INTO made (id, what) SELECT coalesce(max(id), 0) + 1, $1 FROM made RETURNING id";
    let id: i32 = sqlx::query_scalar(made).bind(what).fetch_one(db).await?;
    Ok(Answer::Done(format!("{what} #{id}")))
}

fn done(reply: &str) -> Verdict<String> {
    Verdict::Done(reply.to_owned())
}

#[tokio::test]
async fn overlap_a_compensate_waits_for_the_open_action_and_undoes_it() {
    let table = Table::new().await;
    let mut action = table.begin().await;
    assert_eq!(call(&mut action, Operation::Action).await.unwrap(), done("action #1"));
    let compensate = table.second(Operation::Compensate).await;
    action.commit().await.unwrap();
    assert_eq!(compensate.told().await, done("compensate #2"));
    assert_eq!(table.made().await, ["action", "compensate"]);
}

#[tokio::test]
async fn overlap_an_action_waits_for_the_open_compensate_and_is_refused() {
    let table = Table::new().await;
    let mut compensate = table.begin().await;
    assert_eq!(call(&mut compensate, Operation::Compensate).await.unwrap(), done(""), "nothing to undo yet");
    let action = table.second(Operation::Action).await;
    compensate.commit().await.unwrap();
    assert_eq!(action.told().await, Verdict::Barred(Bar::AfterCompensate));
    assert!(table.made().await.is_empty());
}

#[tokio::test]
async fn overlap_a_copy_of_the_open_action_gets_its_reply_and_runs_nothing() {
    let table = Table::new().await;
    let mut action = table.begin().await;
    call(&mut action, Operation::Action).await.unwrap();
    let copy = table.second(Operation::Action).await;
    action.commit().await.unwrap();
    assert_eq!(copy.told().await, done("action #1"));
    assert_eq!(table.made().await, ["action"]);
}

#[tokio::test]
async fn overlap_a_compensate_that_waited_for_an_action_that_rolls_back_shuts_it_out() {
    let table = Table::new().await;
    let mut action = table.begin().await;
    call(&mut action, Operation::Action).await.unwrap();
    let compensate = table.second(Operation::Compensate).await;
    action.rollback().await.unwrap();
    assert_eq!(compensate.told().await, done(""), "there is nothing to undo");
    let late = table.second(Operation::Action).await;
    assert_eq!(late.told().await, Verdict::Barred(Bar::AfterCompensate));
    assert!(table.made().await.is_empty());
}

#[tokio::test]
async fn overlap_a_confirm_and_a_compensate_of_a_tried_step_leave_one_ending() {
    let table = Table::new().await;
    table.second(Operation::Action).await.told().await;
    let mut confirm = table.begin().await;
    call(&mut confirm, Operation::Confirm).await.unwrap();
    let compensate = table.second(Operation::Compensate).await;
    confirm.commit().await.unwrap();
    assert_eq!(compensate.told().await, Verdict::Barred(Bar::AfterConfirm));
    assert_eq!(table.made().await, ["action", "confirm"]);
}

#[tokio::test]
async fn a_copy_that_waited_for_a_refusal_gets_that_refusal() {
    let table = Table::new().await;
    let (mut action, first) = (table.begin().await, context(Operation::Action, 1));
    let refused = run_in::<_, String, _>(&mut *action, &first, [0; 32], |db, _| {
        Box::pin(async move {
            make(db, "never").await?;
            Err(rejected("NO_ROOM", "there is no room"))
        })
    });
    let refused = refused.await.unwrap();
    assert!(matches!(&refused, Verdict::Refused(refusal) if refusal.reason == "NO_ROOM"), "{refused:?}");
    let copy = table.second(Operation::Action).await;
    action.commit().await.unwrap();
    assert_eq!(copy.told().await, refused);
    assert!(table.made().await.is_empty());
}

#[tokio::test]
async fn an_older_owner_that_overlaps_a_newer_one_does_not_lower_the_epoch() {
    let table = Table::new().await;
    let make_call = |epoch| {
        let mut other_step = context(Operation::Action, epoch);
        other_step.key.step = format!("step-{epoch}");
        other_step
    };
    let mut newer = table.begin().await;
    run_in(&mut *newer, &make_call(9), [0; 32], |db, _| Box::pin(make(db, "newer"))).await.unwrap();
    let mut older = table.begin().await;
    let older = tokio::spawn(async move {
        let told = run_in(&mut *older, &make_call(8), [0; 32], |db, _| Box::pin(make(db, "older"))).await;
        older.commit().await.unwrap();
        told
    });
    tokio::task::yield_now().await;
    newer.commit().await.unwrap();
    assert_eq!(older.await.unwrap().unwrap(), Verdict::Barred(Bar::StaleEpoch { highest_seen: 9 }));
    assert_eq!(table.made().await, ["newer"]);
}

#[tokio::test]
async fn what_the_database_breaks_off_is_a_failure_and_never_a_refusal() {
    let table = Table::new().await;
    let mut action = table.begin().await;
    call(&mut action, Operation::Action).await.unwrap();
    let mut serializable = table.begin().await;
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM made")
        .execute(&mut *serializable)
        .await
        .unwrap();
    let mut impatient = table.begin().await;
    sqlx::raw_sql("SET LOCAL lock_timeout = '20ms'").execute(&mut *impatient).await.unwrap();
    let told = call(&mut impatient, Operation::Action).await;
    assert!(matches!(told, Err(RunError::Database(_))), "a time-out of a lock: {told:?}");
    action.commit().await.unwrap();
    let told = call(&mut serializable, Operation::Action).await;
    assert!(matches!(told, Err(RunError::Database(_))), "a serialization error: {told:?}");
    assert_eq!(table.made().await, ["action"]);
}

#[tokio::test]
async fn the_barrier_wants_a_transaction() {
    let url = PostgresServer::shared().fresh().await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    ensure_schema(&mut db).await.unwrap();
    assert!(matches!(call(&mut db, Operation::Action).await, Err(RunError::NoTransaction)));
}
