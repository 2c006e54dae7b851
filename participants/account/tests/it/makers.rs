//! A saga ends only what it has made itself: whatever id it names, in a mistake or because two sagas use the same one.

use amends_account::proto::{
    AwardPointsRequest, CancelCreditRequest, CancelHoldRequest, CancelScreeningRequest, ConfirmCreditRequest,
    ConfirmHoldRequest, HoldRequest, ReserveCreditRequest, RevokePointsRequest, ScreenRequest,
};
use amends_participant::testing::StepCall;
use tonic::Status;

use crate::fixture::{Running, precondition, step, told};

impl Running {
    async fn hold_as(&self, call: &StepCall, id: &str, amount_minor: i64) {
        let request = HoldRequest { account_id: "alice".into(), hold_id: id.into(), amount_minor };
        self.client.clone().hold(call.action(request)).await.unwrap();
    }

    async fn confirm_as(&self, call: &StepCall, id: &str) -> Result<i64, Status> {
        let request = call.confirm(ConfirmHoldRequest { hold_id: id.into(), ..Default::default() });
        self.client.clone().confirm_hold(request).await.map(|it| it.into_inner().settled_minor)
    }

    async fn cancel_as(&self, call: &StepCall, id: &str) -> Result<i64, Status> {
        let request = call.compensate(CancelHoldRequest { hold_id: id.into() });
        self.client.clone().cancel_hold(request).await.map(|it| it.into_inner().released_minor)
    }

    async fn award_as(&self, call: &StepCall, id: &str, points: i64) {
        let request = AwardPointsRequest { award_id: id.into(), account_id: "alice".into(), points };
        self.client.clone().award_points(call.action(request)).await.unwrap();
    }

    async fn revoke_as(&self, request: tonic::Request<RevokePointsRequest>) -> Result<i64, Status> {
        self.client.clone().revoke_points(request).await.map(|it| it.into_inner().revoked)
    }
}

fn revoke(id: &str) -> RevokePointsRequest {
    RevokePointsRequest { award_id: id.into() }
}

#[tokio::test]
async fn a_hold_is_ended_by_its_own_saga_only() {
    let running = Running::with_alice().await;
    running.hold_as(&step("a"), "h-a", 30).await;
    running.hold_as(&step("b"), "h-b", 5).await;
    assert_eq!(told(running.confirm_as(&step("b"), "h-a").await), precondition("UNKNOWN_HOLD"));
    assert_eq!(told(running.cancel_as(&step("b"), "h-a").await), precondition("UNKNOWN_HOLD"));
    assert_eq!(running.balance("alice").await, (65, 35), "both still stand");
    assert_eq!(running.confirm_as(&step("a"), "h-a").await.unwrap(), 30);
    assert_eq!(running.cancel_as(&step("b"), "h-b").await.unwrap(), 5, "a refused ending can come again, mended");
    assert_eq!(running.audit().await["held"], 0);
}

#[tokio::test]
async fn sagas_that_use_the_same_id_end_each_its_own() {
    let running = Running::with_alice().await;
    let elsewhere = step("a").namespace("elsewhere");
    running.hold_as(&step("a"), "order-1", 30).await;
    running.hold_as(&step("b"), "order-1", 5).await;
    running.hold_as(&elsewhere, "order-1", 1).await;
    assert_eq!(running.cancel_as(&elsewhere, "order-1").await.unwrap(), 1, "the same saga id, another tenant");
    assert_eq!(running.cancel_as(&step("b"), "order-1").await.unwrap(), 5);
    assert_eq!(running.confirm_as(&step("a"), "order-1").await.unwrap(), 30);
    assert_eq!(running.balance("alice").await, (70, 0));
    running.audit().await;
}

#[tokio::test]
async fn a_later_step_of_the_same_saga_ends_its_hold() {
    let running = Running::with_alice().await;
    running.hold_as(&step("a"), "h", 30).await;
    let capture = async |saga: &str| {
        let request = ConfirmHoldRequest { hold_id: "h".into(), ..Default::default() };
        running.client.clone().confirm_hold(StepCall::new(saga, "capture").action(request)).await
    };
    assert_eq!(told(capture("b").await), precondition("UNKNOWN_HOLD"));
    assert_eq!(capture("a").await.unwrap().into_inner().settled_minor, 30);
    running.audit().await;
}

