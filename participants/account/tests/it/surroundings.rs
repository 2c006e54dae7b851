//! How the process behaves towards its surroundings: reflection, health, signals, a place that is taken.

use amends_participant::database::Place;
use amends_participant::testing::ServerProcess;
use tempfile::TempDir;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::fixture::{Running, step};

async fn ask(running: &Running, request: MessageRequest) -> MessageResponse {
    let channel = Endpoint::from_shared(running.server.uri()).unwrap().connect_lazy();
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures::stream::iter([request])).await.unwrap();
    answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_tells_a_coordinator_all_it_needs() {
    let running = Running::with_alice().await;
    let MessageResponse::ListServicesResponse(list) = ask(&running, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"account.v1.Account") && names.contains(&"grpc.health.v1.Health"), "{names:?}");
    assert!(!names.contains(&"amends.faults.v1.Faults"), "{names:?}");
    let symbol = MessageRequest::FileContainingSymbol("account.v1.Account.Hold".into());
    let MessageResponse::FileDescriptorResponse(files) = ask(&running, symbol).await else {
        panic!("no descriptor");
    };
    assert!(!files.file_descriptor_proto.is_empty());
}

#[tokio::test]
async fn health_names_the_service() {
    let running = Running::with_alice().await;
    let channel = Endpoint::from_shared(running.server.uri()).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);
    let answer = health.check(HealthCheckRequest { service: "account.v1.Account".into() }).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

// The client has a thread of its own, to close its end while this one waits for the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_to_stop_ends_the_process_well_and_keeps_everything() {
    let mut running = Running::with_alice().await;
    running.hold(&step("s"), 30).await.unwrap();
    let pid = running.server.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(running.server.wait().unwrap().success());
    let running = running.restart().await;
    assert_eq!(running.balance("alice").await, (70, 30));
}

#[tokio::test]
async fn a_place_that_cannot_be_used_ends_the_process_with_an_error() {
    let running = Running::with_alice().await;
    let program = env!("CARGO_BIN_EXE_amends-account");
    let elsewhere = TempDir::new().unwrap();
    let taken = running.server.uri();
    let taken = taken.trim_start_matches("http://");
    let database = elsewhere.path().join("account.db");
    let same_addr =
        std::process::Command::new(program).args(["--addr", taken]).arg("--database").arg(&database).output().unwrap();
    assert!(!same_addr.status.success());
    let words = String::from_utf8_lossy(&same_addr.stderr).into_owned();
    assert!(words.contains("can't listen on") && words.contains("--addr"), "{words}");
    let nowhere = [
        Place::File(elsewhere.path().join("no/such/folder.db")),
        Place::Url(format!("postgres://nobody@localhost/nothing?host={}", elsewhere.path().display())),
    ];
    for nowhere in nowhere {
        assert!(ServerProcess::start(program, &nowhere, &[]).is_err(), "{nowhere}");
    }
}
