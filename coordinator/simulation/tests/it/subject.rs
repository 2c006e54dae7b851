//! Somebody's own definition under the same faults: by HTTP, without any of our messages, with and without a way back.

use std::collections::BTreeMap;

use amends_definition::{Body, Format, parse};
use amends_engine::standing::StatusWord;
use amends_simulation::{Conduct, FaultPlan, Library, Report, Run, Subject};

/// Two steps that can be undone, and one that can't be and comes last.
const ORDER: &str = r#"
saga: order
timeout: 1m
steps:
  - step: book
    participant: rooms
    action: { http: "POST /bookings", timeout: 1s, retry: { max_attempts: 3, initial: 100ms } }
    compensate: { http: "DELETE /bookings", timeout: 1s, retry: { max_attempts: 5, initial: 100ms } }
  - step: pay
    participant: bank
    action: { http: "POST /payments", timeout: 1s, retry: { max_attempts: 3, initial: 100ms } }
    compensate: { http: "POST /refunds", timeout: 1s, retry: { max_attempts: 3, initial: 100ms } }
  - step: mail
    participant: post
    action: { http: "POST /mails", timeout: 1s, retry: { max_attempts: 3, initial: 100ms } }
    compensate: { none: "a mail does no harm" }
"#;

fn library() -> Library {
    let document = parse(ORDER, Format::Yaml, "order.yaml").unwrap();
    let body = Body::new(ORDER, Format::Yaml, &document, &BTreeMap::new()).unwrap();
    Library::of(vec![Subject { body, inputs: vec![serde_json::json!({})], replies: BTreeMap::new() }]).unwrap()
}

fn runs() -> Vec<Report> {
    let library = library();
    let run = |seed| Run { library: &library, conduct: Conduct::Barrier, faults: FaultPlan::Random, sagas: None, seed };
    (1..=150).map(|seed| run(seed).make().unwrap()).collect()
}

#[test]
fn somebodys_own_definition_is_run_under_faults_and_what_it_leaves_is_told() {
    let runs = runs();
    for report in &runs {
        crate::support::assert_clean(&format!("seed {} of somebody's definition", report.seed), report);
    }
    let sagas: Vec<_> = runs.iter().flat_map(|report| &report.sagas).collect();
    let ended = |status| sagas.iter().filter(|saga| saga.status == status).count();
    assert!(ended(StatusWord::Completed) > 20 && ended(StatusWord::Compensated) > 20, "{sagas:?}");
    let stuck = sagas.iter().find(|saga| saga.status == StatusWord::Stuck).unwrap();
    assert!(
        stuck.stuck.is_some() && !stuck.residue.is_empty(),
        "a compensation that gave up leaves its effect: {stuck:?}"
    );
}
