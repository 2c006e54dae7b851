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

    /// Returns when somebody waits for this transaction. SQLite can't say; there the order of the two doesn't matter.
    async fn somebody_waits(&mut self) {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))";
        while self.is_postgres() && sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut self.0).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_cancel_waits_for_whoever_has_its_hold_rather_than_find_none() {
    let running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    let mut other = Other::locking(&running, "SELECT id FROM holds FOR UPDATE").await;
    let call = step("s");
    let (cancelled, ()) = tokio::join!(running.cancel(&call), async {
        other.somebody_waits().await;
        other.run("ROLLBACK").await;
    });
    assert_eq!(cancelled.unwrap(), 30);
    running.audit().await;
}

#[tokio::test]
async fn a_hold_that_waited_while_the_account_was_frozen_is_refused() {
    let running = Running::with_alice().await;
    let mut other =
        Other::locking(&running, "SELECT 1 FROM accounts WHERE account_id = 'alice' FOR NO KEY UPDATE").await;
    let call = step("s");
    let (held, ()) = tokio::join!(running.hold(&call, 30), async {
        other.somebody_waits().await;
        other.run("INSERT INTO standings (account_id, frozen) VALUES ('alice', 1)").await;
        other.run("COMMIT").await;
    });
    assert_eq!(told(held), precondition("FROZEN"));
    assert_eq!(running.balance("alice").await, (100, 0));
    running.audit().await;
}

#[tokio::test]
async fn copies_of_a_deposit_that_come_together_pay_in_once_and_all_succeed() {
    let running = Running::with_alice().await;
    let deposit = DepositRequest { deposit_id: "d".into(), account_id: "alice".into(), amount_minor: 5 };
    let copies = (0..20).map(|_| {
        let (mut client, deposit) = (running.client.clone(), deposit.clone());
        async move { client.deposit(deposit).await }
    });
    for answer in futures::future::join_all(copies).await {
        answer.unwrap();
    }
    assert_eq!(running.balance("alice").await, (105, 0));
    running.audit().await;
}
