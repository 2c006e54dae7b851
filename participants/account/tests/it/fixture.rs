//! A running service, a client, and its database seen from outside.

use std::collections::BTreeMap;

use amends_account::proto::account_client::AccountClient;
use amends_account::proto::{
    CancelHoldRequest, ConfirmHoldRequest, DepositRequest, GetBalanceRequest, HoldRequest, OpenRequest,
};
use amends_participant::testing::{ServerProcess, StepCall, TestPlace, reason};
use sqlx::AnyConnection;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) struct Running {
    pub(crate) server: ServerProcess,
    pub(crate) client: AccountClient<Channel>,
    pub(crate) place: TestPlace,
}

impl Running {
    /// With one account `alice` that has 100 and the floor 0.
    pub(crate) async fn with_alice() -> Self {
        let running = Self::start(TestPlace::new().await, &[]).await;
        running.open("alice", 0, 100).await;
        running
    }

    pub(crate) async fn start(place: TestPlace, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_amends-account");
        let server = ServerProcess::start(program, place.place(), arguments).unwrap();
        let client = AccountClient::connect(server.uri()).await.unwrap();
        Self { server, client, place }
    }

    /// Kills the process the hard way and starts it again on the same file.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    /// The same, with these arguments.
    pub(crate) async fn restart_with(self, arguments: &[&str]) -> Self {
        drop(self.server);
        Self::start(self.place, arguments).await
    }

    pub(crate) async fn open(&self, account_id: &str, floor_minor: i64, amount_minor: i64) {
        let account_id = account_id.to_owned();
        let mut client = self.client.clone();
        client.open(OpenRequest { account_id: account_id.clone(), floor_minor }).await.unwrap();
        let deposit_id = format!("seed-{account_id}");
        client.deposit(DepositRequest { deposit_id, account_id, amount_minor }).await.unwrap();
    }

    pub(crate) async fn hold(&self, call: &StepCall, amount_minor: i64) -> Result<i64, Status> {
        self.hold_on("alice", call, amount_minor).await
    }

    pub(crate) async fn hold_on(&self, account: &str, call: &StepCall, amount_minor: i64) -> Result<i64, Status> {
        let hold = HoldRequest { account_id: account.into(), hold_id: "h".into(), amount_minor };
        self.client.clone().hold(call.action(hold)).await.map(|reply| reply.into_inner().held_minor)
    }

    pub(crate) async fn confirm(&self, call: &StepCall) -> Result<i64, Status> {
        let confirm = call.confirm(ConfirmHoldRequest { hold_id: "h".into(), ..Default::default() });
        self.client.clone().confirm_hold(confirm).await.map(|reply| reply.into_inner().settled_minor)
    }

    pub(crate) async fn cancel(&self, call: &StepCall) -> Result<i64, Status> {
        let cancel = call.compensate(CancelHoldRequest { hold_id: "h".into() });
        self.client.clone().cancel_hold(cancel).await.map(|reply| reply.into_inner().released_minor)
    }

    /// Available and held.
    pub(crate) async fn balance(&self, account_id: &str) -> (i64, i64) {
        let request = GetBalanceRequest { account_id: account_id.into() };
        let balance = self.client.clone().get_balance(request).await.unwrap().into_inner();
        (balance.available_minor, balance.held_minor)
    }

    pub(crate) async fn connect(&self) -> AnyConnection {
        self.place.connect().await
    }

    /// What an auditor reads, after checking what must hold at any time.
    pub(crate) async fn audit(&self) -> BTreeMap<String, i64> {
        let mut db = self.connect().await;
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT kind, amount FROM conservation").fetch_all(&mut db).await.unwrap();
        let sums: BTreeMap<String, i64> = rows.into_iter().collect();
        assert_eq!(sums["entries_sum"], 0, "{sums:?}");
        assert_eq!(sums["balance"] + sums["held"], sums["deposited"], "{sums:?}");
        assert_eq!(sums["points"], sums["points_awarded"], "{sums:?}");
        for must_be_empty in [
            "SELECT count(*) FROM (SELECT 1 FROM entries GROUP BY movement HAVING sum(amount_minor) <> 0 OR count(*) <> 2) AS odd",
            "SELECT count(*) FROM accounts a WHERE balance_minor <>
                (SELECT coalesce(sum(amount_minor), 0) FROM entries e WHERE e.account_id = a.account_id)",
            "SELECT count(*) FROM accounts WHERE kind = 'customer' AND balance_minor < floor_minor",
            "SELECT count(*) FROM effects WHERE count > 1",
        ] {
            let found: i64 = sqlx::query_scalar(must_be_empty).fetch_one(&mut db).await.unwrap();
            assert_eq!(found, 0, "{must_be_empty}");
        }
        sums
    }
}

pub(crate) fn step(saga: &str) -> StepCall {
    StepCall::new(saga, "hold-funds")
}

/// Code and reason of a refusal, for short assertions.
pub(crate) fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

pub(crate) fn precondition(reason: &str) -> (Code, String) {
    (Code::FailedPrecondition, reason.to_owned())
}
