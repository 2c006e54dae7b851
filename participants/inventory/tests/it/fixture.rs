//! A running service, a client, and its database seen from outside.

use std::collections::BTreeMap;

use amends_inventory::proto::inventory_client::InventoryClient;
use amends_inventory::proto::{GetStockRequest, ReleaseRequest, ReserveRequest, SetStockRequest};
use amends_participant::testing::{ServerProcess, StepCall, TestPlace, reason};
use sqlx::AnyConnection;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) struct Running {
    pub(crate) server: ServerProcess,
    pub(crate) client: InventoryClient<Channel>,
    place: TestPlace,
}

impl Running {
    /// With 10 of `tea` on the shelf.
    pub(crate) async fn with_tea(arguments: &[&str]) -> Self {
        let running = Self::start(TestPlace::new().await, arguments).await;
        running.stock("tea", 10).await;
        running
    }

    pub(crate) async fn start(place: TestPlace, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_amends-inventory");
        let server = ServerProcess::start(program, place.place(), arguments).unwrap();
        let client = InventoryClient::connect(server.uri()).await.unwrap();
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

    pub(crate) async fn stock(&self, sku: &str, quantity: i64) {
        self.client.clone().set_stock(SetStockRequest { sku: sku.into(), quantity }).await.unwrap();
    }

    /// Reserves `tea` for the order that has the saga's id.
    pub(crate) async fn reserve(&self, saga: &str, call: &StepCall, quantity: i64) -> Result<String, Status> {
        let reserve = ReserveRequest { order_id: saga.into(), sku: "tea".into(), quantity };
        self.client.clone().reserve(call.action(reserve)).await.map(|reply| reply.into_inner().reservation_id)
    }

    pub(crate) async fn release(&self, saga: &str, call: &StepCall) -> Result<i64, Status> {
        let release = call.compensate(ReleaseRequest { order_id: saga.into() });
        self.client.clone().release(release).await.map(|reply| reply.into_inner().released)
    }

    /// Available and sold, of `tea`.
    pub(crate) async fn tea(&self) -> (i64, i64) {
        let stock = self.client.clone().get_stock(GetStockRequest { sku: "tea".into() }).await.unwrap().into_inner();
        (stock.available, stock.sold)
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
        assert_eq!(sums["total"], sums["stocked"], "{sums:?}");
        let doubles: i64 =
            sqlx::query_scalar("SELECT count(*) FROM effects WHERE count > 1").fetch_one(&mut db).await.unwrap();
        assert_eq!(doubles, 0);
        sums
    }
}

pub(crate) fn step(saga: &str) -> StepCall {
    StepCall::new(saga, "reserve-stock")
}

/// Code and reason of a refusal, for short assertions.
pub(crate) fn told<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

pub(crate) fn precondition(reason: &str) -> (Code, String) {
    (Code::FailedPrecondition, reason.to_owned())
}
