//! What a browser looks at: a coordinator whose sagas have ended in every way, are stuck for several reasons, or wait.
//!
//! Everything goes over the public API and through the participants' own fault rules. Invariant: when it is there, nothing moves but
//! what waits for the courier, at whose address nobody answers.

use std::time::{Duration, Instant};

use amends_participant::faults::proto::faults_client::FaultsClient;
use amends_participant::faults::proto::{Kind, Rule, SetRequest};
use amends_proto::v1 as api;
use amends_redis_lab::free_address;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::fleet::{Fleet, Kept, define, dial, register, start};
use crate::process::root;

/// How long one saga may take until it stands where it is to stand.
const STANDS_MAX: Duration = Duration::from_secs(60);
/// What nobody may read as markup.
pub(super) const MARKUP: &str = r#"<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>"#;
/// More than the breaker takes as an outage.
const DELIVERIES: u32 = 12;

const DELIVERY: &str = r#"
saga: delivery
timeout: 1h
labels: { order: "${input.order_id}" }
steps:
  - step: pick
    participant: inventory
    action: { call: inventory.v1.Inventory/Reserve, request: { order_id: "${input.order_id}", sku: teapot, quantity: 1 } }
    compensate: { call: inventory.v1.Inventory/Release, request: { order_id: "${input.order_id}" } }
  - step: check-address
    participant: account
    after: []
    action: { call: account.v1.Account/Screen, request: { screening_id: "${saga.id}", account_id: ada, amount_minor: 1 } }
    compensate: { call: account.v1.Account/CancelScreening, request: { screening_id: "${saga.id}" } }
  - step: book-courier
    participant: courier
    after: [pick, check-address]
    action: { http: "POST /parcels/${input.order_id}" }
    compensate: { http: "DELETE /parcels/${input.order_id}" }
  - step: charge-delivery
    participant: payment
    pivot: true
    action: { call: payment.v1.Payment/Charge, request: { payment_id: "${saga.id}", amount_minor: 495 } }
    query: { call: payment.v1.Payment/GetCharge, request: { payment_id: "${saga.id}" } }
  - step: announce
    participant: courier
    action: { http: "POST /announcements/${input.order_id}" }
  - step: award-points
    participant: account
    after: [charge-delivery]
    action: { call: account.v1.Account/AwardPoints, request: { award_id: "${saga.id}", account_id: ada, points: 4 } }
"#;

/// Sagas by how they stand, in their participants' words.
const ORDERS: [(&str, &str, &str, api::SagaStatus); 9] = [
    ("order-1001", "teapot", "ada", api::SagaStatus::Completed),
    ("order-1002", "teapot", "ben", api::SagaStatus::Completed),
    ("order-1003", "teapot", "ada", api::SagaStatus::Completed),
    ("order-1004", "first-edition", "ada", api::SagaStatus::Compensated),
    ("markup-1005", MARKUP, "ada", api::SagaStatus::Compensated),
    ("refused-1006", "teapot", "ada", api::SagaStatus::Stuck),
    ("silent-1007", "teapot", "ben", api::SagaStatus::Stuck),
    ("unsure-1008", "teapot", "ada", api::SagaStatus::Stuck),
    ("confirm-1009", "teapot", "ben", api::SagaStatus::Stuck),
];

/// Coordinator and participants with what has happened to them.
pub(super) struct World {
    fleet: Fleet,
    /// Stuck sagas that tests may do anything to.
    to_repair: Vec<String>,
    /// A plan that nobody has applied.
    plan: String,
}

impl World {
    /// Starts everything and waits until it stands as it is to stand, with so many stuck sagas more.
    pub(super) async fn new(to_repair: u32) -> Self {
        let fleet = Fleet::start(Kept::Sqlite).await;
        fleet.set_up(&[("ada", 1_000_000), ("ben", 1_000_000)], &[("teapot", 1_000), ("first-edition", 0)]).await;
        let channel = dial(fleet.coordinators[0].address).await;
        register_courier(channel.clone()).await;
        register(channel.clone(), "loyalty", free_address(), true).await;
        define(channel.clone(), mended_checkout()).await;
        define(channel.clone(), DELIVERY.to_owned()).await;
        break_things(&fleet).await;
        for (id, sku, account, status) in ORDERS {
            let input =
                json!({ "order_id": id, "sku": sku, "quantity": 1, "account_id": account, "amount_minor": 2_500 });
            start(&channel, "checkout", id, &input).await;
            stands(&channel, id, status).await;
        }
        for number in 0..DELIVERIES {
            let id = format!("parcel-{}", 2_001 + number);
            start(&channel, "delivery", &id, &json!({ "order_id": id })).await;
        }
        breaker_is_open(&channel).await;
        let to_repair: Vec<String> = (0..to_repair).map(|number| format!("refused-{}", 3_001 + number)).collect();
        for id in &to_repair {
            let input =
                json!({ "order_id": id, "sku": "teapot", "quantity": 1, "account_id": "ben", "amount_minor": 1_200 });
            start(&channel, "checkout", id, &input).await;
        }
        for id in &to_repair {
            stands(&channel, id, api::SagaStatus::Stuck).await;
        }
        let plan = plan(&channel).await;
        Self { fleet, to_repair, plan }
    }

