//! Every way in which a saga that is waited for may stand, and what a caller reads of it.

use std::time::Duration;

use amends_client::{Class, Client, Ending, Error, v1};
use tonic::Code;

use crate::coordinator::{Coordinator, LONG, ORDER, Order};
use crate::shop::Answer;

#[derive(serde::Deserialize)]
struct Done {
    receipt: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completed_with_outputs_of_the_callers_types() {
    let (coordinator, _shop) = Coordinator::open().await;
    let saga = coordinator.client().saga("checkout", &ORDER).id("order-1").label("shop", "tea");
    // As any service does: in a task of its own.
    let waited = tokio::spawn(async move { saga.start_and_wait(LONG).await }).await.unwrap().unwrap();
    assert_eq!((waited.saga.principal.as_str(), waited.saga.labels["shop"].as_str()), ("tests", "tea"));
    let Ending::Completed { outputs } = waited.ending else { panic!("{}", waited.ending) };
    assert_eq!(outputs.steps().collect::<Vec<_>>(), ["reserve", "charge"]);
    assert_eq!(outputs.of::<Done>("charge").unwrap().unwrap().receipt, "charge-receipt");
    assert!(outputs.of::<Done>("ship").unwrap().is_none());
    assert!(matches!(outputs.of::<i64>("charge"), Err(Error::Output { step, .. }) if step == "charge"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compensated_stuck_and_force_stopped_say_why() {
    let (coordinator, shop) = Coordinator::open().await;
    let client = coordinator.client();
    shop.always("Charge", Answer::Says(Code::FailedPrecondition, "no funds"));
    let waited = client.saga("checkout", &ORDER).start_and_wait(LONG).await.unwrap();
    assert_eq!(waited.ending.to_string(), "compensated: rejected, charge, FAILED_PRECONDITION, no funds");

    shop.always("Release", Answer::Says(Code::FailedPrecondition, "already shipped"));
    let waited = client.saga("checkout", &ORDER).id("order-1").start_and_wait(LONG).await.unwrap();
    assert!(waited.ending.to_string().starts_with("stuck: compensation refused, reserve"), "{}", waited.ending);
    let Ending::Stuck { reasons } = waited.ending else { panic!() };
    assert_eq!(reasons[0].reason(), v1::StuckReason::CompensationRefused);

    let stop = v1::ForceStopSagaRequest {
        saga_id: "order-1".to_owned(),
        reason: "shipped, so be it".to_owned(),
        ..Default::default()
    };
    coordinator.operations().force_stop(stop).await.unwrap();
    let Ending::ForceStopped { residue } = client.wait("order-1", LONG).await.unwrap().ending else { panic!() };
    assert_eq!(residue[0].step, "reserve");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_that_outlasts_the_callers_patience_runs_on() {
    let (coordinator, shop) = Coordinator::open().await;
    let client = coordinator.client();
    shop.always("Charge", Answer::Held);
    let saga = client.saga("checkout", &ORDER);
    let waited = saga.start_and_wait(Duration::from_millis(300)).await.unwrap();
    assert_eq!(waited.ending, Ending::StillOpen { status: v1::SagaStatus::Running });
    shop.let_go();
    let again = saga.start_and_wait(LONG).await.unwrap();
    assert_eq!(again.saga.id, waited.saga.id);
    assert!(matches!(again.ending, Ending::Completed { .. }), "{}", again.ending);
    assert_eq!(shop.calls().iter().filter(|call| *call == "Charge").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_and_completed_from_outside() {
    let (coordinator, shop) = Coordinator::open().await;
    let client = coordinator.client();
    shop.always("Charge", Answer::Pending);
    client.saga("checkout", &ORDER).id("order-1").start().await.unwrap();
    client.saga("checkout", &ORDER).id("order-2").start().await.unwrap();
    shop.has_calls(4).await;

    let done = serde_json::json!({ "receipt": "r-7" });
    let first = client.complete_step("order-1", "charge").succeeded(&done).await.unwrap();
    assert_eq!(first, v1::CompletionResult::Applied);
    let waited = client.wait("order-1", LONG).await.unwrap();
    let Ending::Completed { outputs } = &waited.ending else { panic!("{}", waited.ending) };
    assert_eq!(outputs.of::<Done>("charge").unwrap().unwrap().receipt, "r-7");
    let late = client.complete_step("order-1", "charge").rejected("NO_FUNDS", "no funds").await.unwrap_err();
    assert!(matches!(&late, Error::Refused { reason, .. } if reason == "NOT_IN_THIS_STATE"), "{late:?}");
    assert_eq!(late.class(), Class::Conflict);

    assert_eq!(client.cancel("order-2", "changed my mind").await.unwrap(), v1::CancelResult::Compensating);
    let waited = client.wait("order-2", LONG).await.unwrap();
    assert_eq!(waited.ending.to_string(), "compensated: cancelled, changed my mind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named_and_not_repeated() {
    let (coordinator, _shop) = Coordinator::open().await;
    let client = coordinator.client();
    let missing = client.get("order-1").await.unwrap_err();
    assert!(matches!(&missing, Error::NotFound { reason, .. } if reason == "SAGA_NOT_FOUND"), "{missing:?}");
    let unknown = client.saga("refunds", &ORDER).start().await.unwrap_err();
    assert!(matches!(&unknown, Error::NotFound { reason, .. } if reason == "DEFINITION_NOT_FOUND"), "{unknown:?}");
    let misfit = client.saga("checkout", &["order-1"]).start().await.unwrap_err();
    assert!(matches!(&misfit, Error::Invalid { violations, .. } if violations[0].field == "input"), "{misfit:?}");
    client.saga("checkout", &ORDER).id("order-1").start().await.unwrap();
    let other = client.saga("checkout", &Order { amount: 1, ..ORDER }).id("order-1").start().await.unwrap_err();
    assert!(matches!(&other, Error::AlreadyExists { difference: Some(it), .. } if it == "input"), "{other:?}");
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(client.saga("checkout", &unwritable).start().await, Err(Error::Encode { .. })));
    let nameless = client.principal("").get("order-1").await.unwrap_err();
    assert!(matches!(&nameless, Error::Invalid { violations, .. } if violations[0].field == "principal"));
    for wrong in ["", "127.0.0.1:7400", "https://a", "http://a", "ftp://a:1"] {
        assert!(matches!(Client::connect(wrong), Err(Error::Invalid { .. })), "{wrong:?}");
    }
}
