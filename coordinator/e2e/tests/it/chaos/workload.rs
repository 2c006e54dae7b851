//! Customers who never stop: each places an order, waits until it has ended, and places the next.
//!
//! Most orders complete, two in ten turn back, and one in twenty waits for somebody to pay a code, which half of them do: the
//! coordinator has to ask. What gets stuck because a fault outlasted its attempts is retried, as the operator's guide says.
//! Invariant: every accepted saga is remembered, and none may be given up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use amends_payment::proto as payment;
use amends_proto::v1 as api;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::fleet::try_start;
use crate::orders;

/// A payment by code, without anything that asks the coordinator to look: when its time is over it asks.
pub(super) const PENDING: &str = r#"
saga: pending
timeout: 5m
input:
  type: object
  required: [order_id, amount_minor]
  additionalProperties: false
  properties:
    order_id: { type: string, minLength: 1 }
    amount_minor: { type: integer, minimum: 1 }
steps:
  - step: pay-by-qr
    participant: payment
    within: 2s
    action:
      call: payment.v1.Payment/CreateQrPayment
      request:
        payment_id: "${saga.id}"
        merchant_id: "shop-1"
        amount_minor: "${input.amount_minor}"
        expires_in_seconds: 60
    query:
      call: payment.v1.Payment/GetQrPayment
      retry: { max_attempts: 6, initial: 200ms, max: 2s }
      request: { payment_id: "${saga.id}" }
      when: "${reply.status == 'QR_STATUS_PAID'}"
    compensate:
      call: payment.v1.Payment/CancelQrPayment
      request: { payment_id: "${saga.id}" }
  - step: capture
    participant: payment
    pivot: true
    action:
      call: payment.v1.Payment/CaptureQrPayment
      request: { payment_id: "${saga.id}" }
    query:
      call: payment.v1.Payment/GetQrPayment
      request: { payment_id: "${saga.id}" }
      when: "${reply.status == 'QR_STATUS_CAPTURED'}"
"#;

/// How long anything may take until it is done, whatever is broken meanwhile.
const PATIENCE: Duration = Duration::from_secs(240);
const AGAIN: Duration = Duration::from_millis(50);
/// Between two looks of the operator at the same saga.
const LOOK: Duration = Duration::from_secs(1);
/// How long one call may take.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Counts {
    next: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) accepted: Mutex<Vec<String>>,
    pub(super) completed: AtomicU64,
    pub(super) paid: AtomicU64,
    pub(super) compensated: AtomicU64,
    /// The operator's work: sagas that were retried.
    pub(super) retried: Mutex<BTreeSet<String>>,
}

/// The customers.
pub(super) struct Workload {
    stop: watch::Sender<bool>,
    pub(super) counts: Arc<Counts>,
    customers: JoinSet<()>,
    customer: Customer,
}

impl Workload {
    pub(super) fn start(channels: &[Channel], payment: Channel, customers: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let counts = Arc::<Counts>::default();
        let customer = Customer { channels: channels.into(), payment, counts: counts.clone() };
        let mut set = JoinSet::new();
        for _ in 0..customers {
            let (customer, stopped) = (customer.clone(), stopped.clone());
            set.spawn(async move {
                while !*stopped.borrow() {
                    customer.one().await;
                }
            });
        }
        Self { stop, counts, customers: set, customer }
    }

    pub(super) fn ended(&self) -> u64 {
        self.counts.ended.load(Ordering::SeqCst)
    }

    /// How many are accepted or being placed, and not known to have ended.
    pub(super) fn open(&self) -> u64 {
        self.counts.next.load(Ordering::SeqCst) - self.ended()
    }

