//! Starting, finding and following sagas.

use crate::fake::Fake;
use crate::harness::{amends, amends_with_input, check};

#[test]
fn start_prints_the_saga_and_sends_what_was_given() {
    let labels = ["--label", "order=1", "--label", "shop=north"];
    let mut arguments =
        vec!["saga", "start", "checkout", "--id", "order-1", "--input", "{\"amount_minor\":9007199254740993}"];
    arguments.extend(labels);
    check("start", &arguments);
}

#[test]
fn start_on_a_version_of_choice() {
    let fake = Fake::start();
    let run = amends_with_input(
        &["saga", "start", "checkout", "--version", "2", "-i", "-", "--address", fake.address()],
        "{}",
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(fake.requests().contains("\"version\":2"), "{}", fake.requests());
}

#[test]
fn start_without_an_id_makes_a_request_id_of_its_own_each_time() {
    let fake = Fake::start();
    for _ in 0..2 {
        let run = amends_with_input(&["saga", "start", "checkout", "-i", "-", "--address", fake.address()], "{}");
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let requests = fake.requests();
    let mut ids = requests.lines().map(|line| line.split("\"requestId\":\"").nth(1).expect("has one")[..36].to_owned());
    assert_ne!(ids.next(), ids.next());
}

#[test]
fn waiting_for_a_saga_that_is_compensated_ends_with_5() {
    check("start-wait", &["saga", "start", "refunds", "--id", "order-1", "--wait=5s"]);
}

#[test]
fn list_shows_reasons_and_ages() {
    check("list", &["saga", "list"]);
    check(
        "list-limit",
        &[
            "saga",
            "list",
            "--limit",
            "2",
            "--status",
            "stuck,running",
            "--definition",
            "checkout",
            "--label",
            "order=1001",
        ],
    );
    check("list-stuck-reason", &["saga", "list", "--limit", "0", "--stuck-reason", "pivot_unknown", "-n", "shop"]);
    check("list-json", &["saga", "list", "-o", "json", "--limit", "2"]);
}

#[test]
fn every_filter_is_sent() {
    let filters = [
        "--status",
        "stuck,paused",
        "--stuck-reason",
        "retries_exhausted",
        "--participant",
        "payment",
        "--definition",
        "checkout",
        "--version",
        "3",
        "--label",
        "shop=north",
        "--error",
        "card declined",
        "--older-than",
        "1h",
        "--unacknowledged",
    ];
    check("list-filters", &["saga", "list"].iter().chain(&filters).copied().collect::<Vec<_>>());
    check("count-filters", &["saga", "count"].iter().chain(&filters).copied().collect::<Vec<_>>());
}

#[test]
fn count_shows_kinds_and_the_total() {
    check("count", &["saga", "count"]);
    check("count-json", &["saga", "count", "-o", "json", "--older-than", "2d"]);
}

#[test]
fn filters_that_make_no_sense_are_refused_before_anything_is_sent() {
    for (arguments, why) in [
        (["--version", "3"].as_slice(), "--definition"),
        (&["--definition", "checkout", "--version", "0"], "0 is not in"),
        (&["--older-than", "soon"], "write a time such as 30m, 1h or 2d"),
        (&["--status", "stucked"], "force_stopped"),
        (&["--stuck-reason", "unlucky"], "no such reason"),
    ] {
        for verb in ["list", "count"] {
            let run = amends(&["saga", verb].iter().chain(arguments).copied().collect::<Vec<_>>());
            assert_eq!(run.code, 2, "{arguments:?}");
            assert!(run.stderr.contains(why), "{arguments:?}: {}", run.stderr);
        }
    }
}

#[test]
fn describe_begins_with_why_it_is_not_moving() {
    check("describe-stuck", &["saga", "describe", "order-1001"]);
    check("describe-waiting", &["saga", "describe", "order-1002", "--history", "2"]);
    check("describe-completed", &["saga", "describe", "order-1003"]);
    check("describe-json", &["saga", "describe", "order-1001", "-o", "json"]);
    check("describe-yaml", &["saga", "describe", "order-1003", "-o", "yaml"]);
}

#[test]
fn watch_prints_a_line_for_each_change() {
    check("watch", &["saga", "watch", "order-1003"]);
    check("watch-json", &["saga", "watch", "order-1003", "-o", "json"]);
}

#[test]
fn cancel_tells_what_became_of_it() {
    check("cancel", &["saga", "cancel", "order-1001", "--reason", "customer called"]);
    check("cancel-recorded", &["saga", "cancel", "order-1002", "--reason", "customer called", "-o", "json"]);
}

#[test]
fn complete_step_sends_either_verdict() {
    check(
        "complete-succeeded",
        &["saga", "complete-step", "order-1002", "--step", "charge", "--succeeded", "--reply", "{\"id\":\"c-1\"}"],
    );
    let rejected = [
        "saga",
        "complete-step",
        "order-1001",
        "--step",
        "charge",
        "--operation",
        "confirm",
        "--rejected",
        "LIMIT",
        "--message",
        "card limit",
    ];
    check("complete-rejected", &rejected);
    let run = amends(&["saga", "complete-step", "order-1", "--step", "charge", "--rejected", "A", "--reply", "{}"]);
    assert_eq!(run.code, 2);
}
