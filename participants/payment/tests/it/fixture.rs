//! A running service, a client, and its database seen from outside.

use std::collections::BTreeMap;

use amends_participant::testing::{ServerProcess, StepCall, reason};
use amends_payment::proto::payment_client::PaymentClient;
use amends_payment::proto::{ChargeReply, ChargeRequest, GetChargeRequest, RefundRequest};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) struct Running {
    pub(crate) server: ServerProcess,
    pub(crate) client: PaymentClient<Channel>,
    dir: TempDir,
}

impl Running {
    pub(crate) async fn new(arguments: &[&str]) -> Self {
        Self::start(TempDir::new().unwrap(), arguments).await
    }

    async fn start(dir: TempDir, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_amends-payment");
        let server = ServerProcess::start(program, &dir.path().join("payment.db"), arguments).unwrap();
        let client = PaymentClient::connect(server.uri()).await.unwrap();
        Self { server, client, dir }
    }

    /// Kills the process the hard way and starts it again on the same file.
    pub(crate) async fn restart(self) -> Self {
        drop(self.server);
        Self::start(self.dir, &[]).await
    }

    /// Charges under the saga's id.
    pub(crate) async fn charge(&self, saga: &str, call: &StepCall, amount_minor: i64) -> Result<ChargeReply, Status> {
        let charge = ChargeRequest { payment_id: saga.into(), amount_minor, reservation: "r-1".into() };
        self.client.clone().charge(call.action(charge)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn refund(&self, saga: &str, call: &StepCall) -> Result<i64, Status> {
        let refund = call.compensate(RefundRequest { payment_id: saga.into() });
        self.client.clone().refund(refund).await.map(|reply| reply.into_inner().refunded_minor)
    }

    pub(crate) async fn standing(&self, saga: &str) -> Result<ChargeReply, Status> {
        let request = GetChargeRequest { payment_id: saga.into() };
        self.client.clone().get_charge(request).await.map(tonic::Response::into_inner)
    }

    /// What an auditor reads, after checking what must hold at any time.
    pub(crate) async fn audit(&self) -> BTreeMap<String, i64> {
        let path = self.dir.path().join("payment.db");
        let mut db = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT kind, amount FROM conservation").fetch_all(&mut db).await.unwrap();
        let sums: BTreeMap<String, i64> = rows.into_iter().collect();
        assert_eq!(sums["entries_sum"], 0, "{sums:?}");
        assert_eq!(sums["charged"] - sums["refunded"], sums["receivable"], "{sums:?}");
        for must_be_empty in [
            "SELECT count(*) FROM (SELECT 1 FROM entries GROUP BY movement HAVING sum(amount_minor) <> 0 OR count(*) <> 2)",
            "SELECT count(*) FROM effects WHERE count > 1",
        ] {
            let found: i64 = sqlx::query_scalar(must_be_empty).fetch_one(&mut db).await.unwrap();
            assert_eq!(found, 0, "{must_be_empty}");
        }
        sums
    }
}

pub(crate) fn step(saga: &str) -> StepCall {
    StepCall::new(saga, "charge")
}

/// Code and reason of a refusal, for short assertions.
pub(crate) fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

pub(crate) fn precondition(reason: &str) -> (Code, String) {
    (Code::FailedPrecondition, reason.to_owned())
}
