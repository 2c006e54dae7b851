//! Commits: grouped, overlapping, interrupted, and after a restart.

use amends_participant::{Answer, Failure};
use tokio::sync::oneshot;

use crate::fixture::{Fixture, make, on_both_databases, open, step};

on_both_databases! {
    a_client_that_goes_away_does_not_interrupt_the_commit,
    a_panic_costs_only_its_own_call,
    calls_that_come_together_are_kept_apart,
    an_action_and_a_compensate_in_two_open_transactions_do_not_miss_each_other,
    rows_survive_a_restart,
    an_own_write_is_all_or_nothing,
}

async fn a_client_that_goes_away_does_not_interrupt_the_commit(f: Fixture) {
    let (entered, has_entered) = oneshot::channel::<()>();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let barrier = f.barrier.clone();
    let client = tokio::spawn(async move {
        let request = step("s").action("a".to_owned());
        barrier
            .handle(request, |db, _, what| {
                Box::pin(async move {
                    entered.send(()).unwrap();
                    may_go_on.await.map_err(Failure::failed)?;
                    make(db, what).await
                })
            })
            .await
    });
    has_entered.await.unwrap();
    client.abort();
    assert!(client.await.expect_err("aborted").is_cancelled());
    go_on.send(()).unwrap();
    assert_eq!(f.does(step("s").action("a".to_owned())).await.unwrap(), "a #1", "the stored reply");
    assert_eq!(f.made().await, ["a"]);
}

async fn a_panic_costs_only_its_own_call(f: Fixture) {
    let panics = f.barrier.handle(step("p").action("p".to_owned()), |db, _, what| {
        Box::pin(async move {
            make(db, what).await?;
            if true {
                panic!("a bug in a handler");
            }
            Ok::<Answer<String>, Failure>(Answer::Pending)
        })
    });
    let (panicked, fine) = tokio::join!(panics, f.does(step("s").action("a".to_owned())));
    assert_eq!(panicked.expect_err("panicked").code(), tonic::Code::Unavailable, "unknown to the coordinator");
    assert!(fine.is_ok());
    assert_eq!(f.made().await, ["a"]);
}

async fn calls_that_come_together_are_kept_apart(f: Fixture) {
    let calls = (0..200_u32).map(|n| {
        let (barrier, request) = (&f, step(&format!("s-{n}")).action(format!("a-{n}")));
        async move {
            match n % 4 {
                0 => barrier.refuses(request).await.map_err(|status| status.code()),
                1 => barrier.fails(request).await.map_err(|status| status.code()),
                _ => barrier.does(request).await.map_err(|status| status.code()),
            }
        }
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 100);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(tonic::Code::FailedPrecondition)).count(), 50);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(tonic::Code::Internal)).count(), 50);
    assert_eq!(f.made().await.len(), 100);
}

async fn an_action_and_a_compensate_in_two_open_transactions_do_not_miss_each_other(f: Fixture) {
    let (_, other_process) = open(&f.place).await;
    let (entered, has_entered) = oneshot::channel::<()>();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let action = f.barrier.handle(step("s").action("a".to_owned()), |db, _, what| {
        Box::pin(async move {
            entered.send(()).unwrap();
            may_go_on.await.map_err(Failure::failed)?;
            make(db, what).await
        })
    });
    let compensate = async {
        has_entered.await.unwrap();
        let request = step("s").compensate("c".to_owned());
        let compensate = other_process.handle(request, |db, _, what| Box::pin(make(db, what)));
        let (answer, ()) = tokio::join!(compensate, async { go_on.send(()).unwrap() });
        answer
    };
    let (action, compensate) = tokio::join!(action, compensate);
    assert_eq!(action.unwrap().into_inner(), "a #1");
    assert_eq!(compensate.unwrap().into_inner(), "c #2", "it waited, found the action, and undid it");
}

async fn rows_survive_a_restart(f: Fixture) {
    let reply = f.does(step("s").action("a".to_owned())).await.unwrap();
    f.refuses(step("r").action("r".to_owned())).await.expect_err("refused");
    let (_, reopened) = open(&f.place).await;
    let again = Fixture { barrier: reopened, ..f };
    assert_eq!(again.does(step("s").action("a".to_owned())).await.unwrap(), reply);
    assert!(again.does(step("r").action("r".to_owned())).await.is_err());
}

async fn an_own_write_is_all_or_nothing(f: Fixture) {
    let written: Result<(), Failure> = f
        .database
        .write(|db| {
            Box::pin(async move {
                make(db, "half".into()).await?;
                Err(Failure::failed("broken"))
            })
        })
        .await
        .unwrap();
    assert!(written.is_err());
    assert!(f.made().await.is_empty());
}

#[tokio::test]
async fn sqlite_has_the_mend_for_corruption_at_a_reset_of_the_wal() {
    let f = Fixture::sqlite().await;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(f.database.readers()).await.unwrap();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![3, 51, 3], "SQLite is {version}");
}
