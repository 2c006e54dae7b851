//! Effects that come later go through the same row (semantics A14).

use amends_participant::barrier::CompleteError;
use amends_participant::key::StepKey;
use amends_participant::status::{OUTCOME, OUTCOME_PENDING};
use amends_participant::{Answer, Operation, rejected};

use crate::fixture::{Fixture, make, on_both_databases, step, told};

on_both_databases! {
    a_pending_answer_is_marked_and_repeated_until_the_effect_comes_once,
    an_effect_that_comes_after_the_compensation_is_refused,
    a_pending_action_can_be_refused_in_the_end_and_that_is_final,
    a_compensation_can_be_pending_and_shuts_the_action_out_meanwhile,
    what_is_not_pending_is_not_completed,
}

fn key(saga: &str) -> StepKey {
    StepKey { namespace: "default".into(), saga_id: saga.into(), step: "reserve".into(), element: None }
}

async fn complete(f: &Fixture, saga: &str, operation: Operation) -> Result<Answer<String>, CompleteError> {
    f.barrier.complete(&key(saga), operation, |db| Box::pin(make(db, "late".into()))).await
}

fn text(what: &str) -> String {
    what.to_owned()
}

async fn a_pending_answer_is_marked_and_repeated_until_the_effect_comes_once(f: Fixture) {
    for _ in 0..2 {
        let response = f.waits(step("s").action(text("a"))).await.unwrap();
        assert_eq!(response.metadata().get(OUTCOME).unwrap(), OUTCOME_PENDING);
    }
    for _ in 0..2 {
        assert_eq!(complete(&f, "s", Operation::Action).await.unwrap(), Answer::Done(text("late #1")));
    }
    assert_eq!(f.does(step("s").action(text("a"))).await.unwrap(), "late #1", "the call's repeat gets the late reply");
    assert_eq!(f.made().await, ["late"]);
}

async fn an_effect_that_comes_after_the_compensation_is_refused(f: Fixture) {
    f.waits(step("s").action(text("a"))).await.unwrap();
    f.does(step("s").compensate(text("c"))).await.unwrap();
    assert!(matches!(complete(&f, "s", Operation::Action).await, Err(CompleteError::AfterCompensate)));
    assert_eq!(f.made().await, ["c"]);
}

async fn a_pending_action_can_be_refused_in_the_end_and_that_is_final(f: Fixture) {
    f.waits(step("s").action(text("a"))).await.unwrap();
    let key = key("s");
    let answer = f.barrier.complete(&key, Operation::Action, |db| {
        Box::pin(async move {
            make(db, "late".into()).await?;
            Err::<Answer<String>, _>(rejected("DECLINED", "declined"))
        })
    });
    assert!(matches!(answer.await, Err(CompleteError::Refused(refusal)) if refusal.reason == "DECLINED"));
    assert_eq!(told(f.does(step("s").action(text("a"))).await).1, "DECLINED");
    assert!(matches!(complete(&f, "s", Operation::Action).await, Err(CompleteError::Refused(_))));
    assert!(f.made().await.is_empty());
}

async fn a_compensation_can_be_pending_and_shuts_the_action_out_meanwhile(f: Fixture) {
    f.does(step("s").action(text("a"))).await.unwrap();
    f.waits(step("s").compensate(text("c"))).await.unwrap();
    let (code, reason) = told(f.does(step("s").action(text("a"))).await);
    assert_eq!((code, reason.as_str()), (tonic::Code::Aborted, "AMENDS_COMPENSATION_PENDING"), "unknown, not rejected");
    assert_eq!(complete(&f, "s", Operation::Compensate).await.unwrap(), Answer::Done(text("late #2")));
    assert_eq!(f.does(step("s").compensate(text("c"))).await.unwrap(), "late #2");
}

async fn what_is_not_pending_is_not_completed(f: Fixture) {
    assert!(matches!(complete(&f, "s", Operation::Action).await, Err(CompleteError::NotPending)));
    f.does(step("s").action(text("a"))).await.unwrap();
    assert!(matches!(complete(&f, "s", Operation::Confirm).await, Err(CompleteError::NotPending)));
    assert_eq!(f.made().await, ["a"]);
}
