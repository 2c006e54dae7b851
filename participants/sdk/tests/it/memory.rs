//! The barrier in memory keeps to the rules, and takes back what a refusal or a failure had changed.

use amends_participant::barrier::{CompleteError, MemoryBarrier};
use amends_participant::key::StepKey;
use amends_participant::status::OUTCOME;
use amends_participant::{Answer, CallContext, Failure, Operation, pending, rejected};
use futures::future::BoxFuture;
use tonic::Code;

use crate::fixture::{step, told};

type Shelf = Vec<String>;
type Handled<'c> = BoxFuture<'c, Result<Answer<String>, Failure>>;

fn barrier() -> MemoryBarrier<Shelf> {
    MemoryBarrier::new(Shelf::new(), "test.v1.Test")
}

fn takes<'c>(shelf: &'c mut Shelf, _: &'c CallContext, what: String) -> Handled<'c> {
    Box::pin(async move {
        shelf.push(what.clone());
        Ok(Answer::Done(format!("{what} #{}", shelf.len())))
    })
}

fn refuses<'c>(shelf: &'c mut Shelf, _: &'c CallContext, what: String) -> Handled<'c> {
    Box::pin(async move {
        shelf.push(what);
        Err(rejected("NO_ROOM", "there is no room"))
    })
}

fn fails<'c>(shelf: &'c mut Shelf, _: &'c CallContext, what: String) -> Handled<'c> {
    Box::pin(async move {
        shelf.push(what);
        Err(Failure::failed("broken"))
    })
}

fn waits<'c>(_: &'c mut Shelf, _: &'c CallContext, _: String) -> Handled<'c> {
    Box::pin(async { pending() })
}

fn text(what: &str) -> String {
    what.to_owned()
}

#[tokio::test]
async fn each_operation_happens_once_and_a_late_action_never() {
    let barrier = barrier();
    for _ in 0..2 {
        assert_eq!(barrier.handle(step("s").action(text("a")), takes).await.unwrap().into_inner(), "a #1");
    }
    for _ in 0..2 {
        let undo = step("s").expects_succeeded().compensate(text("c"));
        assert_eq!(barrier.handle(undo, takes).await.unwrap().into_inner(), "c #2");
    }
    assert_eq!(told(barrier.handle(step("s").action(text("a")), takes).await).1, "AMENDS_COMPENSATED");
    assert_eq!(barrier.handle(step("t").compensate(text("c")), takes).await.unwrap().into_inner(), "");
    assert_eq!(told(barrier.handle(step("t").action(text("a")), takes).await).1, "AMENDS_COMPENSATED");
    assert_eq!(barrier.state().await, ["a", "c"]);
}

#[tokio::test]
async fn a_refusal_is_final_and_a_failure_is_not_and_both_are_taken_back() {
    let barrier = barrier();
    for handler in [refuses, takes] {
        let answer = barrier.handle(step("s").action(text("a")), handler).await;
        assert_eq!(told(answer), (Code::FailedPrecondition, text("NO_ROOM")));
    }
    assert_eq!(told(barrier.handle(step("t").action(text("a")), fails).await).0, Code::Internal);
    assert!(barrier.state().await.is_empty());
    assert_eq!(barrier.handle(step("t").action(text("a")), takes).await.unwrap().into_inner(), "a #1");
}

#[tokio::test]
async fn other_requests_and_older_owners_are_turned_away() {
    let barrier = barrier();
    barrier.handle(step("s").epoch(8).action(text("a")), takes).await.unwrap();
    assert_eq!(told(barrier.handle(step("s").epoch(8).action(text("b")), takes).await).1, "AMENDS_KEY_REUSED");
    assert_eq!(told(barrier.handle(step("s").epoch(7).action(text("a")), takes).await).1, "AMENDS_STALE_EPOCH");
}

#[tokio::test]
async fn a_later_effect_goes_through_the_same_row() {
    let barrier = barrier();
    let key =
        |saga: &str| StepKey { namespace: text("default"), saga_id: text(saga), step: text("reserve"), element: None };
    let late = |saga: &str| {
        let key = key(saga);
        let barrier = barrier.clone();
        async move {
            let done = barrier.complete(&key, Operation::Action, |shelf: &mut Shelf| {
                Box::pin(async move {
                    shelf.push(text("late"));
                    Ok(Answer::Done(text("late")))
                })
            });
            done.await
        }
    };
    assert!(matches!(late("s").await, Err(CompleteError::NotPending)));
    for saga in ["s", "t"] {
        let answer = barrier.handle(step(saga).action(text("a")), waits).await.unwrap();
        assert_eq!(answer.metadata().get(OUTCOME).unwrap(), "pending");
    }
    for _ in 0..2 {
        assert_eq!(late("s").await.unwrap(), Answer::Done(text("late")));
    }
    barrier.handle(step("t").compensate(text("c")), takes).await.unwrap();
    assert!(matches!(late("t").await, Err(CompleteError::AfterCompensate)));
    assert_eq!(barrier.state().await, ["late", "c"]);
}