    /// What the browser is told of it.
    pub(super) fn told(&self) -> Value {
        let with = |wanted| ORDERS.iter().filter(move |order| order.3 == wanted).map(|order| order.0);
        json!({
            "address": format!("http://{}", self.fleet.coordinators[0].http()),
            "markup": MARKUP,
            "completed": with(api::SagaStatus::Completed).collect::<Vec<_>>(),
            "compensated": with(api::SagaStatus::Compensated).collect::<Vec<_>>(),
            "stuck": with(api::SagaStatus::Stuck).collect::<Vec<_>>(),
            "repairable": self.to_repair,
            "plan": self.plan,
            "waiting": (0..DELIVERIES).map(|number| format!("parcel-{}", 2_001 + number)).collect::<Vec<_>>(),
        })
    }
}

/// The example with fewer attempts and one more label, so that there are two versions and nothing takes long.
fn mended_checkout() -> String {
    let path = root().join("examples/checkout/checkout.saga.yaml");
    let mut source = std::fs::read_to_string(path).expect("the example");
    let few = "retry: { max_attempts: 2, initial: 20ms, max: 50ms }";
    for (from, to) in [
        ("retry: { max_attempts: 8, initial: 200ms, max: 2s }", few),
        ("retry: { max_attempts: 6, initial: 200ms, max: 10s }", few),
        ("call: account.v1.Account/ConfirmHold\n", &format!("call: account.v1.Account/ConfirmHold\n      {few}\n")),
        ("call: payment.v1.Payment/GetCharge\n", &format!("call: payment.v1.Payment/GetCharge\n      {few}\n")),
        ("timeout: 3s", "timeout: 1s"),
        ("  order: \"${input.order_id}\"\n", "  order: \"${input.order_id}\"\n  sku: \"${input.sku}\"\n"),
    ] {
        assert!(source.contains(from), "{from} is not in the example");
        source = source.replace(from, to);
    }
    source
}

/// Known, and nobody is there.
async fn register_courier(channel: Channel) {
    let participant = api::Participant {
        name: "courier".to_owned(),
        endpoints: vec![format!("http://{}", free_address())],
        protocol: api::ParticipantProtocol::Http.into(),
        ..api::Participant::default()
    };
    let put = api::PutParticipantRequest { participant: Some(participant), ..Default::default() };
    api::participants_client::ParticipantsClient::new(channel).put(put).await.expect("registered");
}

/// What the participants do to the sagas whose ids begin so.
async fn break_things(fleet: &Fleet) {
    let rule = |method: &str, kind: Kind, saga: &str| Rule {
        method: method.to_owned(),
        kind: kind.into(),
        saga_id_prefix: saga.to_owned(),
        ..Rule::default()
    };
    let of = |name: &str| match name {
        "account" => vec![rule("ConfirmHold", Kind::Reject, "confirm-")],
        "inventory" => vec![rule("Release", Kind::Reject, "refused-"), rule("Release", Kind::Down, "silent-")],
        _ => vec![
            rule("Charge", Kind::Reject, "refused-"),
            rule("Charge", Kind::Reject, "silent-"),
            rule("Charge", Kind::Down, "unsure-"),
            rule("GetCharge", Kind::Down, "unsure-"),
        ],
    };
    for participant in &fleet.participants {
        let set = SetRequest { rules: of(participant.name) };
        FaultsClient::new(dial(participant.address).await).set(set).await.expect("faults");
    }
}

/// To give all that is stuck in checkouts fresh attempts.
async fn plan(channel: &Channel) -> String {
    let filter = api::SagaFilter {
        statuses: vec![api::SagaStatus::Stuck.into()],
        definition: "checkout".to_owned(),
        ..Default::default()
    };
    let action = api::BatchAction { verb: api::BatchVerb::Retry.into(), ..Default::default() };
    let wanted = api::PlanBatchRequest {
        filter: Some(filter),
        action: Some(action),
        reason: format!("payment was down {MARKUP}"),
        ..Default::default()
    };
    api::batches_client::BatchesClient::new(channel.clone()).plan(wanted).await.expect("a plan").into_inner().id
}

async fn stands(channel: &Channel, id: &str, status: api::SagaStatus) {
    let begun = Instant::now();
    loop {
        let get = api::GetSagaRequest { saga_id: id.to_owned(), ..Default::default() };
        let saga = api::sagas_client::SagasClient::new(channel.clone()).get(get).await.expect("the saga").into_inner();
        if saga.status() == status {
            return;
        }
        assert!(begun.elapsed() < STANDS_MAX, "{id} isn't {status:?}: {saga:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn breaker_is_open(channel: &Channel) {
    let begun = Instant::now();
    loop {
        let get = api::GetParticipantRequest { name: "courier".to_owned(), ..Default::default() };
        let courier = api::participants_client::ParticipantsClient::new(channel.clone()).get(get).await;
        let protection = courier.expect("the courier").into_inner().protection.unwrap_or_default();
        if protection.breaker() == api::BreakerState::Open {
            return;
        }
        assert!(begun.elapsed() < STANDS_MAX, "the breaker stays shut: {protection:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
