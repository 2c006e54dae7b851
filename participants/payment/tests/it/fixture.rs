//! A running service, a client, and its database seen from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use amends_participant::testing::{ServerProcess, StepCall, TestPlace, reason};
use amends_payment::proto::payment_client::PaymentClient;
use amends_payment::proto::{
    CancelQrPaymentRequest, CaptureQrPaymentRequest, ChargeReply, ChargeRequest, ConfirmQrPaymentRequest,
    CreateQrPaymentRequest, GetChargeRequest, GetQrPaymentRequest, QrPayment, QrStatus, RefundRequest,
};
use sqlx::AnyConnection;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) struct Running {
    pub(crate) server: ServerProcess,
    pub(crate) client: PaymentClient<Channel>,
    place: TestPlace,
}

impl Running {
    pub(crate) async fn new(arguments: &[&str]) -> Self {
        Self::start(TestPlace::new().await, arguments).await
    }

    async fn start(place: TestPlace, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_amends-payment");
        let server = ServerProcess::start(program, place.place(), arguments).unwrap();
        let client = PaymentClient::connect(server.uri()).await.unwrap();
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

    /// Issues a code over 40, under the saga's id. The response's metadata says that it is pending.
    pub(crate) async fn issue(&self, saga: &str, seconds: i64) -> Result<tonic::Response<QrPayment>, Status> {
        let request = CreateQrPaymentRequest {
            payment_id: saga.into(),
            merchant_id: "shop-1".into(),
            amount_minor: 40,
            expires_in_seconds: seconds,
        };
        self.client.clone().create_qr_payment(qr_step(saga).action(request)).await
    }

    /// Pays it, by a wallet of this name.
    pub(crate) async fn pay(&self, saga: &str, wallet: &str) -> Result<QrPayment, Status> {
        let request = ConfirmQrPaymentRequest {
            payment_id: saga.into(),
            wallet_id: wallet.into(),
            confirmation_id: format!("{wallet}-1"),
            amount_minor: 40,
        };
        self.client.clone().confirm_qr_payment(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn capture(&self, saga: &str) -> Result<QrPayment, Status> {
        let request = CaptureQrPaymentRequest { payment_id: saga.into() };
        let call = StepCall::new(saga, "capture").action(request);
        self.client.clone().capture_qr_payment(call).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn cancel_qr(&self, saga: &str) -> Result<tonic::Response<i64>, Status> {
        let request = qr_step(saga).compensate(CancelQrPaymentRequest { payment_id: saga.into() });
        let answer = self.client.clone().cancel_qr_payment(request).await?;
        Ok(answer.map(|reply| reply.refunded_minor))
    }

    pub(crate) async fn qr(&self, saga: &str) -> Result<tonic::Response<QrPayment>, Status> {
        self.client.clone().get_qr_payment(GetQrPaymentRequest { payment_id: saga.into() }).await
    }

    /// Waits until the payment has this status.
    pub(crate) async fn until(&self, saga: &str, status: QrStatus) -> QrPayment {
        poll(async || Some(self.qr(saga).await.unwrap().into_inner()).filter(|it| it.status() == status)).await
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
        assert_eq!(sums["charged"] - sums["refunded"] + sums["qr_captured"], sums["receivable"], "{sums:?}");
        assert_eq!(sums["qr_paid"] - sums["qr_refunded"] - sums["qr_captured"], sums["qr_held"], "{sums:?}");
        for must_be_empty in [
            "SELECT count(*) FROM (SELECT 1 FROM entries GROUP BY movement HAVING sum(amount_minor) <> 0 OR count(*) <> 2) AS odd",
            "SELECT count(*) FROM effects WHERE count > 1",
        ] {
            let found: i64 = sqlx::query_scalar(must_be_empty).fetch_one(&mut db).await.unwrap();
            assert_eq!(found, 0, "{must_be_empty}");
        }
        sums
    }
}

/// Asks again and again until there is an answer; fails the test when it hangs.
pub(crate) async fn poll<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing came within a minute");
}

pub(crate) fn qr_step(saga: &str) -> StepCall {
    StepCall::new(saga, "pay-by-qr")
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
