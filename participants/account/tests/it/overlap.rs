//! Calls that meet a transaction which is still open: they wait for it and go by what it has left.

use std::time::Duration;

use amends_account::proto::DepositRequest;
use sqlx::AnyConnection;

use crate::fixture::{Running, precondition, step, told};

/// A transaction beside the service's.
struct Other(AnyConnection);

impl Other {
    /// Has locked what the query reads; on SQLite, everything.
    async fn locking(running: &Running, query: &'static str) -> Self {
        let mut other = Self(running.connect().await);
        if other.is_postgres() {
            other.run("BEGIN").await;
            other.run(query).await;
        } else {
            other.run("BEGIN IMMEDIATE").await;
        }
        other
    }

    fn is_postgres(&self) -> bool {
        self.0.backend_name() == "PostgreSQL"
    }

    async fn run(&mut self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&mut self.0).await.unwrap();
    }

    /// Makes the call, and runs `last` as soon as so many wait for this transaction. Where the call ends before that, which it
    /// should not, gives its answer at once. SQLite can't say who waits; there the order of the two doesn't matter.
    async fn meets<T>(mut self, call: impl Future<Output = T>, waiting: i64, last: &'static str) -> T {
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            early = &mut call => {
                self.run("ROLLBACK").await;
                return early;
            }
            () = self.wait_for_this(waiting) => {}
        }
        self.run(last).await;
        call.await
    }

    async fn wait_for_this(&mut self, waiting: i64) {
        let query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND (pg_backend_pid() = ANY(pg_blocking_pids(pid))
             OR EXISTS (SELECT 1 FROM unnest(pg_blocking_pids(pid)) AS first(pid)
                        WHERE pg_backend_pid() = ANY(pg_blocking_pids(first.pid))))";
        while self.is_postgres() && sqlx::query_scalar::<_, i64>(query).fetch_one(&mut self.0).await.unwrap() < waiting
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_cancel_waits_for_whoever_has_its_hold_rather_than_find_none() {
    let running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    let other = Other::locking(&running, "SELECT id FROM holds FOR UPDATE").await;
    assert_eq!(other.meets(running.cancel(&step("s")), 1, "ROLLBACK").await.unwrap(), 30);
    running.audit().await;
}

#[tokio::test]
async fn a_hold_that_waited_while_the_account_was_frozen_is_refused() {
    let running = Running::with_alice().await;
    let other = Other::locking(&running, "SELECT 1 FROM accounts WHERE account_id = 'alice' FOR NO KEY UPDATE").await;
    let freeze = "INSERT INTO standings (account_id, frozen) VALUES ('alice', 1); COMMIT";
    assert_eq!(told(other.meets(running.hold(&step("s"), 30), 1, freeze).await), precondition("FROZEN"));
    assert_eq!(running.balance("alice").await, (100, 0));
    running.audit().await;
}

#[tokio::test]
async fn copies_of_a_deposit_that_come_together_pay_in_once_and_both_succeed() {
    let running = Running::with_alice().await;
    let other = Other::locking(&running, "SELECT 1 FROM accounts WHERE account_id = 'alice' FOR NO KEY UPDATE").await;
    let deposit = DepositRequest { deposit_id: "d".into(), account_id: "alice".into(), amount_minor: 5 };
    let (mut first, mut second) = (running.client.clone(), running.client.clone());
    let both = futures::future::try_join(first.deposit(deposit.clone()), second.deposit(deposit));
    other.meets(both, 2, "ROLLBACK").await.unwrap();
    assert_eq!(running.balance("alice").await, (105, 0));
    running.audit().await;
}
