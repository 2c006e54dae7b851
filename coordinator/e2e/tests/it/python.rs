//! A participant in plain Python, with none of our code in it, as a step by reflection alone.

use std::time::Duration;

use amends_proto::v1 as api;
use serde_json::json;

use crate::fleet::{coordinator, define, dial, ended, register, start};
use crate::languages::loyalty;
use crate::process::root;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_participant_works_by_reflection_alone() {
    let data = tempfile::tempdir().expect("a folder");
    let loyalty = loyalty(data.path());
    let mut coordinator = coordinator(data.path());
    coordinator.wait_until_listening();
    let channel = dial(coordinator.address).await;
    register(channel.clone(), "loyalty", loyalty.address, true).await;
    let source = std::fs::read_to_string(root().join("examples/python/participant/award.saga.yaml")).expect("example");
    define(channel.clone(), source).await;

    // Beyond what a double can hold: 64-bit integers stay exact on the way there and back.
    let points: i64 = 9_007_199_254_740_993;
    let input = json!({ "order_id": "o-1", "customer": "ada", "points": points });
    start(&channel, "award-points", "award-1", &input).await;
    let saga = ended(&channel, "award-1", Duration::from_secs(30)).await;
    assert_eq!(saga.status(), api::SagaStatus::Completed, "{saga:#?}");
    let outputs: Vec<String> = saga.steps[0]
        .operations
        .iter()
        .filter_map(|operation| operation.output.as_ref())
        .map(|output| String::from_utf8_lossy(&output.data).into_owned())
        .collect();
    assert_eq!(outputs, [json!({ "balance": points }).to_string()]);

    let refused = json!({ "order_id": "o-2", "customer": "ada", "points": 0 });
    start(&channel, "award-points", "award-2", &refused).await;
    let saga = ended(&channel, "award-2", Duration::from_secs(30)).await;
    assert_eq!(saga.status(), api::SagaStatus::Compensated, "{saga:#?}");
    assert_eq!(saga.decision.expect("a decision").code, "POINTS_NOT_POSITIVE");
}
