//! Screening before a payment: every reason to refuse, and what is counted.

use amends_account::proto::{CancelScreeningRequest, ScreenReply, ScreenRequest, SetFrozenRequest, SetLimitsRequest};
use amends_participant::testing::StepCall;
use tonic::{Code, Status};

use crate::fixture::{Running, precondition, step, told};

fn screen_step(saga: &str) -> StepCall {
    StepCall::new(saga, "screen")
}

impl Running {
    async fn screen(&self, saga: &str, amount_minor: i64) -> Result<ScreenReply, Status> {
        let request = ScreenRequest { screening_id: saga.into(), account_id: "alice".into(), amount_minor };
        self.client.clone().screen(screen_step(saga).action(request)).await.map(tonic::Response::into_inner)
    }

    async fn cancel_screening(&self, saga: &str) -> Result<i64, Status> {
        let request = screen_step(saga).compensate(CancelScreeningRequest { screening_id: saga.into() });
        self.client.clone().cancel_screening(request).await.map(|it| it.into_inner().released_minor)
    }

    async fn set_limits(&self, per_payment_minor: Option<i64>, per_day_minor: Option<i64>) {
        let request = SetLimitsRequest { account_id: "alice".into(), per_payment_minor, per_day_minor };
        let standing = self.client.clone().set_limits(request).await.unwrap().into_inner();
        assert_eq!((standing.per_payment_minor, standing.per_day_minor), (per_payment_minor, per_day_minor));
    }

    async fn set_frozen(&self, frozen: bool) {
        let request = SetFrozenRequest { account_id: "alice".into(), frozen };
        assert_eq!(self.client.clone().set_frozen(request).await.unwrap().into_inner().frozen, frozen);
    }

    /// How often each decision was made, as the evidence says.
    async fn decisions(&self) -> Vec<(String, i64)> {
        let query = "SELECT decision, count(*) FROM screening_decisions GROUP BY decision ORDER BY decision";
        sqlx::query_as(query).fetch_all(&mut self.connect().await).await.unwrap()
    }
}

#[tokio::test]
async fn an_account_without_limits_may_pay_and_is_counted_once() {
    let running = Running::with_alice().await;
    for _ in 0..2 {
        let reply = running.screen("s", 30).await.unwrap();
        assert_eq!((reply.score, reply.left_today_minor), (0, None));
    }
    assert_eq!(running.decisions().await, [("approved".to_owned(), 1)]);
    assert_eq!(running.balance("alice").await, (100, 0), "no money moves");
    running.audit().await;
}

#[tokio::test]
async fn a_limit_for_each_payment_is_kept() {
    let running = Running::with_alice().await;
    running.set_limits(Some(50), None).await;
    assert!(running.screen("s-1", 50).await.is_ok());
    assert_eq!(told(running.screen("s-2", 51).await), precondition("OVER_LIMIT"));
    running.set_limits(None, None).await;
    assert_eq!(told(running.screen("s-2", 51).await), precondition("OVER_LIMIT"), "a refusal is final");
    assert!(running.screen("s-3", 51).await.is_ok());
}

#[tokio::test]
async fn a_limit_for_the_day_counts_what_was_approved_and_not_cancelled() {
    let running = Running::with_alice().await;
    running.set_limits(None, Some(100)).await;
    assert_eq!(running.screen("s-1", 60).await.unwrap().left_today_minor, Some(40));
    assert_eq!(told(running.screen("s-2", 41).await), precondition("OVER_DAILY_LIMIT"));
    for _ in 0..2 {
        assert_eq!(running.cancel_screening("s-1").await.unwrap(), 60);
    }
    assert_eq!(running.cancel_screening("s-2").await.unwrap(), 0, "it was refused: nothing to cancel");
    assert_eq!(running.screen("s-3", 100).await.unwrap().left_today_minor, Some(0));
    assert_eq!(told(running.screen("s-4", 1).await), precondition("OVER_DAILY_LIMIT"));
    let decisions = running.decisions().await;
    let of = |decision: &str| decisions.iter().find(|(name, _)| name == decision).map(|(_, count)| *count);
    assert_eq!((of("approved"), of("cancelled"), of("OVER_DAILY_LIMIT")), (Some(1), Some(1), Some(2)));
}

#[tokio::test]
async fn a_frozen_account_pays_nothing_until_it_thaws() {
    let running = Running::with_alice().await;
    running.hold(&step("before"), 10).await.unwrap();
    running.set_frozen(true).await;
    assert_eq!(told(running.screen("s-1", 1).await), precondition("FROZEN"));
    assert_eq!(told(running.hold(&step("s-2"), 1).await), precondition("FROZEN"));
    assert_eq!(running.confirm(&step("before")).await.unwrap(), 10, "what was promised before is kept");
    running.set_frozen(false).await;
    assert!(running.screen("s-3", 1).await.is_ok());
    assert!(running.hold(&step("s-4"), 1).await.is_ok());
}

#[tokio::test]
async fn freezing_and_limits_do_not_forget_each_other() {
    let running = Running::with_alice().await;
    running.set_limits(Some(50), None).await;
    running.set_frozen(true).await;
    running.set_limits(Some(40), None).await;
    assert_eq!(told(running.screen("s-1", 1).await), precondition("FROZEN"));
    running.set_frozen(false).await;
    assert_eq!(told(running.screen("s-2", 41).await), precondition("OVER_LIMIT"));
}

#[tokio::test]
async fn a_payment_unlike_all_before_it_is_anomalous() {
    let running = Running::with_alice().await;
    for number in 0..3 {
        running.screen(&format!("usual-{number}"), 100).await.unwrap();
    }
    assert!(running.screen("large-but-early", 10_000).await.is_ok(), "too few payments to compare with");
    running.cancel_screening("large-but-early").await.unwrap();
    for number in 3..5 {
        running.screen(&format!("usual-{number}"), 100).await.unwrap();
    }
    assert_eq!(told(running.screen("huge", 10_000).await), precondition("ANOMALOUS"));
    let reply = running.screen("more", 120).await.unwrap();
    assert_eq!(reply.score, 20 + 8, "two spreads above the mean, two payments more in the hour than are free");
}

#[tokio::test]
async fn paying_again_and_again_is_anomalous() {
    let running = Running::with_alice().await;
    for number in 0..18 {
        running.screen(&format!("s-{number}"), 1).await.unwrap();
    }
    assert_eq!(told(running.screen("s-18", 1).await), precondition("ANOMALOUS"));
}

#[tokio::test]
async fn what_cannot_be_screened_or_limited_says_why() {
    let running = Running::with_alice().await;
    for (saga, amount) in [("s-1", 0), ("s-2", -1), ("s-3", i64::MAX)] {
        assert_eq!(told(running.screen(saga, amount).await), precondition("INVALID_AMOUNT"));
    }
    let negative = SetLimitsRequest { account_id: "alice".into(), per_payment_minor: Some(-1), per_day_minor: None };
    let status = running.client.clone().set_limits(negative).await.expect_err("negative");
    assert_eq!(status.code(), Code::InvalidArgument);
    let nobody = SetFrozenRequest { account_id: "nobody".into(), frozen: true };
    assert_eq!(running.client.clone().set_frozen(nobody).await.expect_err("nobody").code(), Code::NotFound);
}
