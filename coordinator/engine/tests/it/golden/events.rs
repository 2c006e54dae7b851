//! The events of the table: every kind, about the second step.
//!
//! Answers are to attempt 2, the last of those states that have one; late ones to attempt 1.

use std::sync::Arc;
use std::time::Duration;

use amends_engine::event::{Event, Finding, Repin, Verdict};
use amends_engine::ids::{Operation, Version};
use amends_engine::outcome::{CallFacts, Doubt, Outcome, Why};
use amends_engine::payload::Payload;
use amends_engine::saga::{By, StuckReason};

use super::SUBJECT;
use crate::shape::version;

/// To version 2, which is this.
fn repin(text: &str) -> Event {
    let definition = Arc::new(version(text, 2).expect("valid"));
    Event::Repin(Repin { from: Version(1), definition, elsewhere: Vec::new(), by: By::default() })
}

/// Every kind of event, with its name in the table.
pub(super) fn events(asked: Operation) -> Vec<(&'static str, Event)> {
    let (step, by) = (SUBJECT, By::default());
    let why = || Why::new("CODE", "");
    let retry_after = Duration::from_millis(100);
    let answer = |attempt, outcome| Event::Answered {
        step,
        operation: asked,
        attempt,
        outcome,
        retry_after,
        call: CallFacts::default(),
    };
    let told = |verdict| Event::CalledBack { step, operation: asked, verdict, retry_after, by: By::default() };
    let rejected = |last_word| Outcome::Rejected { why: why(), last_word };
    let unknown = |doubt| Outcome::Unknown { doubt, why: why() };
    let ok = || Payload::json("{}");
    vec![
        ("loaded", Event::Loaded),
        ("prepared", Event::Prepared { step, operation: asked, requests: vec![(asked, Payload::json("1"))] }),
        ("condition false", Event::ConditionFalse { step }),
        ("prepare failed", Event::PrepareFailed { step, operation: asked, message: "null".to_owned() }),
        ("answer ok", answer(2, Outcome::Succeeded(ok()))),
        ("answer ok, other output", answer(2, Outcome::Succeeded(Payload::json("[]")))),
        ("answer rejected", answer(2, rejected(false))),
        ("answer rejected for good", answer(2, rejected(true))),
        ("answer pending", answer(2, Outcome::Pending)),
        ("answer not found", answer(2, Outcome::NotFound(why()))),
        ("answer unknown", answer(2, unknown(Doubt::NoAnswer))),
        ("answer misconfigured", answer(2, unknown(Doubt::Misconfigured))),
        ("answer key reused", answer(2, unknown(Doubt::KeyReused))),
        ("answer row missing", answer(2, unknown(Doubt::RowMissing))),
        ("answer stale epoch", answer(2, unknown(Doubt::StaleEpoch))),
        ("answer not sent", answer(2, Outcome::NotSent(why()))),
        ("late answer ok", answer(1, Outcome::Succeeded(ok()))),
        ("late answer rejected", answer(1, rejected(false))),
        ("late answer rejected for good", answer(1, rejected(true))),
        ("late answer unknown", answer(1, unknown(Doubt::NoAnswer))),
        ("answer to no attempt", answer(9, Outcome::Succeeded(ok()))),
        ("callback ok", told(Verdict::Succeeded(ok()))),
        ("callback ok, other output", told(Verdict::Succeeded(Payload::json("[]")))),
        ("callback rejected", told(Verdict::Rejected { why: why(), last_word: false })),
        ("callback rejected for good", told(Verdict::Rejected { why: why(), last_word: true })),
        ("due now", Event::Due),
        ("due in 3 s", Event::Due),
        ("due in an hour", Event::Due),
        ("cancel", Event::Cancel(by.clone())),
        ("retry", Event::Retry { step: Some(step), by: by.clone() }),
        ("skip", Event::Skip { step, operation: asked, by: by.clone() }),
        (
            "resolve happened",
            Event::Resolve { step, operation: asked, finding: Finding::Happened(ok()), by: by.clone() },
        ),
        ("resolve not", Event::Resolve { step, operation: asked, finding: Finding::DidNotHappen, by: by.clone() }),
        ("force-stop", Event::ForceStop(by.clone())),
        ("pause", Event::Pause(by.clone())),
        ("resume", Event::Resume(by.clone())),
        ("acknowledge", Event::Acknowledge(by)),
        ("repin", repin(super::SHAPE)),
        ("repin, the pivot moved", repin(super::PIVOT)),
        ("repin, the step is gone", repin("before | behind")),
        ("park", Event::Park { reason: StuckReason::Poison, message: "panic".to_owned() }),
    ]
}
