//! The HTTP API, asked by schemathesis: generated from the served description, and one answer leading to the next request.
//!
//! It asks a coordinator with sagas that have completed, been compensated and wait. Invariant: whatever is sent, no answer is a
//! server's error, and every answer is one that the description allows.

use std::process::Command;
use std::time::Duration;

use amends_proto::v1 as api;
use serde_json::json;

use crate::fleet::{Fleet, Kept, define, dial, ended, register, start};
use crate::process::{root, setting};

/// All that judge an answer. What a description can't say in full (which fields go together) isn't held against it, nor what is taken
/// beside what is described, as proto3 JSON has it: `null` for a default, the number of an enum.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,unsupported_method,allow_header_conformance,missing_required_header,\
    use_after_free,ensure_resource_availability";

const AFTER_ALL: &str = r#"
saga: after-all
steps:
  - step: hold-funds
    participant: after-all
    try:
      call: account.v1.Account/Hold
      request: { account_id: ada, hold_id: "${saga.id}", amount_minor: 1 }
    confirm:
      call: account.v1.Account/ConfirmHold
      request: { hold_id: "${saga.id}" }
    cancel:
      call: account.v1.Account/CancelHold
      request: { hold_id: "${saga.id}" }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_gets_an_answer_that_the_description_does_not_allow() {
    let st = root().join("target/venv/bin/st");
    assert!(st.exists(), "{} is missing: run `make tools`", st.display());
    let mut fleet = Fleet::start(Kept::Sqlite).await;
    fleet.set_up(&[("ada", 1_000_000), ("poor", 1)], &[("apple", 1_000_000)]).await;
    sagas(&mut fleet).await;
    let (examples, seed) = (setting("AMENDS_HTTP_FUZZ", 5), setting("AMENDS_HTTP_FUZZ_SEED", 1));
    let address = format!("http://{}/openapi.json", fleet.coordinators[0].http());
    let folder = tempfile::tempdir().expect("a folder");
    let ran = Command::new(st)
        .args(["run", &address, "--checks", CHECKS, "--continue-on-failure", "--no-color", "--output-truncate", "true"])
        .args([
            "--request-timeout",
            "60",
            "--max-examples",
            &examples.to_string(),
            "--seed",
            &seed.to_string(),
            "--warnings",
            "off",
        ])
        .env("PYTHONPATH", root().join("coordinator/e2e/http"))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .current_dir(folder.path())
        .output()
        .expect("schemathesis runs");
    let text = String::from_utf8_lossy(&ran.stdout);
    eprintln!("{text}");
    assert!(ran.status.success(), "answers that the description doesn't allow, see above: {}", ran.status);
    let cases = text.lines().find_map(|line| line.trim().split_once(" generated")).map(|(number, _)| number.trim());
    let cases: u64 = cases.and_then(|number| number.replace(',', "").parse().ok()).expect("a number of cases");
    assert!(cases >= 100 * examples, "{cases} cases say little");
    // It still works: with a participant and a definition of its own, since requests may have changed or deprecated those before.
    let channel = dial(fleet.coordinators[0].address).await;
    register(channel.clone(), "after-all", fleet.participants[0].address, true).await;
    define(channel.clone(), AFTER_ALL.to_owned()).await;
    start(&channel, "after-all", "after-all", &json!({})).await;
    let saga = ended(&channel, "after-all", Duration::from_secs(60)).await;
    assert_eq!(saga.status(), api::SagaStatus::Completed);
}

/// Some of each kind: ended well, undone, and waiting for a participant that is away.
async fn sagas(fleet: &mut Fleet) {
    let channel = dial(fleet.coordinators[0].address).await;
    for (id, customer) in [("order-1", "ada"), ("order-2", "ada"), ("poor-1", "poor")] {
        start(&channel, "checkout", id, &order(id, customer)).await;
    }
    let within = Duration::from_secs(60);
    assert_eq!(ended(&channel, "order-2", within).await.status(), api::SagaStatus::Completed);
    assert_eq!(ended(&channel, "poor-1", within).await.status(), api::SagaStatus::Compensated);
    fleet.participants.iter_mut().filter(|it| it.name == "payment").for_each(|payment| payment.kill());
    for id in ["waiting-1", "waiting-2", "waiting-3"] {
        start(&channel, "checkout", id, &order(id, "ada")).await;
    }
}

fn order(id: &str, customer: &str) -> serde_json::Value {
    json!({ "order_id": id, "sku": "apple", "quantity": 1, "account_id": customer, "amount_minor": 100 })
}