    pub(super) fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::SeqCst)
    }

    /// Waits until so many more have ended.
    pub(super) async fn flow(&mut self, more: u64) {
        let (until, begun) = (self.ended() + more, Instant::now());
        while self.ended() < until {
            if let Some(customer) = self.customers.try_join_next() {
                customer.expect("no saga is lost, refused for good or left open");
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {until} sagas have ended", self.ended());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How long it takes until a new saga has ended: one that waits for nobody to pay.
    pub(super) async fn probe(&self) -> Duration {
        loop {
            let begun = Instant::now();
            if !self.customer.one().await {
                return begun.elapsed();
            }
        }
    }

    /// How many end in a second, over so long.
    pub(super) async fn rate(&self, over: Duration) -> f64 {
        let (before, begun) = (self.ended(), Instant::now());
        tokio::time::sleep(over).await;
        f64::from(u32::try_from(self.ended() - before).expect("few")) / begun.elapsed().as_secs_f64()
    }

    /// Nobody places any more, and all that was placed has ended.
    pub(super) async fn stop(&mut self) -> Arc<Counts> {
        self.stop.send_replace(true);
        while let Some(customer) = self.customers.join_next().await {
            customer.expect("no saga is lost, refused for good or left open");
        }
        self.counts.clone()
    }
}

#[derive(Clone)]
struct Customer {
    channels: Arc<[Channel]>,
    payment: Channel,
    counts: Arc<Counts>,
}

impl Customer {
    /// Says whether the order had to wait for somebody to pay a code.
    async fn one(&self) -> bool {
        let number = self.counts.next.fetch_add(1, Ordering::SeqCst);
        let waits = number % 20 == 19;
        let (definition, id, input): (_, _, Value) = if waits {
            let id = format!("code-{number:05}");
            ("pending", id.clone(), json!({ "order_id": id, "amount_minor": orders::PRICE }))
        } else {
            ("checkout", orders::id(number), orders::input(number))
        };
        let first = usize::try_from(number).expect("small");
        self.place(definition, &id, &input, first).await;
        self.counts.accepted.lock().expect("no panic").push(id.clone());
        if number % 40 == 39 {
            self.pay(&id).await;
        }
        let status = self.until_ended(&id, first).await;
        let count = match status {
            api::SagaStatus::Completed if waits => &self.counts.paid,
            api::SagaStatus::Completed => &self.counts.completed,
            api::SagaStatus::Compensated => &self.counts.compensated,
            other => panic!("{id} ended as {other:?}"),
        };
        count.fetch_add(1, Ordering::SeqCst);
        self.counts.ended.fetch_add(1, Ordering::SeqCst);
        waits
    }

    /// One coordinator after the other is asked, as a client does that knows several.
    async fn place(&self, definition: &str, id: &str, input: &Value, first: usize) {
        let begun = Instant::now();
        for turn in first.. {
            match try_start(&self.channels[turn % self.channels.len()], definition, id, input).await {
                Ok(()) => return,
                Err(status) => assert!(begun.elapsed() < PATIENCE, "{id} isn't accepted: {status}"),
            }
            self.counts.refused.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn until_ended(&self, id: &str, first: usize) -> api::SagaStatus {
        let begun = Instant::now();
        for turn in first.. {
            let channel = self.channels[turn % self.channels.len()].clone();
            let mut get = tonic::Request::new(api::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() });
            get.set_timeout(ANSWER);
            let answer = api::sagas_client::SagasClient::new(channel).get(get).await.map(tonic::Response::into_inner);
            match answer {
                Ok(saga) if saga.end_time.is_some() => return saga.status(),
                Ok(saga) if saga.status() == api::SagaStatus::Stuck && begun.elapsed() < PATIENCE => {
                    self.retry(&saga, turn).await;
                    tokio::time::sleep(LOOK).await;
                }
                answer => assert!(begun.elapsed() < PATIENCE, "{id} was accepted and hasn't ended: {answer:#?}"),
            }
            tokio::time::sleep(AGAIN).await;
        }
        unreachable!("turns don't run out")
    }

    /// What an operator does about a fault that outlasted a saga's attempts: the same key and the same bytes again. No other reason
    /// to be stuck may come of a fault.
    async fn retry(&self, saga: &api::Saga, turn: usize) {
        let lawful = [api::StuckReason::PivotUnknown, api::StuckReason::RetriesExhausted];
        let bad = saga.stuck.iter().find(|stuck| !lawful.contains(&stuck.reason()));
        assert!(bad.is_none(), "{} is stuck as no fault may leave it: {bad:?}", saga.id);
        self.counts.retried.lock().expect("no panic").insert(saga.id.clone());
        let reason = "what was broken is whole again".to_owned();
        let mut retry =
            tonic::Request::new(api::RetrySagaRequest { saga_id: saga.id.clone(), reason, ..Default::default() });
        retry.set_timeout(ANSWER);
        let channel = self.channels[turn % self.channels.len()].clone();
        // Where it doesn't get through, or somebody was quicker, the next look shows it.
        let _ = api::operations_client::OperationsClient::new(channel).retry(retry).await;
    }

    /// As a wallet does; where it doesn't get through within the code's time the saga turns back.
    async fn pay(&self, id: &str) {
        let mut payments = payment::payment_client::PaymentClient::new(self.payment.clone());
        for _ in 0..20 {
            let mut pay = tonic::Request::new(payment::ConfirmQrPaymentRequest {
                payment_id: id.to_owned(),
                wallet_id: "ada".to_owned(),
                confirmation_id: format!("c-{id}"),
                amount_minor: orders::PRICE,
            });
            pay.set_timeout(Duration::from_secs(1));
            if payments.confirm_qr_payment(pay).await.is_ok() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
