//! Finding participants: names in a real DNS, instances that register themselves.
//!
//! Nothing depends on how long a thing takes: a test asks until it is so.

use std::time::Duration;

use amends_proto::v1;
use amends_server::ServerConfig;
use tonic::Code;

use crate::dns_server::{DnsServer, Zone, address, service, zone};
use crate::harness::{CHECKOUT, Memory, Server, refusal};
use crate::shop::{Answer, Shop};

fn shop(endpoints: &[&str]) -> v1::Participant {
    let endpoints = endpoints.iter().map(ToString::to_string).collect();
    v1::Participant { name: "shop".to_owned(), endpoints, ..Default::default() }
}

fn port(shop: &Shop) -> u16 {
    shop.address.rsplit(':').next().unwrap().parse().unwrap()
}

fn asking(dns: &DnsServer, memory: &Memory) -> ServerConfig {
    let mut config = memory.config();
    config.discovery.dns_servers = Some(vec![dns.address]);
    config.discovery.refresh = Duration::from_secs(1);
    config
}

async fn put(server: &mut Server, participant: v1::Participant) -> Result<v1::Participant, tonic::Status> {
    let message = v1::PutParticipantRequest { participant: Some(participant), expected_revision: 0 };
    Ok(server.participants.put(message).await?.into_inner())
}

async fn described(server: &mut Server) -> v1::Participant {
    let message = v1::GetParticipantRequest { name: "shop".to_owned(), ..Default::default() };
    server.participants.get(message).await.unwrap().into_inner()
}

/// Asks until it is so.
async fn until(server: &mut Server, is_so: impl Fn(&v1::Participant) -> bool) -> v1::Participant {
    loop {
        let participant = described(server).await;
        if is_so(&participant) {
            return participant;
        }
    }
}