#[tokio::test]
async fn a_reserved_credit_is_ended_by_its_own_saga_only() {
    let running = Running::with_alice().await;
    let mut client = running.client.clone();
    for (saga, id) in [("a", "c-a"), ("b", "c-b")] {
        let request = ReserveCreditRequest { account_id: "alice".into(), credit_id: id.into(), amount_minor: 30 };
        client.reserve_credit(step(saga).action(request)).await.unwrap();
    }
    let confirm = |id: &str| ConfirmCreditRequest { credit_id: id.into() };
    let cancel = |id: &str| CancelCreditRequest { credit_id: id.into() };
    let unknown = precondition("UNKNOWN_CREDIT");
    assert_eq!(told(client.confirm_credit(step("b").confirm(confirm("c-a"))).await), unknown);
    assert_eq!(told(client.cancel_credit(step("b").compensate(cancel("c-a"))).await), unknown);
    assert_eq!(running.audit().await["incoming"], 60);
    client.cancel_credit(step("a").compensate(cancel("c-a"))).await.unwrap();
    client.confirm_credit(step("b").confirm(confirm("c-b"))).await.unwrap();
    assert_eq!(running.audit().await["incoming"], 0);
}

#[tokio::test]
async fn a_screening_is_cancelled_by_its_own_saga_only() {
    let running = Running::with_alice().await;
    let mut client = running.client.clone();
    let mine = step("a");
    let namesake = step("a").namespace("elsewhere");
    for (call, id) in [(&mine, "s-a"), (&namesake, "s-b")] {
        let request = ScreenRequest { screening_id: id.into(), account_id: "alice".into(), amount_minor: 10 };
        client.screen(call.action(request)).await.unwrap();
    }
    let cancel = |id: &str| CancelScreeningRequest { screening_id: id.into() };
    let foreign = client.cancel_screening(namesake.compensate(cancel("s-a"))).await;
    assert_eq!(told(foreign), precondition("UNKNOWN_SCREENING"));
    assert_eq!(client.cancel_screening(mine.compensate(cancel("s-a"))).await.unwrap().into_inner().released_minor, 10);
}

#[tokio::test]
async fn a_compensation_takes_back_only_the_points_of_its_own_saga() {
    let running = Running::with_alice().await;
    running.award_as(&step("a"), "order-1", 25).await;
    running.award_as(&step("b"), "order-2", 5).await;
    let foreign = running.revoke_as(step("b").compensate(revoke("order-1"))).await;
    assert_eq!(told(foreign), precondition("UNKNOWN_AWARD"));
    assert_eq!(running.audit().await["points"], 30);
    running.award_as(&step("c"), "order-1", 7).await;
    assert_eq!(running.revoke_as(step("c").compensate(revoke("order-1"))).await.unwrap(), 7, "its own, not the oldest");
    assert_eq!(running.audit().await["points"], 30);
}

#[tokio::test]
async fn a_saga_that_undoes_a_purchase_takes_back_its_points_unless_it_is_unclear_whose() {
    let running = Running::with_alice().await;
    running.award_as(&step("a"), "order-1", 25).await;
    for _ in 0..2 {
        assert_eq!(running.revoke_as(step("return-1").action(revoke("order-1"))).await.unwrap(), 25);
    }
    assert_eq!(running.audit().await["points"], 0);
    assert_eq!(
        told(running.revoke_as(step("return-2").action(revoke("order-1"))).await),
        precondition("UNKNOWN_AWARD")
    );
    running.award_as(&step("b"), "order-2", 5).await;
    running.award_as(&step("c"), "order-2", 7).await;
    let unclear = running.revoke_as(step("return-3").action(revoke("order-2"))).await;
    assert_eq!(told(unclear), precondition("AMBIGUOUS_AWARD"));
    assert_eq!(running.audit().await["points"], 12);
}

#[tokio::test]
async fn what_was_made_before_makers_were_written_down_is_ended_as_it_was_then() {
    let running = Running::with_alice().await;
    running.hold_as(&step("old"), "h", 30).await;
    running.award_as(&step("old-award"), "p", 5).await;
    let mut db = running.connect().await;
    for table in ["holds", "credits", "awards", "screenings"] {
        for column in ["namespace", "saga_id"] {
            if (table, column) != ("screenings", "saga_id") {
                let older = sqlx::AssertSqlSafe(format!("ALTER TABLE {table} DROP COLUMN {column}"));
                sqlx::raw_sql(older).execute(&mut db).await.unwrap();
            }
        }
    }
    drop(db);
    let running = running.restart().await.restart().await;
    running.hold_as(&step("new"), "h", 1).await;
    assert_eq!(running.cancel_as(&step("new"), "h").await.unwrap(), 1, "its own goes first");
    assert_eq!(running.cancel_as(&step("old"), "h").await.unwrap(), 30);
    assert_eq!(running.revoke_as(step("old-award").compensate(revoke("p"))).await.unwrap(), 5);
    assert_eq!(running.balance("alice").await, (100, 0));
    running.audit().await;
}
