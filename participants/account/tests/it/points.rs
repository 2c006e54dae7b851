//! Points: given and taken back once, whatever is repeated or late.

use amends_account::proto::{AwardPointsRequest, GetPointsRequest, RevokePointsRequest};
use amends_participant::testing::StepCall;
use tonic::Status;

use crate::fixture::{Running, precondition, told};

fn award_step(saga: &str) -> StepCall {
    StepCall::new(saga, "award-points")
}

impl Running {
    async fn award(&self, saga: &str, account: &str, points: i64) -> Result<i64, Status> {
        let request = AwardPointsRequest { award_id: saga.into(), account_id: account.into(), points };
        self.client.clone().award_points(award_step(saga).action(request)).await.map(|it| it.into_inner().balance)
    }

    async fn revoke(&self, saga: &str) -> Result<i64, Status> {
        let request = award_step(saga).compensate(RevokePointsRequest { award_id: saga.into() });
        self.client.clone().revoke_points(request).await.map(|it| it.into_inner().revoked)
    }

    async fn points(&self, account: &str) -> i64 {
        let request = GetPointsRequest { account_id: account.into() };
        self.client.clone().get_points(request).await.unwrap().into_inner().balance
    }
}

#[tokio::test]
async fn an_award_counts_once_and_is_taken_back_once() {
    let running = Running::with_alice().await;
    for _ in 0..3 {
        assert_eq!(running.award("s-1", "alice", 25).await.unwrap(), 25);
    }
    assert_eq!(running.award("s-2", "alice", 5).await.unwrap(), 30);
    for _ in 0..3 {
        assert_eq!(running.revoke("s-1").await.unwrap(), 25);
    }
    assert_eq!(told(running.award("s-1", "alice", 25).await), precondition("AMENDS_COMPENSATED"), "a late copy");
    assert_eq!(running.points("alice").await, 5);
    assert_eq!(running.audit().await["points"], 5);
}

#[tokio::test]
async fn a_revocation_that_comes_first_shuts_the_award_out() {
    let running = Running::with_alice().await;
    assert_eq!(running.revoke("s").await.unwrap(), 0);
    assert_eq!(told(running.award("s", "alice", 25).await), precondition("AMENDS_COMPENSATED"));
    assert_eq!(running.points("alice").await, 0);
}

#[tokio::test]
async fn what_cannot_be_awarded_is_refused() {
    let running = Running::with_alice().await;
    for (saga, points) in [("s-1", 0), ("s-2", -5), ("s-3", i64::MAX)] {
        assert_eq!(told(running.award(saga, "alice", points).await), precondition("INVALID_POINTS"));
    }
    assert_eq!(told(running.award("s-4", "nobody", 5).await), precondition("UNKNOWN_ACCOUNT"));
    assert_eq!(running.audit().await["points"], 0);
}
