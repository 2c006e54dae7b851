//! A participant that is away while orders come: they wait without using up anything, somebody can see why, and they go on.
//!
//! The long form, with ten thousand sagas and ten minutes, is in the simulation. Invariant: nothing is measured here but that it
//! happens; the books must balance.

use std::time::{Duration, Instant};

use amends_proto::v1 as api;
use api::participants_client::ParticipantsClient;
use api::sagas_client::SagasClient;
use tonic::transport::Channel;

use crate::fleet::{Fleet, Kept};
use crate::orders;

/// Orders in all, and which participant goes away.
const ORDERS: u64 = 120;
const PAYMENT: usize = 2;
const PAUSE: Duration = Duration::from_millis(30);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

async fn payment(channel: &Channel) -> api::Participant {
    let get = api::GetParticipantRequest { name: "payment".to_owned(), ..Default::default() };
    ParticipantsClient::new(channel.clone()).get(get).await.expect("payment").into_inner()
}

/// Waits until the participant is called in such a way.
async fn until(channel: &Channel, what: &str, is_so: impl Fn(&api::Protection) -> bool) -> api::Protection {
    let begun = Instant::now();
    loop {
        let protection = payment(channel).await.protection.expect("always there");
        if is_so(&protection) {
            return protection;
        }
        assert!(begun.elapsed() < PATIENCE, "not {what}: {protection:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn waiting(protection: &api::Protection) -> u64 {
    protection.waiting.iter().map(|it| it.count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_orders_wait_visibly_and_go_on() {
    let mut fleet = Fleet::start(Kept::Sqlite).await;
    orders::open_shop(&fleet).await;
    let channel = fleet.coordinators[0].channel();
    let placing = tokio::spawn(orders::place_all(channel.clone(), ORDERS, PAUSE));
    tokio::time::sleep(PAUSE * 20).await;
    fleet.participants[PAYMENT].kill();
    placing.await.expect("all accepted");

    let shut = |it: &api::Protection| it.breaker() == api::BreakerState::Open && waiting(it) > 20;
    let seen = until(&channel, "open with orders waiting", shut).await;
    assert!(seen.drain_time.is_some() && seen.probe_time.is_some(), "{seen:?}");
    let list = api::ListSagasRequest { page_size: 500, ..Default::default() };
    let sagas = SagasClient::new(channel.clone()).list(list).await.expect("sagas").into_inner().sagas;
    let held = sagas.iter().flat_map(|saga| &saga.waiting);
    let held = held.filter(|it| it.reason() == api::WaitingReason::BreakerOpen && it.since.is_some()).count();
    assert!(held > 20, "{held} say that they wait for the breaker");

    // Somebody lets it come back faster than it would, and says why.
    let limits = api::Limits { resume_per_second: 200.0, ..Default::default() };
    let unasked = api::SetLimitsRequest { name: "payment".to_owned(), limits: Some(limits), ..Default::default() };
    let asked = api::SetLimitsRequest { reason: "it is small".to_owned(), ..unasked.clone() };
    let mut participants = ParticipantsClient::new(channel.clone());
    let refused = participants.set_limits(unasked).await.expect_err("no reason");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    let set = participants.set_limits(asked).await.expect("set").into_inner();
    assert_eq!(set.limits_change.map(|it| it.reason).as_deref(), Some("it is small"));

    fleet.participants[PAYMENT].restart();
    until(&channel, "closed with nothing waiting", |it| it.breaker() == api::BreakerState::Closed && waiting(it) == 0)
        .await;
    orders::settle("outage", &fleet, &channel, ORDERS).await;
    let limits = payment(&channel).await.limits.expect("limits");
    assert!((limits.resume_per_second - 200.0).abs() < f64::EPSILON && limits.concurrency == 256, "{limits:?}");
}