fn addresses(participant: &v1::Participant) -> Vec<&str> {
    participant.endpoint_states.iter().map(|state| state.endpoint.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srv_records_are_followed_and_their_last_answer_outlives_a_broken_dns() {
    let (dns, one, two) = (DnsServer::open().await, Shop::open().await, Shop::open().await);
    let memory = Memory::in_memory();
    let mut server = Server::start_with(&memory, asking(&dns, &memory)).await;
    let at = |shop: &Shop| {
        let records = vec![service(10, port(shop), "pod.test")];
        zone([("_grpc._tcp.shop.test", records), ("pod.test", vec![address("127.0.0.1")])])
    };
    dns.says(at(&one));
    put(&mut server, shop(&["http+srv://_grpc._tcp.shop.test"])).await.unwrap();
    server.register(CHECKOUT).await;
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    let seen = described(&mut server).await;
    let state = &seen.endpoint_states[0];
    assert_eq!((state.endpoint.as_str(), state.health()), (one.address.as_str(), v1::EndpointHealth::Healthy));
    assert_eq!(state.source, "http+srv://_grpc._tcp.shop.test");
    assert_eq!((seen.problem.as_str(), seen.endpoints.as_slice()), ("", &[state.source.clone()][..]));

    dns.says(at(&two));
    until(&mut server, |seen| addresses(seen) == [two.address.as_str()]).await;
    assert_eq!(server.run("order-2").await.status(), v1::SagaStatus::Completed);
    assert_eq!((one.calls().len(), two.calls().len()), (2, 2));

    dns.says(Zone::Broken);
    let seen = until(&mut server, |seen| !seen.problem.is_empty()).await;
    assert!(seen.problem.contains("still used"), "{}", seen.problem);
    assert_eq!(addresses(&seen), [two.address.as_str()]);
    assert_eq!(server.run("order-3").await.status(), v1::SagaStatus::Completed);

    dns.says(zone([]));
    let seen = until(&mut server, |seen| seen.problem.contains("names no address")).await;
    assert_eq!(addresses(&seen), [two.address.as_str()], "not all gone at once");
    assert_eq!(server.run("order-4").await.status(), v1::SagaStatus::Completed);

    dns.says(at(&one));
    until(&mut server, |seen| seen.problem.is_empty() && addresses(seen) == [one.address.as_str()]).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_addresses_of_a_host_are_used_and_dead_ones_passed_over() {
    let (dns, one) = (DnsServer::open().await, Shop::open().await);
    let memory = Memory::in_memory();
    let mut server = Server::start_with(&memory, asking(&dns, &memory)).await;
    dns.says(zone([("shop.test", vec![address("127.0.0.1"), address("127.0.0.9"), address("::1")])]));
    put(&mut server, shop(&[&format!("http+dns://shop.test:{}", port(&one))])).await.unwrap();
    server.register(CHECKOUT).await;
    for number in 0..4 {
        assert_eq!(server.run(&format!("order-{number}")).await.status(), v1::SagaStatus::Completed);
    }
    let seen = described(&mut server).await;
    assert_eq!(seen.endpoint_states.len(), 3);
    assert_eq!(one.calls().len(), 8);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_egress_refuses_isnt_called_whatever_dns_says() {
    let (dns, one) = (DnsServer::open().await, Shop::open().await);
    let memory = Memory::in_memory();
    let mut server = Server::start_with(&memory, asking(&dns, &memory)).await;
    let bad = ["169.254.169.254", "::ffff:169.254.169.254", "10.0.0.1", "fe80::1"].map(address);
    dns.says(zone([("shop.test", [bad.to_vec(), vec![address("127.0.0.1")]].concat())]));
    put(&mut server, shop(&[&format!("http+dns://shop.test:{}", port(&one))])).await.unwrap();
    let seen = until(&mut server, |seen| !seen.endpoint_states.is_empty()).await;
    assert_eq!(addresses(&seen), [one.address.as_str()]);
    assert!(seen.problem.contains("egress.allow"), "{}", seen.problem);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cant_be_looked_up_is_refused_at_once_with_the_mend() {
    let memory = Memory::in_memory();
    let mut server = Server::start(&memory).await;
    for (text, mend) in [
        ("dns://shop:1", "http+dns://host:port"),
        ("http+dns://shop", "names no port"),
        ("http+srv://shop.test", "http+srv://_service._tcp.host"),
    ] {
        let status = put(&mut server, shop(&[text])).await.unwrap_err();
        assert_eq!(refusal(&status).2, ["participant.endpoints[0]"], "{text}");
        assert!(status.message().contains(mend), "{text}: {}", status.message());
    }
    let weighted = v1::Participant { weights: [("http://b:1".to_owned(), 2)].into(), ..shop(&["http://a:1"]) };
    assert_eq!(refusal(&put(&mut server, weighted).await.unwrap_err()).2, ["participant.weights"]);
    let strange = v1::Participant { balancing: 77, ..shop(&["http://a:1"]) };
    assert_eq!(refusal(&put(&mut server, strange).await.unwrap_err()).2, ["participant.balancing"]);
    server.stop().await.unwrap();
}

fn here(endpoint: &str) -> v1::RegisterEndpointRequest {
    v1::RegisterEndpointRequest {
        participant: "shop".to_owned(),
        endpoint: endpoint.to_owned(),
        instance: "pod-1".to_owned(),
        ..Default::default()
    }
}

fn gone(endpoint: &str) -> v1::DeregisterEndpointRequest {
    v1::DeregisterEndpointRequest {
        participant: "shop".to_owned(),
        endpoint: endpoint.to_owned(),
        ..Default::default()
    }
}

fn self_registered() -> v1::Participant {
    v1::Participant { self_registration: true, ..shop(&[]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_registers_itself_and_leaves() {
    let memory = Memory::in_memory();
    let (mut server, one) = (Server::start(&memory).await, Shop::open().await);
    let status = server.participants.register_endpoint(here(&one.address)).await.unwrap_err();
    assert_eq!(refusal(&status).1, "PARTICIPANT_NOT_FOUND");
    put(&mut server, shop(&["http://127.0.0.1:1"])).await.unwrap();
    let status = server.participants.register_endpoint(here(&one.address)).await.unwrap_err();
    assert_eq!((status.code(), refusal(&status).1.as_str()), (Code::FailedPrecondition, "NO_SELF_REGISTRATION"));

    assert_eq!(put(&mut server, self_registered()).await.unwrap().problem, "no address is known yet");
    for bad in ["shop", "http://169.254.169.254:80", "http://10.0.0.1:80"] {
        let status = server.participants.register_endpoint(here(bad)).await.unwrap_err();
        assert_eq!(refusal(&status).2, ["endpoint"], "{bad}");
    }
    let said = server.participants.register_endpoint(here(&one.address)).await.unwrap().into_inner();
    assert_eq!((said.heartbeat_period_ms, said.lifetime_ms), (5_000, 15_000));
    server.register(CHECKOUT).await;
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    let seen = described(&mut server).await;
    assert_eq!((seen.endpoint_states[0].source.as_str(), seen.problem.as_str()), ("instance pod-1", ""));

    for _ in 0..2 {
        server.participants.deregister_endpoint(gone(&one.address)).await.unwrap();
    }
    assert!(described(&mut server).await.endpoint_states.is_empty());
    server.stop().await.unwrap();
}

/// The participant SDK's own client, against the real thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_registers_an_instance_and_takes_it_back() {
    let memory = Memory::in_memory();
    let (mut server, one) = (Server::start(&memory).await, Shop::open().await);
    put(&mut server, self_registered()).await.unwrap();
    let coordinator = format!("http://{}", server.grpc).parse().unwrap();
    let instance = amends_participant::registration::Instance::new(vec![coordinator], "shop", &one.address);
    let registered = instance.name("pod-7").weight(3).register();
    let seen = until(&mut server, |seen| !seen.endpoint_states.is_empty()).await;
    let state = &seen.endpoint_states[0];
    assert_eq!(
        (state.endpoint.as_str(), state.source.as_str(), state.weight),
        (one.address.as_str(), "instance pod-7", 3)
    );
    server.register(CHECKOUT).await;
    assert_eq!(server.run("order-1").await.status(), v1::SagaStatus::Completed);
    registered.leave().await;
    assert!(described(&mut server).await.endpoint_states.is_empty());
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_hears_all_know_and_none_forgets_when_that_one_dies() {
    let memory = Memory::in_memory();
    let config = |name: &str| {
        let mut config = memory.config();
        config.node = name.to_owned();
        config.sagas.lease = Duration::from_secs(1);
        config
    };
    let mut first = Server::start_shared(&memory, config("node-a")).await;
    let mut second = Server::start_shared(&memory, config("node-b")).await;
    let one = Shop::open().await;
    put(&mut first, self_registered()).await.unwrap();
    first.participants.register_endpoint(here(&one.address)).await.unwrap();
    first.register(CHECKOUT).await;
    until(&mut second, |seen| addresses(seen) == [one.address.as_str()]).await;
    one.always("Reserve", Answer::Done);
    first.kill().await;
    assert_eq!(second.run("order-1").await.status(), v1::SagaStatus::Completed);
    // It said it to a node that is dead, and says that it leaves to one that lives.
    second.participants.deregister_endpoint(gone(&one.address)).await.unwrap();
    assert!(described(&mut second).await.endpoint_states.is_empty());
    second.stop().await.unwrap();
}
