//! Scenarios: the example's own, what a failure says, what is refused, and that nothing hangs.

use std::collections::BTreeMap;

use amends_definition::scenario::{Mark, Report};
use amends_definition::{Compiled, FIRST_VERSION, Format, parse, parse_scenarios, stand_in};
use amends_engine::ids::ParticipantName;
use bytes::Bytes;
use proptest::prelude::*;

use crate::descriptors::{participants, root};

fn example(name: &str) -> String {
    example_of("checkout", name)
}

fn example_of(folder: &str, name: &str) -> String {
    std::fs::read_to_string(root().join("examples").join(folder).join(name)).expect("example")
}

fn compile(source: &str, mut descriptors: BTreeMap<ParticipantName, Bytes>) -> Compiled {
    let document = parse(source, Format::Yaml, "d").expect("document");
    stand_in(&document, &mut descriptors);
    Compiled::compile(&document, FIRST_VERSION, &descriptors).expect("compiled")
}

fn run(definition: &Compiled, scenarios: &str) -> Vec<Report> {
    let file = parse_scenarios(scenarios, Format::Yaml, "t").expect("file");
    file.bind(definition).expect("scenarios").run(definition).collect()
}

/// Whatever is wrong with a file, in either stage.
fn refused(definition: &Compiled, scenarios: &str) -> Vec<String> {
    let found = match parse_scenarios(scenarios, Format::Yaml, "t") {
        Ok(file) => file.bind(definition).expect_err("refused"),
        Err(found) => found,
    };
    found.iter().map(ToString::to_string).collect()
}

