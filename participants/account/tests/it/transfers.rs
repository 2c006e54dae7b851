//! Transfers between accounts: a hold on one side, a credit on the other, both as TCC steps.

use amends_account::proto::{
    CancelCreditRequest, ConfirmCreditRequest, ConfirmHoldRequest, DepositRequest, GetBalanceRequest,
    ReserveCreditRequest, SettleTo,
};
use amends_participant::testing::StepCall;
use amends_participant::testing::TestPlace;
use tonic::{Code, Status};

use crate::fixture::{Running, precondition, step, told};

async fn two_accounts() -> Running {
    let running = Running::start(TestPlace::new().await, &[]).await;
    running.open("alice", 0, 100).await;
    running.open("bob", 0, 100).await;
    running
}

fn credit_step(saga: &str) -> StepCall {
    StepCall::new(saga, "credit")
}

impl Running {
    async fn reserve_credit(&self, account: &str, call: &StepCall, amount_minor: i64) -> Result<i64, Status> {
        let request = ReserveCreditRequest { account_id: account.into(), credit_id: "c".into(), amount_minor };
        self.client.clone().reserve_credit(call.action(request)).await.map(|it| it.into_inner().reserved_minor)
    }

    async fn confirm_credit(&self, call: &StepCall) -> Result<i64, Status> {
        let request = call.confirm(ConfirmCreditRequest { credit_id: "c".into() });
        self.client.clone().confirm_credit(request).await.map(|it| it.into_inner().credited_minor)
    }

    async fn cancel_credit(&self, call: &StepCall) -> Result<i64, Status> {
        let request = call.compensate(CancelCreditRequest { credit_id: "c".into() });
        self.client.clone().cancel_credit(request).await.map(|it| it.into_inner().cancelled_minor)
    }

    async fn confirm_to_clearing(&self, call: &StepCall) -> Result<i64, Status> {
        let request = ConfirmHoldRequest { hold_id: "h".into(), settle_to: SettleTo::Clearing.into() };
        self.client.clone().confirm_hold(call.confirm(request)).await.map(|it| it.into_inner().settled_minor)
    }

    async fn incoming(&self, account_id: &str) -> i64 {
        let request = GetBalanceRequest { account_id: account_id.into() };
        self.client.clone().get_balance(request).await.unwrap().into_inner().incoming_minor
    }
}

#[tokio::test]
async fn a_confirmed_transfer_moves_the_money_once_through_clearing() {
    let running = two_accounts().await;
    running.hold(&step("s"), 30).await.unwrap();
    assert_eq!(running.reserve_credit("bob", &credit_step("s"), 30).await.unwrap(), 30);
    assert_eq!((running.balance("bob").await, running.incoming("bob").await), ((100, 0), 30), "not available yet");
    for _ in 0..2 {
        assert_eq!(running.confirm_to_clearing(&step("s").expects_succeeded()).await.unwrap(), 30);
    }
    assert_eq!(running.audit().await["clearing"], 30, "on its way");
    for _ in 0..2 {
        assert_eq!(running.confirm_credit(&credit_step("s").expects_succeeded()).await.unwrap(), 30);
    }
    assert_eq!((running.balance("alice").await, running.balance("bob").await), ((70, 0), (130, 0)));
    let sums = running.audit().await;
    assert_eq!((sums["clearing"], sums["incoming"], sums["held"]), (0, 0, 0));
}

#[tokio::test]
async fn a_cancelled_transfer_leaves_everything_as_it_was() {
    let running = two_accounts().await;
    running.hold(&step("s"), 30).await.unwrap();
    running.reserve_credit("bob", &credit_step("s"), 30).await.unwrap();
    for _ in 0..2 {
        assert_eq!(running.cancel_credit(&credit_step("s")).await.unwrap(), 30);
        assert_eq!(running.cancel(&step("s")).await.unwrap(), 30);
    }
    assert_eq!(told(running.confirm_credit(&credit_step("s")).await), precondition("AMENDS_COMPENSATED"));
    assert_eq!((running.balance("alice").await, running.balance("bob").await), ((100, 0), (100, 0)));
    assert_eq!(running.audit().await["incoming"], 0);
}

#[tokio::test]
async fn what_cannot_be_credited_is_refused_before_anything_moves() {
    let running = two_accounts().await;
    let refused = async |account: &str, saga: &str, amount| {
        told(running.reserve_credit(account, &credit_step(saga), amount).await)
    };
    assert_eq!(refused("nobody", "s-1", 5).await, precondition("UNKNOWN_ACCOUNT"));
    assert_eq!(refused("clearing", "s-2", 5).await, precondition("UNKNOWN_ACCOUNT"), "the ledger's own");
    assert_eq!(refused("bob", "s-3", 0).await, precondition("INVALID_AMOUNT"));
    assert_eq!(refused("bob", "s-4", i64::MAX).await, precondition("BALANCE_OVERFLOW"));
    // What is held on the account can come back, and what is reserved can be confirmed: both need their room.
    let almost = i64::MAX - 100;
    running.hold_on("bob", &step("s-5"), 40).await.unwrap();
    running.reserve_credit("bob", &credit_step("s-6"), almost).await.unwrap();
    assert_eq!(refused("bob", "s-7", 1).await, precondition("BALANCE_OVERFLOW"));
    running.cancel(&step("s-5")).await.unwrap();
    running.hold(&step("s-8"), 1).await.unwrap();
    // A deposit leaves that room, too: a confirm must not be refused.
    running.cancel_credit(&credit_step("s-6")).await.unwrap();
    running.reserve_credit("bob", &credit_step("s-9"), i64::MAX - 100).await.unwrap();
    let deposit = DepositRequest { deposit_id: "d".into(), account_id: "bob".into(), amount_minor: 1 };
    assert_eq!(running.client.clone().deposit(deposit).await.expect_err("no room").code(), Code::OutOfRange);
    running.audit().await;
}
