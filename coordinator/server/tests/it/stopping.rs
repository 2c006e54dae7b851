//! Stopping, starting again, clients that go away, and servers that don't start.

use std::time::Duration;

use amends_proto::v1;
use amends_server::{App, Error, Listeners, chain};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Memory, Server, checkout, on_both_stores, refusal, seconds};
use crate::shop::Answer;

on_both_stores! { stopped_in_the_middle_and_started_again a_client_that_goes_away waiting_requests_are_let_go health }

async fn stopped_in_the_middle_and_started_again(memory: Memory) {
    let (server, shop) = {
        let (mut server, shop) = Server::with_shop(&memory).await;
        shop.always("Charge", Answer::Held);
        server.sagas.start(checkout("order-1")).await.unwrap();
        shop.is_called("Charge").await;
        (server, shop)
    };
    // The charge is not answered within the grace.
    server.stop().await.unwrap();
    shop.always("Charge", Answer::Done);
    shop.let_go();
    let mut server = Server::start_when_free(&memory).await;
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Completed);
    let history = server.history("order-1").await;
    assert!(history.iter().any(|entry| entry.doubt() == v1::Doubt::OwnerLost));
    server.stop().await.unwrap();
}

async fn a_client_that_goes_away(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Reserve", Answer::Held);
    let mut sagas = server.sagas.clone();
    let message = v1::StartSagaRequest { wait: seconds(60), ..checkout("order-1") };
    let call = tokio::spawn(async move { sagas.start(message).await });
    shop.is_called("Reserve").await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let mut hasty = tonic::Request::new(v1::StartSagaRequest { wait: seconds(60), ..checkout("order-2") });
    hasty.set_timeout(Duration::from_millis(200));
    let status = server.sagas.start(hasty).await.unwrap_err();
    assert!(matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded), "{status:?}");
    shop.let_go();
    assert_eq!(server.end_of("order-1").await.status(), v1::SagaStatus::Completed);
    // However far the hasty one came, its repeat finds or starts the one saga that there is.
    assert_eq!(server.run("order-2").await.status(), v1::SagaStatus::Completed);
    assert_eq!(shop.calls().iter().filter(|call| *call == "Charge").count(), 2);
    server.stop().await.unwrap();
}

async fn waiting_requests_are_let_go(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    shop.always("Reserve", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    let watch = v1::WatchSagaRequest { saga_id: "order-1".to_owned(), ..Default::default() };
    let mut stream = server.sagas.watch(watch).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    let mut sagas = server.sagas.clone();
    let message = v1::StartSagaRequest { wait: seconds(60), ..checkout("order-2") };
    let waiting = tokio::spawn(async move { sagas.start(message).await });
    // Both reservations are held by now.
    shop.has_calls(2).await;
    server.begin_to_stop();
    let status = stream.message().await.unwrap_err();
    assert_eq!(refusal(&status).0, Code::Unavailable);
    let answer = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!(answer.status(), v1::SagaStatus::Running);
    shop.let_go();
    server.stop().await.unwrap();
}

async fn health(memory: Memory) {
    let (mut server, shop) = Server::with_shop(&memory).await;
    let mut client = HealthClient::new(server.channel.clone());
    for service in ["", "amends.v1.Sagas"] {
        let check = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(client.check(check).await.unwrap().into_inner().status(), ServingStatus::Serving);
    }
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    shop.always("Reserve", Answer::Held);
    server.sagas.start(checkout("order-1")).await.unwrap();
    server.begin_to_stop();
    assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop(stream);
    shop.let_go();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_belongs_to_one_server() {
    let memory = Memory::sqlite();
    let server = Server::start(&memory).await;
    let error = App::build(memory.config()).await.unwrap_err();
    assert!(matches!(error, Error::Open(_)), "{error:?}");
    let text = chain(&error);
    assert!(text.contains("is in use by process") && text.contains("choose another directory"), "{text}");
    server.stop().await.unwrap();
    // And is free again as soon as that one has stopped.
    Server::start(&memory).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_keeps_its_shards_and_only_another_number_is_refused() {
    let memory = Memory::sqlite();
    Server::start(&memory).await.stop().await.unwrap();
    let mut config = memory.config();
    config.store.shards = None;
    Server::start_with(&memory, config.clone()).await.stop().await.unwrap();
    config.store.shards = Some(5);
    let text = chain(&App::build(config).await.unwrap_err());
    assert!(text.contains("created with 4 shards") && text.contains("asks for 5"), "{text}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let memory = Memory::in_memory();
    let taken = Listeners::bind(&memory.config()).await.unwrap();
    let mut config = memory.config();
    config.grpc.listen = taken.grpc.local_addr().unwrap();
    let text = chain(&Listeners::bind(&config).await.unwrap_err());
    assert!(text.starts_with(&format!("gRPC can't listen on {}", config.grpc.listen)), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_describes_itself() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let server = Server::start(&Memory::in_memory()).await;
    let mut client = ServerReflectionClient::new(server.channel.clone());
    let question = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut answers = client.server_reflection_info(tokio_stream::once(question)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["amends.v1.Sagas", "amends.v1.Operations", "amends.v1.Definitions", "amends.v1.Participants"] {
        assert!(names.contains(&service), "{names:?}");
    }
    drop((answers, client));
    server.stop().await.unwrap();
}
