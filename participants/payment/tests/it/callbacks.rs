//! Calling the coordinator back: what it is told, and that it is told until it has acknowledged.

use std::collections::HashMap;

use amends_payment::proto::QrStatus;
use amends_proto::v1;
use amends_proto::v1::complete_step_request::Outcome;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::coordinator::Coordinator;
use crate::fixture::{Running, poll};

async fn start(coordinator: &Coordinator, more: &[&str]) -> (Running, String) {
    let address = coordinator.start();
    let arguments: Vec<&str> = ["--coordinator", &address].into_iter().chain(more.iter().copied()).collect();
    (Running::new(&arguments).await, address)
}

/// Waits until nothing is owed any more, and gives the state of each callback.
async fn settled(running: &Running) -> Vec<(String, i64, String)> {
    let mut db = running.connect().await;
    let query = "SELECT state, attempts, said FROM callbacks ORDER BY saga_id";
    let ask = async || {
        let rows: Vec<(String, i64, String)> = sqlx::query_as(query).fetch_all(&mut db).await.unwrap();
        Some(rows).filter(|rows| rows.iter().all(|(state, ..)| state != "waiting"))
    };
    poll(ask).await
}

#[tokio::test]
async fn a_paid_code_is_told_with_the_key_and_the_output() {
    let coordinator = Coordinator::default();
    let (running, _) = start(&coordinator, &[]).await;
    running.issue("s", 60).await.unwrap();
    running.pay("s", "ada").await.unwrap();
    let told = coordinator.told(1).await.remove(0);
    assert_eq!((told.namespace.as_str(), told.saga_id.as_str(), told.step.as_str()), ("default", "s", "pay-by-qr"));
    assert_eq!(told.operation(), v1::Operation::Action);
    let Some(Outcome::Succeeded(succeeded)) = told.outcome else { panic!("{told:?}") };
    let output: serde_json::Value = serde_json::from_slice(&succeeded.output.unwrap().data).unwrap();
    assert_eq!((&output["status"], &output["wallet_id"]), (&"QR_STATUS_PAID".into(), &"ada".into()));
    assert_eq!(output["amount_minor"].as_i64(), Some(40), "a whole number, not a text");
    assert_eq!(settled(&running).await[0].0, "acknowledged");
}

#[tokio::test]
async fn a_code_that_nobody_pays_is_told_as_refused_once() {
    let coordinator = Coordinator::default();
    let (running, _) = start(&coordinator, &[]).await;
    running.issue("s", 1).await.unwrap();
    let told = coordinator.told(1).await.remove(0);
    let Some(Outcome::Rejected(rejected)) = told.outcome else { panic!("{told:?}") };
    assert_eq!(rejected.code, "QR_EXPIRED");
    assert_eq!(settled(&running).await, [("acknowledged".to_owned(), 1, "COMPLETION_RESULT_APPLIED".to_owned())]);
    running.until("s", QrStatus::Expired).await;
}

#[tokio::test]
async fn a_coordinator_that_is_away_is_told_when_it_is_back_also_after_a_crash_here() {
    let coordinator = Coordinator::default();
    coordinator.refuse([Status::unavailable("starting"), Status::not_found("no such saga yet")]);
    let running = Running::new(&["--coordinator", "http://127.0.0.1:9"]).await;
    running.issue("s", 60).await.unwrap();
    running.pay("s", "ada").await.unwrap();
    let address = coordinator.start();
    let running = running.restart_with(&["--coordinator", &address]).await;
    assert_eq!(coordinator.told(3).await.len(), 3);
    let rows = settled(&running).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, "acknowledged");
    assert!(rows[0].1 >= 3, "{rows:?}");
}

#[tokio::test]
async fn a_saga_that_has_ended_is_not_told_again() {
    let coordinator = Coordinator::default();
    let about = HashMap::from([("status".to_owned(), "compensated".to_owned())]);
    let details = ErrorDetails::with_error_info("NOT_IN_THIS_STATE", "amends", about);
    coordinator.refuse([Status::with_error_details(Code::FailedPrecondition, "the saga has ended", details)]);
    let (running, _) = start(&coordinator, &[]).await;
    running.issue("s", 60).await.unwrap();
    running.pay("s", "ada").await.unwrap();
    let rows = settled(&running).await;
    assert_eq!((rows[0].0.as_str(), rows[0].1), ("given-up", 1));
    assert!(rows[0].2.contains("the saga has ended"), "{rows:?}");
}

#[tokio::test]
async fn a_refund_that_takes_time_is_pending_and_told_when_it_has_arrived() {
    let coordinator = Coordinator::default();
    let (running, _) = start(&coordinator, &["--refund-takes-ms", "300"]).await;
    running.issue("s", 60).await.unwrap();
    running.pay("s", "ada").await.unwrap();
    let answer = running.cancel_qr("s").await.unwrap();
    assert_eq!(answer.metadata().get("amends-outcome").unwrap(), "pending");
    assert_eq!(running.audit().await["qr_held"], 40, "on its way");
    let told = coordinator.told(2).await.remove(1);
    assert_eq!(told.operation(), v1::Operation::Compensate);
    let Some(Outcome::Succeeded(succeeded)) = told.outcome else { panic!("{told:?}") };
    assert_eq!(&succeeded.output.unwrap().data[..], br#"{"refunded_minor":40}"#);
    running.until("s", QrStatus::Refunded).await;
    let sums = running.audit().await;
    assert_eq!((sums["qr_refunded"], sums["qr_held"]), (40, 0));
    assert_eq!(*running.cancel_qr("s").await.unwrap().get_ref(), 40, "a repeat gets the late reply");
}
