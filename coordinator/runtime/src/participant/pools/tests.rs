//! What a pool remembers of its addresses, over calls and over changes of the list.

use std::time::Duration;

use amends_engine::ids::{Operation, SagaId, SagaKey, StepName};
use bytes::Bytes;

use super::*;
use crate::participant::{Balancing, Codes, Discovery, EndpointHealth, Endpoints, Origin};

/// A way that is never used.
struct Nowhere(Endpoint);

impl Way for Nowhere {
    fn to(endpoint: Endpoint, _: Arc<Health>) -> Self {
        Self(endpoint)
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

fn name() -> ParticipantName {
    ParticipantName::parse("payment").unwrap()
}

fn put(directory: &Directory, endpoints: &[&str], balancing: Balancing) {
    let fixed = endpoints.iter().map(|text| Endpoint::parse(text).unwrap()).collect();
    let endpoints = Endpoints { fixed, discovery: Discovery { balancing, ..Discovery::default() } };
    let registration = Registration::found(endpoints, false, Codes::new(), None).unwrap();
    directory.put(Namespace::default_namespace(), name(), registration);
}

fn call(saga: &str, attempt: u32) -> Call {
    Call {
        key: SagaKey { namespace: Namespace::default_namespace(), id: SagaId::parse(saga).unwrap() },
        participant: name(),
        step: StepName::parse("charge").unwrap(),
        operation: Operation::Action,
        attempt,
        epoch: 7,
        origin: Origin::default(),
        expects_succeeded: false,
        path: "/payment.v1.Payment/Charge".to_owned(),
        request: Bytes::new(),
        timeout: Duration::from_secs(1),
        traceparent: String::new(),
    }
}

struct World {
    directory: Arc<Directory>,
    pools: Pools<Nowhere>,
    seams: Seams,
}

impl World {
    fn new(endpoints: &[&str], balancing: Balancing) -> Self {
        let directory = Arc::new(Directory::new());
        put(&directory, endpoints, balancing);
        Self { pools: Pools::new(directory.clone()), directory, seams: Seams::system() }
    }

    /// Where a call goes, and what becomes of it there.
    fn make(&self, call: &Call, verdict: impl Fn(&str) -> Verdict) -> String {
        let pool = self.pools.get(call).unwrap();
        let picked = pool.search(call).next(&self.seams).unwrap();
        let at = picked.way.endpoint().to_string();
        pool.note(&picked, call, verdict(&at), self.seams.now());
        at
    }

    fn states(&self) -> Vec<EndpointState> {
        self.pools.states(&Namespace::default_namespace(), &name(), self.seams.now())
    }
}

fn fails_at(bad: &str) -> impl Fn(&str) -> Verdict {
    move |at| if at == bad { Verdict::Failed("broken".to_owned()) } else { Verdict::Answered }
}

#[test]
fn a_retry_goes_elsewhere_whatever_other_calls_do_meanwhile() {
    let world = World::new(&["http://a:1", "http://b:1"], Balancing::SagaHash);
    let first = world.make(&call("order-1", 1), |_| Verdict::Failed("broken".to_owned()));
    // Others are answered there, so that nothing but the call's own past speaks against it.
    let others: Vec<String> =
        (0..40).map(|number| world.make(&call(&format!("s{number}"), 1), |_| Verdict::Answered)).collect();
    assert!(others.contains(&first));
    let second = world.make(&call("order-1", 2), |_| Verdict::Answered);
    assert_ne!(first, second);
    assert_eq!(world.make(&call("order-1", 3), |_| Verdict::Answered), first, "answered: its own address again");
}

#[test]
fn half_are_ejected_at_most_and_the_last_one_never() {
    let world = World::new(&["http://a:1", "http://b:1", "http://c:1"], Balancing::RoundRobin);
    let ejected = |world: &World| world.states().iter().filter(|state| state.health == EndpointHealth::Ejected).count();
    (0..60)
        .for_each(|number| drop(world.make(&call(&format!("s{number}"), 1), |_| Verdict::Failed("broken".to_owned()))));
    assert_eq!(ejected(&world), 1, "of three");
    let alone = World::new(&["http://a:1"], Balancing::RoundRobin);
    (0..60).for_each(|number| drop(alone.make(&call(&format!("s{number}"), 1), fails_at("http://a:1"))));
    assert_eq!(ejected(&alone), 0);
    let state = &alone.states()[0];
    assert_eq!(state.last_failure.as_ref().map(|(_, why)| why.as_str()), Some("broken"), "it is shown all the same");
}

#[test]
fn an_ejected_address_gets_no_calls() {
    let world = World::new(&["http://a:1", "http://b:1"], Balancing::RoundRobin);
    let picked: Vec<String> =
        (0..40).map(|number| world.make(&call(&format!("s{number}"), 1), fails_at("http://a:1"))).collect();
    let at_a = picked.iter().filter(|at| *at == "http://a:1").count();
    assert_eq!(at_a, 5, "until it was ejected");
    let state = &world.states()[0];
    assert_eq!((state.health, state.until.is_some(), state.in_flight), (EndpointHealth::Ejected, true, 0));
}

#[test]
fn an_address_that_stays_keeps_what_is_known_of_it() {
    let world = World::new(&["http://a:1", "http://b:1"], Balancing::RoundRobin);
    let first = call("order-1", 1);
    let pool = world.pools.get(&first).unwrap();
    let picked = pool.search(&first).next(&world.seams).unwrap();
    let at = picked.way.endpoint().to_string();
    put(&world.directory, &["http://c:1", &at], Balancing::RoundRobin);
    let in_flight = |world: &World| world.states().iter().map(|state| state.in_flight).collect::<Vec<_>>();
    assert_eq!(in_flight(&world), [0, 1]);
    // The call ends after the list has changed, and still counts.
    pool.note(&picked, &first, Verdict::Failed("broken".to_owned()), world.seams.now());
    drop(picked);
    assert_eq!(in_flight(&world), [0, 0]);
    assert!(world.states()[1].last_failure.is_some());
    assert_eq!(world.make(&call("order-1", 2), |_| Verdict::Answered), "http://c:1");
}

#[test]
fn an_attempt_tries_every_address_once() {
    let world = World::new(&["http://a:1", "http://b:1", "http://c:1"], Balancing::LeastRequest);
    let call = call("order-1", 1);
    let pool = world.pools.get(&call).unwrap();
    let mut search = pool.search(&call);
    let mut tried: Vec<String> =
        std::iter::from_fn(|| search.next(&world.seams)).map(|picked| picked.way.endpoint().to_string()).collect();
    tried.sort();
    assert_eq!(tried, ["http://a:1", "http://b:1", "http://c:1"]);
}