/// One step with a query-less action, and its compensation; then a pivot with a reply that can say no, and a last step.
const ORDER: &str = "
saga: order
timeout: 1h
steps:
  - step: book
    participant: hotel
    action: { call: hotel.v1.Hotel/Book, timeout: 2s, retry: { max_attempts: 3, initial: 1s, max: 4s }, request: { id: '${saga.id}', nights: '${input.nights}' } }
    compensate: { call: hotel.v1.Hotel/Cancel, request: { id: '${saga.id}' } }
  - step: pay
    participant: bank
    pivot: true
    within: 10m
    action: { call: bank.v1.Bank/Pay, request: { booking: '${steps.book.number}', nights: '${input.nights + 1}' }, rejected_when: \"${reply.status == 'DECLINED'}\", pending_when: \"${reply.status == 'OPEN'}\", codes: { ABORTED: rejected } }
  - step: tell
    participant: mail
    action: { call: mail.v1.Mail/Send, request: { text: 'paid' } }
";

/// A file with one scenario, whose replies, events and expectation are given.
fn order(body: &str) -> Vec<Report> {
    let file = format!(
        "definition: order.saga.yaml\ninput: {{ nights: 2 }}\nreplies: {{ book: {{ action: {{ succeeds: {{ number: 7 }} }} }} }}\n\
         scenarios:\n  - scenario: s\n{body}"
    );
    run(&compile(ORDER, BTreeMap::new()), &file)
}

fn only(mut reports: Vec<Report>) -> Report {
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

fn timeline(report: &Report) -> Vec<String> {
    report.timeline.iter().map(|moment| format!("{:?} {}", moment.at, moment.text)).collect()
}

#[test]
fn the_examples_scenarios_pass_with_descriptors_and_without() {
    for (folder, name, at_least) in
        [("checkout", "checkout", 10), ("transfer-tcc", "transfer", 6), ("qr-payment", "qr-payment", 8)]
    {
        for descriptors in [participants(), BTreeMap::new()] {
            let definition = compile(&example_of(folder, &format!("{name}.saga.yaml")), descriptors);
            let reports = run(&definition, &example_of(folder, &format!("{name}.scenarios.yaml")));
            assert!(reports.len() >= at_least, "{name}: {}", reports.len());
            for report in reports {
                assert!(report.passed(), "{}: {:?}\n{:#?}", report.name, report.complaints, timeline(&report));
            }
        }
    }
}

/// What a newcomer copies from the guide must at least be read.
#[test]
fn the_guides_example_is_read() {
    let guide = std::fs::read_to_string(root().join("coordinator/docs/scenarios.md")).expect("guide");
    let (_, after) = guide.split_once("```yaml\n").expect("an example");
    let (example_file, _) = after.split_once("```").expect("its end");
    let definition = compile(&example("checkout.saga.yaml"), participants());
    let file = parse_scenarios(example_file, Format::Yaml, "guide").expect("file");
    assert_eq!(file.definition(), "checkout.saga.yaml");
    file.bind(&definition).expect("scenarios");
}

#[test]
fn the_same_scenario_gives_the_same_report() {
    let definition = compile(&example("checkout.saga.yaml"), participants());
    let play = || format!("{:?}", run(&definition, &example("checkout.scenarios.yaml")));
    assert_eq!(play(), play());
}

#[test]
fn a_failure_shows_expected_and_made_calls_and_what_happened_when() {
    let report = only(order(
        "    replies: { pay: { action: { replies: { status: DECLINED } } } }
    expect:
      ends: completed
      calls: [{ call: book.action, attempts: 2, request: { nights: 3, beds: 1 } }, pay.action, tell.action]
      outputs: { book: { number: 8 }, tell: {} }
      residue: { book: stands }
      took_less_than: 5ms
",
    ));
    let complaints = [
        "it was to end completed, and is compensated",
        "the calls differ",
        "the request of book.action.nights: expected 3, was 2",
        "the request of book.action.beds: expected 1, and there is no such field",
        "the output of book.number: expected 8, was 7",
        "the output of tell isn't there: its action has not succeeded",
        "the effect of book is not there; expected was that it stands",
        "it took 0.030s (with the longest delays before retries), not less than 5ms",
    ];
    assert_eq!(report.complaints, complaints);
    let calls: Vec<(Mark, &str)> = report.calls.iter().map(|line| (line.mark, line.text.as_str())).collect();
    let expected = [
        (Mark::Missing, "book.action × 2"),
        (Mark::Unexpected, "book.action"),
        (Mark::Same, "pay.action"),
        (Mark::Missing, "tell.action"),
        (Mark::Unexpected, "book.compensate"),
    ];
    assert_eq!(calls, expected);
    let expected = [
        "0ns started",
        "0ns book.action #1: called",
        "10ms book.action #1: succeeded",
        "10ms pay.action #1: called",
        "20ms pay.action #1: rejected (REJECTED_WHEN: the reply says so: reply.status == 'DECLINED')",
        "20ms turns back: pay was refused",
        "20ms book.compensate #1: called",
        "30ms book.compensate #1: succeeded",
        "30ms compensated",
    ];
    assert_eq!(timeline(&report), expected);
}

#[test]
fn time_is_counted_with_the_longest_delays() {
    let report = only(order(
        "    replies: { book: { action: [times_out, { code: UNAVAILABLE }, { succeeds: { number: 7 }, takes: 1s }] } }
    expect: { ends: completed, calls: [{ call: book.action, attempts: 3 }, pay.action, tell.action] }
",
    ));
    assert!(report.passed(), "{:?}", report.complaints);
    // 2 s of silence, 1 s until the second attempt, its 10 ms, 2 s until the third, its second, and two more steps.
    assert_eq!(report.took.as_millis(), 2000 + 1000 + 10 + 2000 + 1000 + 20);
}

#[test]
fn an_answer_after_the_deadline_of_its_attempt_is_silence() {
    let report = only(order(
        "    replies: { book: { action: [{ succeeds: { number: 7 }, takes: 3s }, { succeeds: { number: 7 } }] } }
    expect: { ends: completed, calls: [{ call: book.action, attempts: 2 }, pay.action, tell.action] }
",
    ));
    assert!(report.passed(), "{:?}", report.complaints);
    assert!(timeline(&report)[2].starts_with("2s book.action #1: unknown: no answer"), "{:#?}", timeline(&report));
}

#[test]
fn a_lost_coordinator_makes_the_outstanding_attempt_unknown_so_that_it_is_compensated() {
    let report = only(order(
        "    replies: { book: { action: [crash, { code: FAILED_PRECONDITION }] } }
    expect: { ends: compensated, calls: [{ call: book.action, attempts: 2 }, book.compensate], residue: {} }
",
    ));
    assert!(report.passed(), "{:?}", report.complaints);
    // Known at once by the next owner, not only when the attempt's deadline has passed.
    let lost = "10ms book.action #1: unknown: the coordinator was lost";
    assert!(timeline(&report).iter().any(|line| line.starts_with(lost)), "{:#?}", timeline(&report));
    // Without the crash the same refusal leaves nothing to undo.
    let report = only(order(
        "    replies: { book: { action: [not_sent, { code: FAILED_PRECONDITION }] } }
    expect: { ends: compensated, calls: [{ call: book.action, attempts: 2 }] }
",
    ));
    assert!(report.passed(), "{:?}", report.complaints);
}

#[test]
fn a_pending_step_is_told_later_or_its_time_runs_out() {
    for (reply, ends) in [
        ("{ replies: { status: OPEN } }", "{ stuck: pivot_unknown }"),
        ("{ pending: { completes_after: 30s, output: { status: PAID } } }", "completed"),
        ("{ pending: { rejects_after: 30s, code: DECLINED } }", "compensated"),
        ("{ code: ABORTED }", "compensated"),
        ("{ code: UNAUTHENTICATED }", "{ stuck: pivot_unknown }"),
    ] {
        let body = format!("    replies: {{ pay: {{ action: {reply} }} }}\n    expect: {{ ends: {ends} }}\n");
        let report = only(order(&body));
        assert!(report.passed(), "{reply}: {:?}\n{:#?}", report.complaints, timeline(&report));
    }
}

#[test]
fn operators_act_at_their_time_and_may_be_refused() {
    let report = only(order(
        "    replies: { book: { action: { succeeds: { number: 7 }, takes: 1s } } }
    events:
      - { at: 0s, pause: wait }
      - { at: 5s, resume: go on }
      - { at: 5s, cancel: no, refused: true }
    expect: { ends: completed }
",
    ));
    let complaints = ["`cancel` was to be refused, and was accepted"];
    assert_eq!(report.complaints[..1], complaints);
    let report = only(order(
        "    replies: { tell: { action: { not_sent: true } } }
    events: [{ at: 2s, force_stop: enough }]
    expect: { ends: force_stopped, residue: { book: stands, pay: stands } }
",
    ));
    assert!(report.passed(), "{:?}\n{:#?}", report.complaints, timeline(&report));
}

#[test]
fn what_never_comes_to_rest_is_stopped_and_says_where() {
    let report = only(order("    replies: { tell: { action: not_sent } }\n    expect: { ends: completed }\n"));
    let [complaint, ..] = report.complaints.as_slice() else { panic!("no complaint") };
    assert!(complaint.starts_with("it still moves after 10000 events, at "), "{complaint}");
    assert!(complaint.contains("tell.action #"), "{complaint}");
}

const REPLIES: [&str; 10] = [
    "succeeds",
    "rejects",
    "times_out",
    "breaks",
    "pending",
    "crash",
    "{ code: NOT_FOUND }",
    "{ code: UNAUTHENTICATED }",
    "{ succeeds: {}, then: crash, takes: 1s }",
    "{ pending: { completes_after: 2m } }",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever everybody answers all the time, and whatever an operator does: it ends, or rests with a reason.
    #[test]
    fn every_saga_comes_to_rest(answers in prop::collection::vec(0..REPLIES.len(), 7), at in 0u32..400, verb in 0usize..5) {
        let operations = [
            ("reserve-stock", "action"), ("reserve-stock", "compensate"), ("hold-funds", "try"), ("hold-funds", "confirm"),
            ("hold-funds", "cancel"), ("charge", "action"), ("charge", "query"),
        ];
        let mut replies = String::new();
        for ((step, operation), answer) in operations.into_iter().zip(answers) {
            // A crash at every attempt would never end: the next owner always tries again.
            let answer = match (operation, REPLIES[answer]) {
                ("query", "rejects" | "pending" | "{ pending: { completes_after: 2m } }") => "times_out",
                (_, "crash") => "[crash, crash, succeeds, succeeds, succeeds, succeeds]",
                (_, answer) => answer,
            };
            if !replies.contains(&format!("\n      {step}:")) {
                replies += &format!("\n      {step}:");
            }
            replies += &format!("\n        {operation}: {answer}");
        }
        let verb = ["cancel", "retry", "pause", "resume", "force_stop"][verb];
        let file = format!(
            "definition: d\ninput: {{ order_id: o, sku: s, quantity: 1, account_id: a, amount_minor: 1 }}\nscenarios:\n  - \
             scenario: s\n    replies:{replies}\n    events: [{{ at: {at}s, {verb}: x }}]\n    expect: {{ ends: waiting }}\n"
        );
        let definition = compile(&example("checkout.saga.yaml"), participants());
        let report = only(run(&definition, &file));
        // An order that is refused, or a list of crashes that is used up, breaks the run off.
        let complaint = report.complaints.first().map_or("", String::as_str);
        prop_assume!(!complaint.contains("was refused") && !complaint.contains("and there are replies for"));
        let moves = report.complaints.iter().any(|complaint| complaint.starts_with("it still moves"));
        prop_assert!(!moves && !["running", "confirming", "compensating"].contains(&report.ended.as_str()),
            "{:?} {}\n{file}\n{:#?}", report.complaints, report.ended, timeline(&report));
    }
}

#[test]
fn what_a_scenario_leaves_open_is_named() {
    let told = |body: &str| only(order(body)).complaints.remove(0);
    assert_eq!(
        told("    replies: { book: { action: [times_out] } }\n    expect: { ends: completed }\n"),
        "book.action is called 2 times, and there are replies for 1 — add one to its list, or write a single reply without a \
         list for every attempt"
    );
    assert_eq!(
        told("    replies: { pay: { action: { succeeds: { status: DECLINED } } } }\n    expect: { ends: completed }\n"),
        "the reply of pay.action doesn't fit: the definition reads this reply as a refusal (`rejected_when`) — write \
         `replies:` instead of `succeeds:`"
    );
    let typed = compile(&example("checkout.saga.yaml"), participants());
    let file = "definition: d\ninput: { order_id: o, sku: s, quantity: 1, account_id: a, amount_minor: 1 }\nscenarios:\n  - { scenario: s, replies: { charge: { action: { succeeds: { charge_idd: c } } } }, expect: { ends: completed } }\n";
    assert_eq!(
        only(run(&typed, file)).complaints.remove(0),
        "the reply of charge.action doesn't fit: `charge_idd` of the reply payment.v1.ChargeReply: \
         `payment.v1.ChargeReply` has no field `charge_idd` — did you mean `charge_id`?"
    );
    let file = "definition: d\nscenarios: [{ scenario: s, input: { order_id: o }, expect: { ends: completed } }]\n";
    assert_eq!(only(run(&typed, file)).complaints.remove(0), "it can't be started: input: \"sku\" is missing — add it");
}

#[test]
fn mistakes_in_a_file_have_a_place_and_a_mend() {
    let definition = compile(ORDER, BTreeMap::new());
    let file = "definition: order.saga.yaml
refusals_final: [hotels]
scenarios:
  - scenario: a
    replies:
      bock: { action: succeeds }
      book: { acton: times_out, query: succeeds, action: timesout }
      pay: { action: { code: ABORTD, mesage: x }, compensate: succeeds }
    events: [{ at: soon, cancel: x }, { at: 1s, cancel: x, crash: true }]
    expect:
      ends: complete
      calls: [book, book.confirm, { call: pay.action, attempts: 0 }]
      residue: { pay: maybe }
  - { scenario: a, expects: {} }
";
    let expected = [
        "t:2:18: error[AM-L050]: the definition calls no participant `hotels` — did you mean `hotel`?",
        "t:6:7: error[AM-L021]: the definition has no step `bock` — did you mean `book`?",
        "t:7:15: error[AM-L021]: the step `book` has no `acton` — did you mean `action`?",
        "t:7:33: error[AM-L021]: the step `book` has no `query` — use `action`, `compensate`",
        "t:7:58: error[AM-L003]: \"timesout\" is no reply — did you mean `times_out`?",
        "t:8:30: error[AM-L014]: `ABORTD` is no status code of this operation — did you mean `ABORTED`?",
        "t:8:38: error[AM-L002]: a reply has no field `mesage` — did you mean `message`?",
        "t:8:51: error[AM-L021]: the step `pay` has no `compensate` — use `action`",
        "t:9:20: error[AM-L006]: \"soon\" is no duration — write a number with a unit: 200ms, 5s, 2m, 1h 30m",
        "t:9:39: error[AM-L003]: an event can be only one of `cancel`, `crash` — keep one of them",
        "t:11:13: error[AM-L003]: \"complete\" is no way for a saga to end or rest — did you mean `completed`?",
        "t:12:15: error[AM-L003]: \"book\" names no operation of a step — write step and operation: `charge.action`",
        "t:12:21: error[AM-L021]: the step `book` has no `confirm` — use `action`, `compensate`",
        "t:12:65: error[AM-L009]: `attempts` is 0: it must be a whole number from 1 to 10000 — correct it",
        "t:13:23: error[AM-L003]: \"maybe\" is no such reason — use `stands`, `possible`",
        "t:14:20: error[AM-L002]: a scenario has no field `expects` — did you mean `expect`?",
    ];
    assert_eq!(refused(&definition, file), expected);

    let good = "definition: d\nscenarios:\n  - { scenario: a, expect: { ends: waiting } }\n";
    assert_eq!(
        refused(&definition, &format!("{good}{}", "  - { scenario: a, expect: { ends: stuck } }\n")),
        ["t:4:5: error[AM-L005]: two scenarios are called \"a\" — rename one of them"]
    );
    for (file, message) in [
        ("", "t:1:1: error[AM-L001]: the text is empty — write `definition: FILE`"),
        ("scenarios: []", "t:1:1: error[AM-L003]: a file of scenarios needs the field `definition`"),
        ("definition: d\nscenarios: []", "t:2:12: error[AM-L003]: there is no scenario"),
        ("saga: x", "t:1:1: error[AM-L002]: a file of scenarios has no field `saga`"),
        (
            "definition: d\nscenarios: [{ scenario: a, replies: { pay: { query: x } }, expect: { ends: stuck } }]",
            "t:2:46: ",
        ),
    ] {
        assert!(refused(&definition, file)[0].starts_with(message), "{:?}", refused(&definition, file));
    }
    let asked =
        "definition: d\nscenarios: [{ scenario: a, replies: { charge: { query: rejects } }, expect: { ends: stuck } }]";
    let checkout = compile(&example("checkout.saga.yaml"), participants());
    assert!(
        refused(&checkout, asked)[0].contains("a query asks whether the effect stands"),
        "{:?}",
        refused(&checkout, asked)
    );
}
